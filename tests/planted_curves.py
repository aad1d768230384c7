"""Trainings as they come in, from the course of their losses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from search.events import Ending, Evaluation, Probes, Trial
from search.trials import Record

CHANCE = 2.0
"""Loss without looking at the inputs."""
BEST = 0.5
"""The best known."""


def loss(progress: float) -> float:
    """Return the loss of a progress on the scale from chance to the best."""
    return CHANCE - progress * (CHANCE - BEST)


def record(
    validation: Sequence[float],
    train: Sequence[float] | None = None,
    *,
    budget_evaluations: int | None = None,
    config: dict[str, Any] | None = None,
    trial_id: str = "c0000",
    source: str = "sobol",
    **probes: float,
) -> Record:
    """Return a training with the given progress at each of its evaluations."""
    number = budget_evaluations or len(validation)
    points = tuple(100 * i for i in range(1, number + 1))
    made = Record(Trial(trial_id, "coarse", source, config or {}, 0, points[-1], points))
    usual = {"update_ratio": 3e-3, "gradient_norm": 1.0, "dead_units": 0.0, **probes}
    for index, progress in enumerate(validation):
        seen = progress if train is None else train[index]
        numbers = (points[index], points[index], loss(seen), loss(progress), 0.5, 0.5, 0.1, 1.0)
        made.evaluations.append(Evaluation(trial_id, index + 1, *numbers, probes=Probes(**usual)))
    return made


def ended(training: Record, status: Any, reason: str) -> Record:
    """Return the training with an ending."""
    training.ending = Ending(training.trial.trial_id, status, reason)
    return training


def learning(top: float, speed: float, number: int = 20) -> list[float]:
    """Return a course that comes to ``top``, ``speed`` times over e by the end."""
    return [top * (1 - math.exp(-speed * i / number)) for i in range(1, number + 1)]
