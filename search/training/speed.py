"""Measures what training costs here, before the budget is divided."""

from __future__ import annotations

import time

from search.data.batches import Resident
from search.space import Config
from search.speed import Speed
from search.task import ModelModule, Spec
from search.training.job import Job, Rows
from search.training.sessions import open_session

SECONDS = 2.0
_STEPS = 10
_MAX_POINTS = 1_000


def measure_speed(
    model: ModelModule,
    config: Config,
    spec: Spec,
    data: Resident,
    rows: Rows,
    *,
    metric: str,
    seconds: float = SECONDS,
) -> Speed:
    """Train a configuration for a moment and time it.

    The stretch to the first evaluation warms up and isn't counted. Without batches, as in boosting,
    a step is a pass over the rows.

    Args:
        model: The model module.
        config: What to train, usually the first published default.
        spec: Shapes and task.
        data: Resident tensors.
        rows: The parts of a search phase.
        metric: The study's metric.
        seconds: About how long to measure.
    """
    whole = len(rows.train) if model.train is not None else 64
    stretch = _STEPS * int(config.get("batch_size", whole))
    points = tuple(stretch * number for number in range(1, _MAX_POINTS + 1))
    job = Job("speed", config, spec, 0, points[-1], points, metric, early_stopping=False)
    session = open_session(job, model, data, rows)
    stream = session.run()
    first = next(stream)
    warm, began, last = session.vitals(), time.perf_counter(), first
    for evaluation in stream:
        last = evaluation
        if time.perf_counter() - began > seconds:
            break
    vitals, count = session.vitals(), last.evaluation - first.evaluation
    samples = last.samples_seen - first.samples_seen
    if count == 0:
        return Speed(first.samples_seen / max(vitals.train_seconds, 1e-9), vitals.eval_seconds)
    return Speed(
        samples_per_second=samples / max(vitals.train_seconds - warm.train_seconds, 1e-9),
        eval_seconds=(vitals.eval_seconds - warm.eval_seconds) / count,
    )
