"""Whether the same comes out of the same: alone and among others, once and again."""

from __future__ import annotations

import torch
from torch import Tensor

from search.findings import Finding, warn
from search.training.optimizers import learning_rate
from search.training.preflight.bench import Bench, Training

SAME = 1e-3
"""Relative to the spread of the outputs: less is rounding."""
REPEATED_STEPS = 8
REPEATED = 1e-4
"""Of a loss: less is rounding."""
STILL = 1e-6
"""A learning rate at which what is rounded otherwise doesn't grow from step to step."""


def check_rows_apart(bench: Bench) -> list[Finding]:
    """In evaluation mode an output depends on its own row alone."""
    inputs, _ = bench.look()
    module = bench.network().eval()
    with torch.no_grad():
        together = module(*inputs).float()
        half = len(together) // 2
        alone = module(*(each[:half] for each in inputs)).float()
    if half == 0 or _differs(alone, together[:half]) <= SAME:
        return []
    return [
        warn(
            "rows_apart",
            "in evaluation mode a row's output changes with the other rows of its batch",
            "look for a view() over the batch, or batch statistics in evaluation",
            fails=True,
        )
    ]


def check_eval_mode(bench: Bench) -> list[Finding]:
    """In evaluation mode the same rows give the same outputs."""
    inputs, _ = bench.look()
    module = bench.network().eval()
    with torch.no_grad():
        first, second = (module(*inputs).float() for _ in range(2))
    if _differs(first, second) <= 1e-6:
        return []
    return [
        warn(
            "eval_mode",
            "in evaluation mode the same rows give other outputs the second time",
            "switch dropout and noise off by self.training",
            fails=True,
        )
    ]


def check_determinism(bench: Bench) -> list[Finding]:
    """The same seed builds the same network, and trains it alike."""
    inputs, _ = bench.look()
    with torch.no_grad():
        first, second = (bench.network(1).eval()(*inputs).float() for _ in range(2))
    if _differs(first, second) > 1e-6:
        return [_drawn("the same seed builds another network the second time")]
    bench.go_on(0)
    losses = _first_losses(bench, REPEATED_STEPS, bench.seconds_left / 4)
    again = _first_losses(bench, len(losses), bench.seconds_left)
    for step, (loss, other) in enumerate(zip(losses, again, strict=False), start=1):
        if abs(loss - other) > REPEATED * abs(loss):
            return [_drawn(f"from the same seed step {step} has another loss the second time")]
    return []


def _first_losses(bench: Bench, number: int, seconds: float) -> list[float]:
    """Return the losses of so many steps, or of those that there is time for."""
    module = bench.network(1)
    training = Training(
        bench, module, bench.config, bench.rows.train, batch_size=bench.batch_size, seed=1
    )
    training.set_learning_rate(min(learning_rate(bench.config), STILL))
    return list(training.steps(number, seconds))


def _drawn(message: str) -> Finding:
    remedy = "draw all randomness from torch's generator"
    return warn("determinism", message, remedy, fails=True)


def _differs(first: Tensor, second: Tensor) -> float:
    spread = float(second.std()) if second.numel() > 1 else 1.0
    return float((first - second).abs().max()) / (spread or 1.0)
