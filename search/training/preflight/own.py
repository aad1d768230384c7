"""The one thing that can be looked at of a loop of its own: what it leaves to predict with."""

from __future__ import annotations

from search.findings import Finding, warn
from search.training.check_predictor import KEEPS_NOTHING, REMEDY, look_at_predictor
from search.training.job import Job
from search.training.preflight.bench import Bench
from search.training.scoring import resolve_metric

_STEPS = 10


def check_predictions(bench: Bench) -> Finding:
    """Train for a moment and predict with what is left: the proof would be too late to fail.

    Raises:
        ModelError: It predicts something else than was scored, or can't.
    """
    if not bench.model.can_predict:
        return warn("predictions", KEEPS_NOTHING, REMEDY)
    samples = min(_STEPS * int(bench.config.get("batch_size", 64)), len(bench.rows.train))
    metric = resolve_metric(None, bench.spec.task)
    job = Job("look", bench.config, bench.spec, 0, samples, (samples,), metric)
    look_at_predictor(bench.model, job, bench.data, bench.rows)
    return Finding("predictions", "PASS", "what is kept of a training predicts what was scored")
