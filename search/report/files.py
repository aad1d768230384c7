"""What the report reads of a run directory, as plain records; missing files are no error."""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from search.errors import RunDirError
from search.insight.result import metric_of, resolution_of
from search.rundir import DONE

PHASES = ("coarse", "fine", "confirm")


@dataclass(frozen=True)
class Point:
    """One evaluation of a trial; values that weren't finite are NaN or infinite.

    ``point`` is the planned number of training samples, ``samples_seen`` the true one, ``value``
    what trials are ranked by: lower is better.
    """

    point: int
    samples_seen: int
    train_loss: float
    validation_loss: float
    train_metric: float
    validation_metric: float
    value: float


@dataclass(frozen=True)
class TrialRecord:
    """One row of ``trials.parquet`` with its evaluations of ``curves.parquet``.

    ``status`` is ``completed``, ``stopped``, ``failed``, or ``unfinished`` when the phase ended
    before the trial did. Numbers that aren't known are NaN.
    """

    trial_id: str
    phase: str
    source: str
    config: dict[str, Any]
    status: str
    reason: str
    seed: int
    budget_samples: int
    samples_seen: int
    best_validation_loss: float
    best_validation_metric: float
    best_samples: int
    test_loss: float
    test_metric: float
    train_seconds: float
    eval_seconds: float
    start_seconds: float
    started_at: float
    ended_at: float
    verdict: str | None = None
    evidence: str | None = None
    proposal: str | None = None
    points: tuple[Point, ...] = ()

    @property
    def loss(self) -> float:
        """Best validation loss; infinity for a failed trial or one without a finite loss."""
        good = self.status != "failed" and math.isfinite(self.best_validation_loss)
        return self.best_validation_loss if good else math.inf

    def reached(self, point: int) -> bool:
        """Say whether an evaluation was taken at ``point`` training samples or later."""
        return any(each.point >= point for each in self.points)

    def value_at(self, point: int) -> float | None:
        """Best value up to ``point``; None where it wasn't reached.

        As :meth:`search.trials.Record.value_at`: infinite for a failed trial.
        """
        if self.status == "failed":
            return math.inf
        settled = self.status == "completed" and point <= self.budget_samples
        if not (settled or self.reached(point)):
            return None
        seen = [each for each in self.points if each.point <= point]
        finite = [each.value for each in seen if math.isfinite(each.validation_loss)]
        return min(finite, default=math.inf)


@dataclass(frozen=True)
class Run:
    """A run directory's content.

    Attributes:
        path: The directory.
        trials: All phases' trials, in the phases' order, then as written.
        spaces: ``space/N.json`` by rising N.
        journal: The journal's lines.
        result: ``result.json``; empty when the run didn't reach its end.
        provenance: ``provenance.json``; may be empty.
        study: ``study.json``; may be empty.
        plan: ``plan.json``; may be empty.
        audit: The findings of ``audit.json``; may be empty.
        preflight: Those of ``preflight.json``; may be empty.
        trust: ``trust.json``; may be empty.
        weakness_before: ``weakness/before.json``; may be empty.
        weakness_after: ``weakness/after.json``; may be empty.
        complete: The phases that came to their end.
    """

    path: Path
    trials: tuple[TrialRecord, ...]
    spaces: tuple[dict[str, Any], ...]
    journal: tuple[dict[str, Any], ...]
    result: dict[str, Any]
    provenance: dict[str, Any]
    study: dict[str, Any]
    plan: dict[str, Any]
    audit: tuple[dict[str, Any], ...] = ()
    preflight: tuple[dict[str, Any], ...] = ()
    trust: tuple[dict[str, Any], ...] = ()
    weakness_before: dict[str, Any] = field(default_factory=dict)
    weakness_after: dict[str, Any] = field(default_factory=dict)
    complete: tuple[str, ...] = ()

    def of_phase(self, phase: str) -> list[TrialRecord]:
        """Return the trials of a phase; none when it hasn't been reached."""
        return [trial for trial in self.trials if trial.phase == phase]

    @cached_property
    def metric(self) -> str:
        """The metric's name, ``metric`` where no file says it."""
        return metric_of(self._told_metric, self.task)[0]

    @cached_property
    def mode(self) -> Literal["max", "min"]:
        """Which of the metric's values are better."""
        return metric_of(self._told_metric, self.task)[1]

    @property
    def _told_metric(self) -> str | None:
        told = self.result.get("metric") or (self.study.get("study") or self.study).get("metric")
        return None if told is None else str(told)

    @property
    def task(self) -> str:
        """``classification`` or ``regression``; empty where no file says it."""
        return str((self.provenance.get("spec") or {}).get("task") or "")

    @property
    def resolution(self) -> float:
        """The step in which the metric comes on the test rows; 0 where it has none."""
        num_rows = (self.provenance.get("data") or {}).get("test")
        return resolution_of(self.task, num_rows)

    @property
    def ranks_by_metric(self) -> bool:
        """Whether trials are ranked by the metric, not by the loss."""
        return (self.study.get("study") or self.study).get("promote_by") == "metric"

    @property
    def rungs(self) -> tuple[int, ...]:
        """The run's rungs in training samples, rising; none before the plan was made."""
        return tuple(self.plan.get("rungs") or ())

    @property
    def seed(self) -> int:
        """The study's seed."""
        return int((self.study.get("study") or self.study).get("seed") or 0)

    @cached_property
    def space_before(self) -> dict[str, Any] | None:
        """The space that coarse searched first."""
        return next((space for space in self.spaces if space.get("phase") == "coarse"), None)

    @cached_property
    def space_after(self) -> dict[str, Any] | None:
        """The space that fine searched last."""
        fine = [space for space in self.spaces if space.get("phase") == "fine"]
        return fine[-1] if fine else None


def read_run(run_dir: Path) -> Run:
    """Read what there is of a run.

    Args:
        run_dir: The run directory.

    Raises:
        RunDirError: There is no such folder, nothing of a run in it, or a file is damaged.
    """
    if not run_dir.is_dir():
        raise RunDirError(f"no run directory '{run_dir}'; give the folder that the run wrote")
    run = Run(
        path=run_dir,
        trials=tuple(trial for phase in PHASES for trial in _read_phase(run_dir, phase)),
        spaces=tuple(_read_spaces(run_dir / "space")),
        journal=tuple(_read_lines(run_dir / "journal.jsonl")),
        result=_read_json(run_dir / "result.json"),
        provenance=_read_json(run_dir / "provenance.json"),
        study=_read_json(run_dir / "study.json"),
        plan=_read_json(run_dir / "plan.json"),
        audit=tuple(_read_json(run_dir / "audit.json")),
        preflight=tuple(_read_json(run_dir / "preflight.json").get("findings") or ()),
        trust=tuple(_read_json(run_dir / "trust.json")),
        weakness_before=_read_json(run_dir / "weakness" / "before.json"),
        weakness_after=_read_json(run_dir / "weakness" / "after.json"),
        complete=tuple(phase for phase in PHASES if (run_dir / phase / DONE).is_file()),
    )
    if not (run.trials or run.spaces or run.journal or run.result or run.study):
        raise RunDirError(f"'{run_dir}' holds nothing of a run; give the folder that the run wrote")
    return run


def _read_phase(run_dir: Path, phase: str) -> list[TrialRecord]:
    points: dict[str, list[Point]] = {}
    for row in _read_parquet(run_dir / phase / "curves.parquet", "evaluation"):
        steps = (int(row.get("point", row["samples_seen"])), int(row["samples_seen"]))
        row.setdefault("value", row["validation_loss"])
        point = Point(*steps, *(_real(row[f.name]) for f in fields(Point)[2:]))
        points.setdefault(row["trial_id"], []).append(point)
    rows = _read_parquet(run_dir / phase / "trials.parquet")
    return [_trial(row, tuple(points.get(row["trial_id"], ()))) for row in rows]


def _trial(row: dict[str, Any], points: tuple[Point, ...]) -> TrialRecord:
    values: dict[str, Any] = {"points": points, "config": json.loads(row["config"])}
    for each in fields(TrialRecord):
        if each.name not in values:
            given = row.get(each.name)
            values[each.name] = _real(given) if each.type == "float" else given
    values["status"] = values["status"] or "unfinished"
    values["reason"] = values["reason"] or ""
    return TrialRecord(**values)


def _real(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _read_parquet(path: Path, order: str | None = None) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise RunDirError(f"{path} can't be read ({error}); delete it to leave it out") from error
    rows: list[dict[str, Any]] = (table.sort_by(order) if order else table).to_pylist()
    return rows


def _read_json(path: Path) -> Any:
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunDirError(f"{path} is no JSON ({error}); delete it to leave it out") from error


def _read_spaces(folder: Path) -> list[dict[str, Any]]:
    numbered = [path for path in folder.glob("*.json") if path.stem.isdigit()]
    return [_read_json(path) for path in sorted(numbered, key=lambda path: int(path.stem))]


def _read_lines(path: Path) -> list[dict[str, Any]]:
    """Read JSON lines; those that a crash cut off are left out."""
    if not path.is_file():
        return []
    read: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            read.append(json.loads(line))
    return [entry for entry in read if isinstance(entry, dict) and "time" in entry]
