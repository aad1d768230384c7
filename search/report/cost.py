"""What a run cost, by phase: from ``result.json``, else added up from the trials."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from search.report import text
from search.report.files import PHASES, Run, TrialRecord


@dataclass(frozen=True)
class Measure:
    """A column of the cost table.

    Attributes:
        key: Its key in ``result.json``.
        title: Its head.
        form: How its values are written: ``count``, ``seconds``, ``number`` or ``share``.
        note: What it means.
    """

    key: str
    title: str
    form: str
    note: str


MEASURES = (
    Measure("trials", "Trials", "count", "Trials that were started"),
    Measure("samples_seen", "Samples seen", "count", "Training samples, repeats included"),
    Measure("full_run_equivalents", "Full runs", "number", "Samples, in units of one full run"),
    Measure("trial_seconds", "Trial time", "seconds", "Training and evaluation, all trials"),
    Measure("wall_seconds", "Wall time", "seconds", "From the phase's start to its end"),
    Measure("training_share", "Training share", "share", "Slots' time that went into training"),
    Measure("trial_start_seconds", "Trial start", "seconds", "Between two trials of a slot"),
)


@dataclass(frozen=True)
class Cell:
    """A value of the cost table.

    Attributes:
        value: The number; NaN where it isn't known.
        shown: As people read it.
        percent: The bar's length: of the largest phase, or of 1 for a share; 0 for the total.
    """

    value: float
    shown: str
    percent: float


@dataclass(frozen=True)
class CostRow:
    """A phase, or the total, with one cell for each of the table's measures."""

    phase: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class CostTable:
    """The measures that at least one phase knows, and the phases' rows, the total last."""

    measures: tuple[Measure, ...]
    rows: tuple[CostRow, ...]


def cost_table(run: Run) -> CostTable | None:
    """Return the cost of each phase that began and of all together; None before the first."""
    told = run.result.get("cost") or {}
    phases = [phase for phase in PHASES if run.of_phase(phase) or told.get(phase)]
    if not phases:
        return None
    values = {phase: _phase_values(run, phase) for phase in phases}
    if len(phases) > 1:
        values["total"] = _total(run, list(values.values()))
    known = [m for m in MEASURES if any(math.isfinite(row[m.key]) for row in values.values())]
    rows = [_row(phase, row, values, known) for phase, row in values.items()]
    return CostTable(tuple(known), tuple(rows))


def _phase_values(run: Run, phase: str) -> dict[str, float]:
    trials = run.of_phase(phase)
    given: dict[str, Any] = (run.result.get("cost") or {}).get(phase) or {}
    counted = (run.result.get("trials") or {}).get(phase)
    return {"trials": _known(counted, float(len(trials)))} | {
        measure.key: _known(given.get(measure.key), _added_up(trials, measure.key))
        for measure in MEASURES[1:]
    }


def _known(given: Any, otherwise: float) -> float:
    return otherwise if given is None else float(given)


def _added_up(trials: list[TrialRecord], key: str) -> float:
    if not trials:
        return math.nan
    if key == "samples_seen":
        return float(sum(trial.samples_seen for trial in trials))
    if key == "trial_seconds":
        return float(np.nansum([trial.train_seconds + trial.eval_seconds for trial in trials]))
    if key == "wall_seconds":
        begun = [trial.started_at for trial in trials if math.isfinite(trial.started_at)]
        ended = [trial.ended_at for trial in trials if math.isfinite(trial.ended_at)]
        return max(ended) - min(begun) if begun and ended else math.nan
    if key == "trial_start_seconds":
        starts = [t.start_seconds for t in trials if math.isfinite(t.start_seconds)]
        return float(np.median(starts)) if starts else math.nan
    return math.nan


def _total(run: Run, rows: list[dict[str, float]]) -> dict[str, float]:
    given: dict[str, Any] = (run.result.get("cost") or {}).get("total") or {}
    shares = ("training_share", "trial_start_seconds")
    return {
        key: _known(given.get(key), math.nan if key in shares else sum(row[key] for row in rows))
        for key in (measure.key for measure in MEASURES)
    }


def _row(
    phase: str, row: dict[str, float], values: dict[str, dict[str, float]], known: list[Measure]
) -> CostRow:
    cells = []
    for measure in known:
        others = [each[measure.key] for name, each in values.items() if name != "total"]
        whole = 1.0 if measure.form == "share" else max(map(_zero, others), default=0.0)
        value = row[measure.key]
        length = 100 * _zero(value) / whole if whole > 0 and phase != "total" else 0.0
        cells.append(Cell(value, _shown(value, measure.form), round(min(length, 100.0), 1)))
    return CostRow(phase, tuple(cells))


def _zero(value: float) -> float:
    return value if math.isfinite(value) else 0.0


def _shown(value: float, form: str) -> str:
    if form == "seconds":
        return text.seconds(value)
    if form == "count":
        return text.count(value)
    if form == "share":
        return f"{100 * value:.0f} %" if math.isfinite(value) else text.NONE
    return text.number(value, 3)
