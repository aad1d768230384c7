"""Checks that train a network for a moment."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from search.findings import Finding, warn
from search.training.optimizers import learning_rate
from search.training.preflight.bench import PART, Bench, OutOfTime, Training, plain, too_few
from search.training.scoring import baseline_losses

BATCH_ROWS = 32
OVERFIT_STEPS, ENOUGH_TO_OVERFIT = 300, 150
"""At most, and to say that it isn't learnt: the bundled models' defaults take 94 steps at most."""
LEARNT = 0.2
"""Of the first loss: a batch that has come down to this has been learnt by heart."""
FORGOTTEN = 0.5
"""Of the first loss: what has been learnt may not be worse than this in evaluation mode."""
OVERFIT_RATES = (1.0, 10.0, 0.1, 100.0)
"""Times the published learning rate; the others where that doesn't learn."""
BASELINE_RATES = (1.0, 10.0, 0.1)
LOOK_AT_STEPS, ENOUGH_TO_BEAT = (30, 60, 120, 240, 480), 120
"""To say that a model is no better: the bundled models' defaults take 20 steps at most."""
JUDGING = 0.2
"""Of a learning rate's time: a look at the rows that are judged takes no longer."""
JUDGED_ROWS = 2_000
SURE, UNSURE = 4.0, 2.0
"""Standard errors that a model must be better by: at once, and at the end."""


def check_overfit_batch(bench: Bench) -> list[Finding]:
    """A network that can't learn one batch by heart won't learn anything."""
    rows = bench.rows.train[:BATCH_ROWS]
    published = learning_rate(plain(bench.config))
    tried: dict[float, _Learning] = {}
    for factor, seconds in _turns(bench, OVERFIT_RATES):
        learning = tried[factor * published] = _learn(bench, rows, factor * published, seconds)
        if learning.by_heart:
            return [] if factor == 1.0 else [_learns_elsewhere(published, factor)]
        if learning.steps < ENOUGH_TO_OVERFIT and math.isfinite(learning.last):
            raise too_few(learning.steps)
        if learning.reached <= LEARNT:
            return [_forgets(learning)]
    return [_not_learnt(len(rows), tried)]


def _turns(bench: Bench, factors: tuple[float, ...]) -> Iterator[tuple[float, float]]:
    """Yield the learning rates' factors, each with its seconds."""
    for number, factor in enumerate(factors):
        yield factor, PART * bench.seconds_left / (len(factors) - number)


@dataclass(frozen=True)
class _Learning:
    """How a batch is learnt: its loss at first, and at last in training and evaluation mode."""

    steps: int
    first: float
    last: float
    evaluated: float

    @property
    def reached(self) -> float:
        """The lower one of the last losses, in first ones; infinite where none is finite."""
        finite = filter(math.isfinite, (self.last, self.evaluated))
        return min(finite, default=math.inf) / self.first

    @property
    def by_heart(self) -> bool:
        """Whether the batch is known, in evaluation mode too."""
        return self.reached <= LEARNT and self.evaluated <= FORGOTTEN * self.first


def _learn(bench: Bench, rows: torch.Tensor, rate: float, seconds: float) -> _Learning:
    config = plain(bench.config)
    module = bench.network(0, config)
    first = max(bench.loss_of(module, rows), 1e-6)
    training = Training(bench, module, config, rows, batch_size=len(rows))
    training.set_learning_rate(rate)
    steps, loss = 0, math.inf
    for steps, loss in enumerate(training.steps(OVERFIT_STEPS, seconds), start=1):
        if not math.isfinite(loss):
            break
        if steps % 20 == 0 and loss <= LEARNT * first / 2:
            if bench.loss_of(module, rows) <= FORGOTTEN * first:
                break
            module.train()
    return _Learning(steps, first, loss, bench.loss_of(module, rows))


def _not_learnt(num_rows: int, tried: dict[float, _Learning]) -> Finding:
    best = min(each.reached for each in tried.values())
    most = max(each.steps for each in tried.values())
    comes = f"the loss comes to {best:.0%} of the first one" if best < math.inf else "it diverges"
    rates = ", ".join(f"{rate:.2g}" for rate in tried)
    return warn(
        "overfit_batch",
        f"{num_rows} rows aren't learnt by heart in up to {most} steps at the learning rates "
        f"{rates}: {comes}",
        "look for dead units, a detach(), weights that all begin alike, outputs that are bound",
        value=best if best < math.inf else None,
        fails=True,
    )


def _forgets(learning: _Learning) -> Finding:
    return warn(
        "overfit_batch",
        f"after {learning.steps} steps the same rows have a loss of {learning.last:.3g} in "
        f"training mode and {learning.evaluated:.3g} in evaluation mode",
        "look at what train() and eval() switch: batch statistics, dropout, the outputs' order",
        value=learning.evaluated,
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
    train, target = bench.data.target(bench.rows.train), bench.data.target(rows)
    expected = baseline_losses(train, target, bench.spec).cpu()
    published = learning_rate(bench.config)
    best, most = -math.inf, 0
    for factor, seconds in _turns(bench, BASELINE_RATES):
        score, steps = _better_by(bench, factor * published, rows, expected, seconds)
        best, most = max(best, score), max(most, steps)
        if best > UNSURE:
            return []
    return [
        warn(
            "input_baseline",
            f"after up to {most} steps the model is no better on validation than one who knows "
            f"the shares of the labels and no input ({best:.1f} standard errors)",
            "are the labels shuffled against the rows? do the inputs know anything of them?",
            value=best,
            fails=True,
        )
    ]


def _better_by(
    bench: Bench, rate: float, rows: torch.Tensor, expected: torch.Tensor, seconds: float
) -> tuple[float, int]:
    """Return by how many standard errors the model is better, at best, and the steps made.

    Raises:
        OutOfTime: It isn't better, and there was no time for enough steps.
    """
    module = bench.network(0)
    training = Training(bench, module, bench.config, bench.rows.train, batch_size=bench.batch_size)
    training.set_learning_rate(rate)
    best, steps = -math.inf, 0
    for steps, loss in enumerate(training.steps(LOOK_AT_STEPS[-1], seconds), start=1):
        if not math.isfinite(loss):
            return best, steps
        if steps in LOOK_AT_STEPS:
            losses = bench.losses_of(module, rows, JUDGING * seconds)
            best = max(best, _standard_errors(expected[: len(losses)] - losses))
            if best > SURE:
                return best, steps
            module.train()
    losses = bench.losses_of(module, rows, JUDGING * seconds)
    best = max(best, _standard_errors(expected[: len(losses)] - losses))
    if best <= UNSURE and steps < ENOUGH_TO_BEAT:
        raise too_few(steps)
    if best <= UNSURE and len(losses) < len(rows):
        raise OutOfTime(f"there was time to judge {len(losses)} rows only, too few to tell")
    return best, steps


def _standard_errors(gains: torch.Tensor) -> float:
    if len(gains) < 2 or not bool(torch.isfinite(gains).all()):
        return -math.inf
    error = float(gains.std()) / math.sqrt(len(gains))
    return float(gains.mean()) / max(error, 1e-12)


TRIALS: dict[str, tuple[Callable[[Bench], list[Finding]], str]] = {
    "overfit_batch": (check_overfit_batch, "one batch is learnt by heart"),
    "input_baseline": (check_input_baseline, "better than the labels' shares alone"),
}
