"""The audit as a stage of a run: what is found is heeded once, before there is a plan."""

from pathlib import Path
from typing import Any

import pytest
from leaky import leaky_table

from search.data import DataOptions
from search.errors import RunFailed, StudyError
from search.execution.clock import RunClock
from search.report import Progress
from search.rundir import AUDIT, PLAN, RunDir
from search.stages.audit import Audit
from search.stages.run_context import RunContext
from search.study import resolve_study


@pytest.fixture
def run_of(tmp_path: Path):
    opened: list[RunDir] = []

    def make(**checks: Any) -> RunContext:
        study = resolve_study({"data": {"uri": "leaky.parquet"}, "checks": checks})
        run_dir = RunDir.create(tmp_path / "run", study.to_json(), study.digest)
        opened.append(run_dir.__enter__())
        return RunContext(study, run_dir, Progress("", "max"), RunClock())

    yield make
    for each in opened:
        each.__exit__(None, None, None)


def started(run: RunContext) -> Audit:
    audit = Audit(run)
    audit.start(leaky_table(), DataOptions.of(run.study.data, run.study.seed))
    return audit


def test_a_failure_is_raised_where_it_is_waited_for_and_once(run_of) -> None:
    run = run_of()
    audit = started(run)
    with pytest.raises(RunFailed, match="leaking_column"):
        audit.heed()
    found = run.dir.read_json(AUDIT)
    assert {"leaking_column"} <= {each["check"] for each in found if each["status"] == "FAIL"}
    audit.heed()


def test_what_is_accepted_lets_the_run_go_on(run_of) -> None:
    run = run_of(accept=["leaking_column"])
    started(run).heed()
    assert "FAIL: leaking_column (accepted)" in (run.dir.path / "journal.jsonl").read_text()


@pytest.mark.parametrize("reason", ["off", "planned"])
def test_no_audit_where_the_study_wants_none_or_the_run_has_a_plan(run_of, reason: str) -> None:
    run = run_of(audit=reason != "off")
    if reason == "planned":
        run.dir.write_json(PLAN, {})
    started(run).heed()
    assert not run.dir.exists(AUDIT)


def test_a_check_that_there_is_not_is_refused(run_of) -> None:
    with pytest.raises(StudyError, match="leeking_column"):
        Audit(run_of(accept=["leeking_column"]))
