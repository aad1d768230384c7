"""The files that a run leaves for its reader: provenance, spaces, tables, result.

What the stages find goes in; nothing is decided here. The run directory's own state (events,
journal, plan) belongs to :mod:`search.rundir` and the pipeline, the best model to
:mod:`search.best`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

from search.data import Dataset
from search.errors import RunDirError
from search.events import PHASES, Phase
from search.findings import Finding
from search.insight.curves import Verdict, judge_all
from search.insight.result import (
    count_trials,
    phase_cost,
    total_cost,
    versions,
)
from search.insight.tables import curves_table, trials_table
from search.report.html import write_report
from search.rundir import PREFLIGHT, PROVENANCE, RESULT, TRUST, RunDir
from search.space import Space
from search.strategy.budget import Plan
from search.strategy.change import Change
from search.strategy.trust import Trust, between_rows, between_rungs
from search.study import DataSection
from search.task import Default
from search.trials import History

Status = Literal["complete", "interrupted", "failed"]
"""How a run ended."""


def write_provenance(run: RunDir, section: DataSection, data: Dataset) -> None:
    """Write what the run is of; refuse other data than an earlier session's.

    Raises:
        RunDirError: The data have changed since the run began.
    """
    if run.exists(PROVENANCE):
        if run.read_json(PROVENANCE)["data"]["fingerprint"] != data.fingerprint:
            raise RunDirError(
                f"the data at {section.uri} have changed since the run in {run.place} began; "
                "start again in another folder"
            )
        return
    sizes = {name: len(rows) for name, rows in data.splits.parts().items()}
    run.write_json(
        PROVENANCE,
        {
            "data": {"uri": section.uri, "fingerprint": data.fingerprint, **sizes},
            "spec": data.spec.to_json(),
            "versions": versions(),
            "started_at": time.time(),
        },
    )


def write_space(
    run: RunDir,
    version: int,
    space: Space,
    changes: Sequence[Change] = (),
    defaults: Sequence[Default] = (),
) -> None:
    """Write a version of the space with the evidence for what has changed in it.

    Args:
        run: The run.
        version: Of the space.
        space: What to write.
        changes: Those that led to it.
        defaults: The model's published configurations, where this is its own space.
    """
    values = {
        "version": version,
        "phase": "coarse" if version == 0 else "fine",
        "dimensions": space.to_json(),
        "fixed": space.fixed,
        "evidence": [change.to_json() for change in changes],
        "defaults": [asdict(default) for default in defaults],
    }
    run.write_json(space_file(version), values)


def read_preflight(run: RunDir) -> list[Finding]:
    """Return what the preflight has found."""
    return [Finding.from_json(each) for each in run.read_json(PREFLIGHT)["findings"]]


def read_defaults(run: RunDir) -> list[Default]:
    """Return the published configurations that the run's model came with."""
    return [Default(**default) for default in run.read_json(space_file(0))["defaults"]]


def read_space(run: RunDir, version: int) -> Space | None:
    """Return a version of the space; None where it hasn't been written."""
    name = space_file(version)
    return Space.from_json(run.read_json(name)["dimensions"]) if run.exists(name) else None


def read_changes(run: RunDir, version: int) -> list[Change]:
    """Return the changes that led to a version of the space."""
    return [Change(**change) for change in run.read_json(space_file(version))["evidence"]]


def space_file(version: int) -> str:
    """Return the file of a version of the space.

    0 is coarse's, 1 fine's as it begins, 2 fine's as it ends where evidence has changed it.
    """
    return f"space/{version}.json"


def write_tables(run: RunDir, history: History, phase: Phase, plan: Plan) -> dict[str, Verdict]:
    """Write a phase's trials and curves; return the verdicts on these by trial."""
    verdicts = judge_all(history, plan.chance)
    run.write_table(f"{phase}/curves.parquet", curves_table(history))
    trials = trials_table(history, plan.ladder.rungs, verdicts)
    run.write_table(f"{phase}/trials.parquet", trials)
    return verdicts


def write_trust(run: RunDir, plan: Plan, phase: Literal["coarse", "fine"]) -> list[Trust]:
    """Write how far coarse could be trusted, and return what a phase that has ended says of it."""
    coarse, fine = History(run.events("coarse")), History(run.events("fine"))
    sizes, ladder = plan.coarse_sizes, plan.ladder
    measured = {
        "coarse": between_rungs(coarse, ladder.coarse, sizes),
        "fine": between_rows(coarse, fine, ladder.common, sizes),
    }
    run.write_json(TRUST, [each.to_json() for found in measured.values() for each in found])
    return measured[phase]


_NOT_PROVEN: dict[str, Any] = {
    "reason": None,
    "winner": None,
    "baseline": None,
    "comparison": None,
    "finalists": [],
    "ensemble": None,
}


def write_result(
    run: RunDir,
    plan: Plan,
    *,
    status: Status,
    metric: str,
    mode: Literal["max", "min"],
    wall_seconds: float,
    **more: Any,
) -> dict[str, Any]:
    """Write ``result.json`` and the report, however the run ended.

    Args:
        run: The run directory.
        plan: The budget's division.
        status: How it ended.
        metric: The study's metric.
        mode: ``max`` where more is better.
        wall_seconds: The run's time so far.
        more: Further parts of the result.

    Returns:
        What the file holds.
    """
    histories: dict[Phase, History] = {phase: History(run.events(phase)) for phase in PHASES}
    costs: dict[str, dict[str, Any]] = {
        phase: phase_cost(
            history,
            wall_seconds=run.phase_seconds(phase),
            full=plan.ladder.full,
            slots=plan.slots,
        )
        for phase, history in histories.items()
        if len(history)
    }
    result = {
        "status": status,
        **_NOT_PROVEN,
        "metric": metric,
        "mode": mode,
        "cost": {"total": total_cost(costs.values(), wall_seconds=wall_seconds), **costs},
        "trials": count_trials(histories),
        "versions": versions(),
        **more,
    }
    for phase, history in histories.items():
        if len(history) and status != "complete":
            write_tables(run, history, phase, plan)
    run.write_json(RESULT, result)
    write_report(run.path)
    run.send("report.html")
    return result
