"""Checks that train a network for a moment."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from search.findings import Finding, warn
from search.training.optimizers import learning_rate
from search.training.preflight.bench import Bench, Training, plain
from search.training.scoring import baseline_losses

BATCH_ROWS = 32
OVERFIT_STEPS, OVERFIT_SECONDS = 300, 3.0
LEARNT = 0.2
"""Of the first loss: a batch that has come down to this has been learnt by heart."""
FORGOTTEN = 0.5
"""Of the first loss: what has been learnt may not be worse than this in evaluation mode."""
OTHER_RATES = (10.0, 0.1, 100.0)
"""Times the published learning rate, where that doesn't learn."""
LOOK_AT_STEPS = (30, 60, 120, 240, 480)
BASELINE_SECONDS = 8.0
JUDGED_ROWS = 2_000
SURE, UNSURE = 4.0, 2.0
"""Standard errors that a model must be better by: at once, and at the end."""


def check_overfit_batch(bench: Bench) -> list[Finding]:
    """A network that can't learn one batch by heart won't learn anything."""
    rows = bench.rows.train[:BATCH_ROWS]
    config = plain(bench.config)
    published = learning_rate(config)
    reached: dict[float, float] = {}
    for factor in (1.0, *OTHER_RATES):
        first, learnt, evaluated = _learn(bench, rows, factor * published)
        reached[factor] = min(learnt, evaluated) / first
        if reached[factor] > LEARNT:
            continue
        if not evaluated <= FORGOTTEN * first:
            return [_forgets(learnt, evaluated)]
        return [] if factor == 1.0 else [_learns_elsewhere(published, factor)]
    best = min(reached.values(), key=lambda each: each if math.isfinite(each) else math.inf)
    return [
        warn(
            "overfit_batch",
            f"{len(rows)} rows aren't learnt by heart in {OVERFIT_STEPS} steps: the loss comes to "
            f"{best:.0%} of the first one, whatever the learning rate",
            "look for dead units, a detach(), weights that all begin alike, outputs that are bound",
            value=best,
            fails=True,
        )
    ]


def _learn(bench: Bench, rows: torch.Tensor, rate: float) -> tuple[float, float, float]:
    """Return the loss at first, at last in training mode, and at last in evaluation mode."""
    config = plain(bench.config)
    module = bench.network(0, config)
    first = bench.loss_of(module, rows)
    training = Training(bench, module, config, rows, batch_size=len(rows))
    training.set_learning_rate(rate)
    last = math.inf
    for step, loss in enumerate(training.steps(OVERFIT_STEPS, OVERFIT_SECONDS)):
        last = loss
        if not math.isfinite(loss):
            break
        if step % 20 == 19 and loss <= LEARNT * first / 2:
            break
    return max(first, 1e-6), last, bench.loss_of(module, rows)


def _forgets(learnt: float, evaluated: float) -> Finding:
    return warn(
        "overfit_batch",
        f"the same rows have a loss of {learnt:.3g} in training mode and {evaluated:.3g} in "
        "evaluation mode",
        "look at what train() and eval() switch: batch statistics, dropout, the outputs' order",
        value=evaluated,
        fails=True,
    )


def _learns_elsewhere(published: float, factor: float) -> Finding:
    return warn(
        "overfit_batch",
        f"the published learning rate, {published:g}, doesn't learn a batch by heart; "
        f"{factor * published:g} does",
        "look at the defaults; the search may find better ones",
        value=factor * published,
    )


def check_input_baseline(bench: Bench) -> list[Finding]:
    """After a few hundred steps a model is better than the training labels alone."""
    rows = bench.rows.validation[:JUDGED_ROWS]
    _, train = bench.data.batch(bench.rows.train)
    _, target = bench.data.batch(rows)
    expected = baseline_losses(train, target, bench.spec).cpu()
    published = learning_rate(bench.config)
    best = -math.inf
    for factor in (1.0, 10.0, 0.1):
        budget = min(BASELINE_SECONDS, max(bench.seconds_left, 1.0)) / 2
        score = _better_by(bench, factor * published, rows, expected, budget)
        best = max(best, score)
        if best > UNSURE:
            return []
    return [
        warn(
            "input_baseline",
            "after a few hundred steps the model is no better on validation than one who knows "
            f"the shares of the labels and no input ({best:.1f} standard errors)",
            "are the labels shuffled against the rows? do the inputs know anything of them?",
            value=best,
            fails=True,
        )
    ]


def _better_by(
    bench: Bench, rate: float, rows: torch.Tensor, expected: torch.Tensor, seconds: float
) -> float:
    """Return by how many standard errors the model is better, at best."""
    module = bench.network(0)
    training = Training(bench, module, bench.config, bench.rows.train, batch_size=bench.batch_size)
    training.set_learning_rate(rate)
    best = -math.inf
    for number, loss in enumerate(training.steps(LOOK_AT_STEPS[-1], seconds), start=1):
        if not math.isfinite(loss):
            break
        if number in LOOK_AT_STEPS:
            best = max(best, _standard_errors(expected - bench.losses_of(module, rows)))
            if best > SURE:
                return best
            module.train()
    return max(best, _standard_errors(expected - bench.losses_of(module, rows)))


def _standard_errors(gains: torch.Tensor) -> float:
    if len(gains) < 2 or not bool(torch.isfinite(gains).all()):
        return -math.inf
    error = float(gains.std()) / math.sqrt(len(gains))
    return float(gains.mean()) / max(error, 1e-12)


TRIALS: dict[str, tuple[Callable[[Bench], list[Finding]], str]] = {
    "overfit_batch": (check_overfit_batch, "one batch is learnt by heart"),
    "input_baseline": (check_input_baseline, "better than the labels' shares alone"),
}
