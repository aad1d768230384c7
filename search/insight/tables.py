"""A phase's trials and curves as Arrow tables."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any

import pyarrow as pa

from search.events import Probes
from search.insight.curves import Verdict
from search.trials import Record

_S, _I, _F = pa.string(), pa.int64(), pa.float64()
TRIALS = pa.schema(
    {
        **dict.fromkeys(("trial_id", "phase", "source", "config", "status", "reason"), _S),
        **dict.fromkeys(("seed", "division", "budget_samples", "samples_seen", "rung"), _I),
        **dict.fromkeys(("best_validation_loss", "best_validation_metric"), _F),
        "best_samples": _I,
        **dict.fromkeys(("test_loss", "test_metric", "train_seconds", "eval_seconds"), _F),
        **dict.fromkeys(("start_seconds", "started_at", "ended_at"), _F),
        "num_parameters": _I,
        "sparsity": _F,
        **dict.fromkeys(("error", "verdict", "evidence", "proposal"), _S),
    }
)
CURVES = pa.schema(
    {
        "trial_id": _S,
        **dict.fromkeys(("evaluation", "point", "samples_seen"), _I),
        **dict.fromkeys(("train_loss", "validation_loss", "train_metric"), _F),
        **dict.fromkeys(("validation_metric", "value", "learning_rate", "seconds"), _F),
        **dict.fromkeys((each.name for each in fields(Probes)), _F),
    }
)
_FROM_ENDING = (
    "status",
    "reason",
    "test_loss",
    "test_metric",
    "train_seconds",
    "eval_seconds",
    "start_seconds",
    "started_at",
    "ended_at",
    "num_parameters",
    "sparsity",
    "error",
)


def trials_table(
    records: Iterable[Record], rungs: tuple[int, ...], verdicts: Mapping[str, Verdict]
) -> pa.Table:
    """Return one row a trial; ``status`` is null for a trial that hasn't ended.

    Args:
        records: The trials.
        rungs: Of the whole run; ``rung`` counts them from 0, -1 before the first.
        verdicts: Trial to what its curve says, where that is known.
    """
    rows = [_trial_row(each, rungs, verdicts.get(each.trial.trial_id)) for each in records]
    return pa.Table.from_pylist(rows, schema=TRIALS)


def _trial_row(record: Record, rungs: tuple[int, ...], verdict: Verdict | None) -> dict[str, Any]:
    trial, ending, best = record.trial, record.ending, record.best
    last = record.evaluations[-1].point if record.evaluations else 0
    row: dict[str, Any] = {name: getattr(ending, name, None) for name in _FROM_ENDING}
    return row | {
        "trial_id": trial.trial_id,
        "phase": trial.phase,
        "source": trial.source,
        "config": json.dumps(trial.config),
        "seed": trial.seed,
        "division": trial.division,
        "budget_samples": trial.budget_samples,
        "samples_seen": record.samples_seen,
        "rung": max((i for i, rung in enumerate(rungs) if last >= rung), default=-1),
        "best_validation_loss": best.validation_loss if best else math.nan,
        "best_validation_metric": best.validation_metric if best else math.nan,
        "best_samples": best.samples_seen if best else 0,
        "verdict": verdict.name if verdict else None,
        "evidence": verdict.why if verdict else None,
        "proposal": verdict.proposal if verdict else None,
    }


def curves_table(records: Iterable[Record]) -> pa.Table:
    """Return one row an evaluation."""
    rows = [
        {name: getattr(evaluation, name, None) for name in CURVES.names}
        | (asdict(evaluation.probes) if evaluation.probes else {})
        for record in records
        for evaluation in record.evaluations
    ]
    return pa.Table.from_pylist(rows, schema=CURVES)
