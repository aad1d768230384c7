"""What the learning rate and the batch size may be, measured."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from search.findings import Finding, warn
from search.training.optimizers import learning_rate
from search.training.preflight.bench import NUM_SEEDS, PART, Bench, Training, plain, too_few

Array = NDArray[np.float64]

LOWEST, HIGHEST, HIGHEST_OF_SGD = 1e-6, 1.0, 10.0
NUM_RATES, LEAST_RATES = 70, 20
TIMED_STEPS = 3
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

    Raises:
        OutOfTime: There is time for too few rates.
    """
    sweeps = [_sweep(bench, seed, seconds) for seed in range(NUM_SEEDS)]
    found = [each for sweep in sweeps if (each := _one_range(*sweep))]
    if not found:
        return None
    return RateRange(min(each.low for each in found), max(each.high for each in found))


def _one_range(rates: Array, losses: Array) -> RateRange | None:
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
    training.set_learning_rate(LOWEST)
    rates = np.geomspace(LOWEST, _highest(bench), _num_rates(bench, training, seconds))
    losses: list[float] = []
    for rate in rates:
        bench.go_on(TIMED_STEPS + len(losses))
        training.set_learning_rate(float(rate))
        loss = next(training.steps(1))
        if not math.isfinite(loss) or (losses and loss > DIVERGED * losses[0]):
            break
        losses.append(loss)
    return rates[: len(losses)], np.array(losses)


def _num_rates(bench: Bench, training: Training, seconds: float) -> int:
    spent: list[float] = []
    while len(spent) < TIMED_STEPS:
        bench.go_on(len(spent))
        began = bench.clock()
        next(training.steps(1))
        spent.append(bench.clock() - began)
    number = int(min(NUM_RATES, seconds / max(min(spent), 1e-6)))
    if number < LEAST_RATES:
        raise too_few(number)
    return number


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
    found = learning_rate_range(bench, PART * bench.seconds_left / NUM_SEEDS)
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


@dataclass(frozen=True)
class Throughput:
    """What training with a batch size costs.

    Attributes:
        samples_per_second: Speed.
        step_seconds: Of a step.
        peak_bytes: Of GPU memory; None on a CPU, where it isn't measured.
    """

    samples_per_second: float
    step_seconds: float
    peak_bytes: int | None = None


def check_batch_size(bench: Bench) -> list[Finding]:
    """Measure speed and memory over powers of two, up to where speed rises no more or memory ends.

    It takes half of the time that is left at most: what trials take of a GPU comes after it.
    """
    tried: dict[int, Throughput] = {}
    ended, too_large = "all rows", None
    stop_at = (1.0 - PART) * bench.seconds_left
    size = SMALLEST
    while size <= min(LARGEST, len(bench.rows.train)):
        if tried and bench.seconds_left - stop_at < _next_seconds(tried[size // 2]):
            ended = "the time's end"
            break
        try:
            tried[size] = _throughput(bench, size)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            ended, too_large = "the memory's end", size
            break
        if size > SMALLEST and not _is_faster(tried, size):
            ended = f"{size}, which is hardly faster"
            break
        size *= 2
    return [*_measured(tried, ended), *_too_large(too_large)]


def _next_seconds(last: Throughput) -> float:
    """Return what two steps with twice the batch take at most."""
    return 4.0 * last.step_seconds


def _is_faster(tried: dict[int, Throughput], size: int) -> bool:
    """Return whether a batch size trains faster than half of it."""
    half = tried[size // 2].samples_per_second
    return tried[size].samples_per_second >= FASTER * half


def _too_large(size: int | None) -> list[Finding]:
    if size is None:
        return []
    message = f"batches of {size} rows and more don't fit into memory"
    return [warn("batch_size", message, "they aren't searched", value=float(size))]


def _measured(tried: dict[int, Throughput], ended: str) -> list[Finding]:
    if not tried:
        return []
    best = max(tried, key=lambda each: tried[each].samples_per_second)
    shown = ", ".join(f"{size}: {_shown(each)}" for size, each in tried.items())
    worth = ", ".join(str(size) for size in tried if size == SMALLEST or _is_faster(tried, size))
    on_cpu = all(each.peak_bytes is None for each in tried.values())
    message = f"training samples by batch size up to {ended}: {shown}; worth searching: {worth}"
    message += "; memory isn't measured on a CPU" if on_cpu else ""
    return [Finding("batch_size", "PASS", message, value=float(best))]


def _shown(each: Throughput) -> str:
    memory = "" if each.peak_bytes is None else f" and {each.peak_bytes / 1e9:.2f} GB of GPU memory"
    return f"{each.samples_per_second:,.0f}/s{memory}"


def _throughput(bench: Bench, size: int) -> Throughput:
    device = bench.data.device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    training = Training(bench, bench.network(0), bench.config, bench.rows.train, batch_size=size)
    next(training.steps(1))
    began = bench.clock()
    count = sum(1 for _ in training.steps(20, 0.3))
    seconds = max(bench.clock() - began, 1e-6) / count
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    return Throughput(size / seconds, seconds, peak)
