"""What the learning rate and the batch size may be, measured."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from search.findings import Finding, warn
from search.training.optimizers import learning_rate
from search.training.preflight.bench import Bench, Training, plain

Array = NDArray[np.float64]

LOWEST, HIGHEST, HIGHEST_OF_SGD = 1e-6, 1.0, 10.0
NUM_RATES, NUM_SEEDS = 70, 3
DIVERGED = 4.0
HALF_WINDOW = 3
"""Of the centred mean over neighbouring rates."""
BEGUN = 0.1
"""Of the whole fall: from here on the loss falls."""
SECONDS_A_SEED = 2.0
SMALLEST, LARGEST = 16, 4_096
FASTER = 1.1
"""A batch twice as large must train so many times as fast, or it isn't worth it."""


@dataclass(frozen=True)
class RateRange:
    """Where the loss falls, as the learning rate rises from step to step.

    Attributes:
        low: It has begun to fall, in the first of the seeds.
        high: It is lowest, in the last of them.
    """

    low: float
    high: float


def learning_rate_range(bench: Bench, seconds: float = SECONDS_A_SEED) -> RateRange | None:
    """Raise the learning rate from step to step, and see where the loss falls.

    Smith (2017, "Cyclical learning rates"). The loss is smoothed over neighbouring rates on their
    logarithmic scale, to both sides, and the seeds' ranges are joined: one noisy curve says little.

    Args:
        bench: What is tried.
        seconds: For each seed; a slow model gets fewer rates.

    Returns:
        The range; None where the loss falls nowhere.
    """
    found = [each for seed in range(NUM_SEEDS) if (each := _one_range(bench, seed, seconds))]
    if not found:
        return None
    return RateRange(min(each.low for each in found), max(each.high for each in found))


def _one_range(bench: Bench, seed: int, seconds: float) -> RateRange | None:
    rates, losses = _sweep(bench, seed, seconds)
    smooth = _smoothed(losses)
    if len(smooth) < 2 * HALF_WINDOW + 2:
        return None
    bottom = int(smooth.argmin())
    fall = smooth[0] - smooth[bottom]
    noise = float(np.std(losses - smooth)) / math.sqrt(2 * HALF_WINDOW + 1)
    if fall <= 2 * noise:
        return None
    begun = int(np.argmax(smooth <= smooth[0] - max(BEGUN * fall, noise)))
    return RateRange(float(rates[begun]), float(rates[bottom]))


def _sweep(bench: Bench, seed: int, seconds: float) -> tuple[Array, Array]:
    """Return the rates that were tried, and the loss of the step with each."""
    config = plain(bench.config)
    module = bench.network(seed, config)
    training = Training(
        bench, module, config, bench.rows.train, batch_size=bench.batch_size, seed=seed
    )
    began = time.perf_counter()
    next(training.steps(1))
    spent = time.perf_counter() - began
    number = int(np.clip(seconds / max(spent, 1e-6), 20, NUM_RATES))
    rates = np.geomspace(LOWEST, _highest(bench), number)
    losses: list[float] = []
    for rate in rates:
        training.set_learning_rate(float(rate))
        loss = next(training.steps(1))
        if not math.isfinite(loss) or (losses and loss > DIVERGED * losses[0]):
            break
        losses.append(loss)
    return rates[: len(losses)], np.array(losses)


def _highest(bench: Bench) -> float:
    return HIGHEST_OF_SGD if bench.config.get("optimizer") == "sgd" else HIGHEST


def _smoothed(losses: Array) -> Array:
    width = 2 * HALF_WINDOW + 1
    if len(losses) < width:
        return losses
    padded = np.pad(losses, HALF_WINDOW, mode="edge")
    return np.convolve(padded, np.full(width, 1.0 / width), mode="valid")


def check_learning_rate(bench: Bench) -> list[Finding]:
    """Say at which learning rates the loss falls; warn where the published one isn't among them."""
    published = learning_rate(bench.config)
    seconds = min(SECONDS_A_SEED, max(bench.seconds_left, 1.0) / NUM_SEEDS / 2)
    found = learning_rate_range(bench, seconds)
    name = bench.config.get("optimizer", "the optimizer")
    if found is None:
        return [
            warn(
                "learning_rate",
                f"with {name} the loss falls at no learning rate up to {_highest(bench):g}",
                "see what the other checks say",
            )
        ]
    text = f"with {name} the loss falls from {found.low:.2g} to {found.high:.2g}"
    if found.low / 10 <= published <= found.high * 10:
        message = f"{text}; the published {published:g} is among them"
        finding = Finding("learning_rate", "PASS", message, value=found.high)
    else:
        remedy = "look at the ranges of the learning rates"
        finding = warn("learning_rate", f"{text}; the published {published:g} isn't", remedy)
    return [replace(finding, interval=(found.low, found.high))]


def check_batch_size(bench: Bench) -> list[Finding]:
    """Measure training speed over powers of two, up to where it no longer rises or memory ends."""
    speeds: dict[int, float] = {}
    ended, too_large = "all rows", None
    size = SMALLEST
    while size <= min(LARGEST, len(bench.rows.train)) and bench.seconds_left > 0.5:
        try:
            speeds[size] = _samples_per_second(bench, size)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            ended, too_large = "the memory's end", size
            break
        if size > SMALLEST and speeds[size] < FASTER * speeds[size // 2]:
            ended = f"{size}, which is hardly faster"
            break
        size *= 2
    return [*_speeds(bench, speeds, ended), *_too_large(too_large)]


def _too_large(size: int | None) -> list[Finding]:
    if size is None:
        return []
    message = f"batches of {size} rows and more don't fit into memory"
    return [warn("batch_size", message, "they aren't searched", value=float(size))]


def _speeds(bench: Bench, speeds: dict[int, float], ended: str) -> list[Finding]:
    if not speeds:
        return []
    best = max(speeds, key=lambda each: speeds[each])
    shown = ", ".join(f"{size}: {speed:,.0f}/s" for size, speed in speeds.items())
    message = f"training samples by batch size up to {ended}: {shown}{_memory(bench)}"
    return [Finding("batch_size", "PASS", message, value=float(best))]


def _samples_per_second(bench: Bench, size: int) -> float:
    module = bench.network(0)
    training = Training(bench, module, bench.config, bench.rows.train, batch_size=size)
    next(training.steps(1))
    began, count = time.perf_counter(), 0
    for _ in training.steps(20, 0.3):
        count += 1
    return count * size / (time.perf_counter() - began)


def _memory(bench: Bench) -> str:
    if bench.data.device.type != "cuda":
        return ""
    used = torch.cuda.max_memory_allocated(bench.data.device)
    return f"; at most {used / 1e9:.2f} GB of GPU memory"
