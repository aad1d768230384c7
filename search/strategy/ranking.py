"""What trials say at the rungs, to whoever learns from them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from search.space import Config
from search.trials import Record


@dataclass(frozen=True)
class Observation:
    """A configuration's best value up to a rung: its loss, unless the study promotes by metric.

    Attributes:
        config: The configuration.
        samples: The rung, in training samples.
        loss: Infinite when it failed; NaN when it was stopped before anything was known of it.
        seconds_per_sample: Of training and evaluation; NaN where it isn't known.
    """

    config: Config
    samples: int
    loss: float
    seconds_per_sample: float = math.nan


def observation(record: Record, rung: int) -> Observation:
    """Return what a record says at a rung."""
    return Observation(record.trial.config, rung, record.value, record.seconds_per_sample)


def is_wordless(record: Record, lowest: int) -> bool:
    """Whether nothing of a trial counts but its cost: it was too slow, for the lowest rung even."""
    if record.was_too_slow:
        return True
    reached = record.evaluations[-1].point if record.evaluations else 0
    return record.ending is not None and record.ending.status == "stopped" and reached < lowest


def cost_alone(record: Record, lowest: int) -> Observation | None:
    """Return what a wordless trial says: its cost; None of any other, or if it is unknown."""
    if not is_wordless(record, lowest) or not math.isfinite(record.seconds_per_sample):
        return None
    return cost_of(record, lowest)


def cost_of(record: Record, lowest: int) -> Observation:
    """Return what a trial costs, and nothing of its loss."""
    return Observation(record.trial.config, lowest, math.nan, record.seconds_per_sample)


def observations_of(records: Iterable[Record], rungs: tuple[int, ...]) -> list[Observation]:
    """Return what records say at the rungs: a loss at each one reached, a failure at the next.

    Of one that was too slow they say what it cost.
    """
    found: list[Observation] = []
    for record in records:
        if is_wordless(record, rungs[0]):
            cost = cost_alone(record, rungs[0])
            found += [] if cost is None else [cost]
            continue
        config = record.trial.config
        finite = [e.point for e in record.evaluations if math.isfinite(e.validation_loss)]
        reached = [rung for rung in rungs if rung <= max(finite, default=0)]
        for rung in reached:
            seen = [e for e in record.evaluations if e.point <= rung]
            value = min(e.value for e in seen if math.isfinite(e.validation_loss))
            found.append(Observation(config, rung, value, record.seconds_per_sample))
        if record.has_failed and len(reached) < len(rungs):
            found.append(Observation(config, rungs[len(reached)], math.inf))
    return found


def name_of(config: Config) -> str:
    """Return what a configuration is known by, whichever trial has it."""
    return repr(sorted(config.items()))


def best_config(observations: Iterable[Observation]) -> Config | None:
    """Return the configuration with the lowest loss at the highest rung; None without any."""
    finite = [each for each in observations if math.isfinite(each.loss)]
    best = min(finite, key=lambda each: (-each.samples, each.loss), default=None)
    return None if best is None else best.config
