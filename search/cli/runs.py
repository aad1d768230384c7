"""Commands that carry out a run, or foresee one."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from search.cli.options import (
    Accept,
    Address,
    Data,
    Json,
    Label,
    Model,
    RunFolder,
    Seed,
    Settings,
    StudyFile,
    TimeBudget,
    given,
    show,
    study_of,
)
from search.errors import RunFailed, SieveError
from search.study import Study, resolve_study

if TYPE_CHECKING:
    from search.rundir import RunDir


def run(
    study: StudyFile = None,
    data: Data = None,
    label: Label = None,
    model: Model = None,
    out: Annotated[
        str | None, typer.Option(help="Folder, or s3://bucket/folder; default runs/<time>.")
    ] = None,
    time_budget: TimeBudget = None,
    seed: Seed = None,
    accept: Accept = None,
    settings: Settings = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Tune a model: coarse, narrow, fine, confirm, report."""
    options = given(data, label, model, time_budget, seed, accept)
    resolved = study_of(study, options, settings or [])
    from search.rundir import RunDir

    folder = out or f"runs/{time.strftime('%Y%m%d-%H%M%S')}"
    run_dir = RunDir.create(folder, resolved.to_json(), resolved.digest)
    run_dir.occupy()
    try:
        _carry_out(resolved, run_dir, address, as_json)
    except SieveError as error:
        run_dir.discard_unbegun(keep_findings=isinstance(error, RunFailed))
        raise


def resume(
    run_dir: RunFolder,
    repair: Annotated[
        bool, typer.Option(help="Go on without what stands after a damaged line of a log.")
    ] = False,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Go on with a run that was interrupted or killed."""
    from search.rundir import RunDir

    with RunDir.open(run_dir) as opened:
        opened.occupy()
        if (begun_in := opened.begun_in()) is not None:
            os.chdir(begun_in)  # from where paths in the study are meant
        _carry_out(resolve_study(opened.study()), opened, address, as_json, repair=repair)


def plan(
    study: StudyFile = None,
    data: Data = None,
    label: Label = None,
    model: Model = None,
    time_budget: TimeBudget = None,
    seed: Seed = None,
    settings: Settings = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Say what a run would cost, before it costs: measures the speed, simulates the rest."""
    sys.path.insert(0, os.getcwd())
    resolved = study_of(study, given(data, label, model, time_budget, seed), settings or [])
    from search.pipeline import Run
    from search.report import Progress, print_plan
    from search.rundir import RunDir

    with tempfile.TemporaryDirectory(prefix="sieve-plan-") as folder:
        run_dir = RunDir.create(Path(folder) / "run", resolved.to_json(), resolved.digest)
        with run_dir:
            run = Run(
                resolved,
                run_dir,
                Progress("", "max"),
                address=address,
                search_path=(os.getcwd(),),
            )
            ahead = run.look_ahead()
    show(ahead, as_json, lambda: print_plan(ahead, Console()))


def simulate(
    run_dir: RunFolder,
    workers: Annotated[int | None, typer.Option(min=1, help="Trials at a time.")] = None,
    time_budget: TimeBudget = None,
    repeats: Annotated[int, typer.Option(min=1, help="Runs, each with a seed of its own.")] = 3,
    failures: Annotated[float, typer.Option(min=0, max=1, help="Share of trials.")] = 0.0,
    stragglers: Annotated[float, typer.Option(min=0, max=1, help="Share of evaluations.")] = 0.0,
    model: Annotated[
        bool, typer.Option(help="Ask the searcher's model; without, fine proposes at random.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Simulate a run on other machines or with another budget, from its recorded curves.

    Each repeat is printed when it is done. Most of its time goes into the searcher's model; with
    --no-model numbers of trials and times are much the same, losses are higher. Curves' verdicts,
    which end trainings early in a run, have no say here.
    """
    from search.rehearsal import Circumstances, Rehearsal
    from search.report import print_rehearsals
    from search.rundir import RunDir
    from search.study import parse_duration

    budget = None if time_budget is None else parse_duration(time_budget)
    circumstances = Circumstances(workers, budget, failures, stragglers, thinks=model)
    with RunDir.open(run_dir) as opened:
        forecasts = Rehearsal(opened).runs(circumstances, range(repeats))
    runs = ({"seed": seed, **each.to_json()} for seed, each in enumerate(forecasts))
    show(list(runs) if as_json else runs, as_json, lambda: print_rehearsals(runs, Console()))


def _carry_out(
    study: Study, run_dir: RunDir, address: str | None, as_json: bool, *, repair: bool = False
) -> None:
    sys.path.insert(0, os.getcwd())
    from search.pipeline import Run
    from search.report import Progress, make_display, print_summary

    console = Console()
    progress = Progress("", "max")
    with run_dir:
        if not as_json:
            console.print(f"run directory: {run_dir.place}", highlight=False, soft_wrap=True)
        with make_display(progress, json=as_json):
            result = Run(
                study,
                run_dir,
                progress,
                address=address,
                repair=repair,
                search_path=(os.getcwd(),),
            ).go()
        report = run_dir.below("report.html") if run_dir.exists("report.html") else None
    answer = {"event": "result", **result}
    show(answer, as_json, lambda: print_summary(result, report, console))
