"""The commands, thin: read the arguments, call the pipeline, say how it went.

Heavy modules are imported inside of the commands, so that wrong use is answered at once.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from search.errors import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    Interrupted,
    RunFailed,
    SieveError,
)
from search.study import (
    QUICK_START,
    Study,
    load_study_file,
    overlay,
    parse_setting,
    resolve_study,
)

if TYPE_CHECKING:
    from search.findings import Finding
    from search.rundir import RunDir

app = typer.Typer(
    name="sieve",
    help="Finds good hyperparameters and proves that they are good.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

RunFolder = Annotated[str, typer.Argument(help="The run's folder, or s3://bucket/folder.")]
Json = Annotated[bool, typer.Option("--json", help="Lines of JSON on stdout, for programs.")]
StudyFile = Annotated[
    Path | None, typer.Argument(help="Study file (YAML); none: a quick start on digits.")
]
Data = Annotated[str | None, typer.Option(help="sklearn:NAME, Parquet, CSV.")]
Label = Annotated[str | None, typer.Option(help="The column to predict.")]
Model = Annotated[str | None, typer.Option(help="Import path or .py file.")]
TimeBudget = Annotated[str | None, typer.Option(help="For the whole run: 90s, 20m.")]
Accept = Annotated[
    list[str] | None, typer.Option(help="An audit check whose failure doesn't stop the run.")
]
Seed = Annotated[int | None, typer.Option(help="Seeds everything.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="Any study key: coarse.num_trials=20.")
]
Address = Annotated[
    str | None,
    typer.Option(help="Of a running Ray cluster (auto, host:port); none: a local one."),
]


@app.command()
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
    given = _given(data, label, model, time_budget, seed, accept)
    resolved = _study(study, given, settings or [])
    from search.rundir import RunDir

    folder = out or f"runs/{time.strftime('%Y%m%d-%H%M%S')}"
    run_dir = RunDir.create(folder, resolved.to_json(), resolved.digest)
    try:
        _carry_out(resolved, run_dir, address, as_json)
    except SieveError as error:
        run_dir.discard_unbegun(keep_findings=isinstance(error, RunFailed))
        raise


@app.command()
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

    opened = RunDir.open(run_dir)
    _carry_out(resolve_study(opened.study()), opened, address, as_json, repair=repair)


@app.command()
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
    resolved = _study(study, _given(data, label, model, time_budget, seed), settings or [])
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
    if as_json:
        typer.echo(json.dumps(ahead))
    else:
        print_plan(ahead, Console())


@app.command()
def audit(
    study: StudyFile = None,
    data: Data = None,
    label: Label = None,
    accept: Accept = None,
    write_clean: Annotated[
        Path | None, typer.Option(help="Write a cleaned copy: a new .parquet or .csv file.")
    ] = None,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Look for what is wrong with the data: copies, leaks, gaps, suspected labels."""
    resolved = _study(study, _given(data, label, accept=accept), settings or [])
    from search.data import audit as audits
    from search.data.dataset import DataOptions
    from search.data.source import read_table

    options = DataOptions.of(resolved.data, resolved.seed)
    table = read_table(options.uri)
    findings = audits.audit_table(table, options)
    done = [] if write_clean is None else audits.write_clean(table, findings, write_clean)
    _show_findings(findings, resolved.checks.accept, as_json)
    for line in done if not as_json else ():
        typer.echo(f"{write_clean}: {line}")
    if audits.failures(findings, resolved.checks.accept):
        raise typer.Exit(EXIT_FAILED)


@app.command()
def preflight(
    study: StudyFile = None,
    data: Data = None,
    label: Label = None,
    model: Model = None,
    seed: Seed = None,
    accept: Accept = None,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Look for what is wrong with the model, and which learning rates and batch sizes it bears."""
    sys.path.insert(0, os.getcwd())
    given = _given(data, label, model, seed=seed, accept=accept)
    resolved = _study(study, given, settings or [])
    from search.data import DataOptions, load_dataset
    from search.findings import failures
    from search.task import load_model
    from search.training.preflight import preflight_on

    module = load_model(resolved.model)
    dataset = load_dataset(DataOptions.of(resolved.data, resolved.seed))
    findings = preflight_on(module, dataset, resolved)
    _show_findings(findings, resolved.checks.accept, as_json)
    if failures(findings, resolved.checks.accept):
        raise typer.Exit(EXIT_FAILED)


def _show_findings(findings: list[Finding], accepted: tuple[str, ...], as_json: bool) -> None:
    from search.insight.findings import check_names
    from search.report import print_findings

    check_names(accepted)
    if as_json:
        typer.echo(json.dumps([each.to_json() for each in findings]))
    else:
        print_findings([each.to_json() for each in findings], Console())


@app.command()
def simulate(
    run_dir: RunFolder,
    workers: Annotated[int | None, typer.Option(min=1, help="Trials at a time.")] = None,
    time_budget: TimeBudget = None,
    repeats: Annotated[int, typer.Option(min=1, help="Runs, each with a seed of its own.")] = 3,
    failures: Annotated[float, typer.Option(min=0, max=1, help="Share of trials.")] = 0.0,
    stragglers: Annotated[float, typer.Option(min=0, max=1, help="Share of evaluations.")] = 0.0,
    as_json: Json = False,
) -> None:
    """Simulate a run on other machines or with another budget, from its recorded curves."""
    from search.rehearsal import Circumstances, Rehearsal
    from search.report import print_rehearsals
    from search.rundir import RunDir
    from search.study import parse_duration

    budget = None if time_budget is None else parse_duration(time_budget)
    circumstances = Circumstances(workers, budget, failures, stragglers)
    with RunDir.open(run_dir) as opened:
        forecasts = Rehearsal(opened).runs(circumstances, range(repeats))
    runs = [{"seed": seed, **each.to_json()} for seed, each in enumerate(forecasts)]
    if as_json:
        typer.echo(json.dumps(runs))
    else:
        print_rehearsals(runs, Console())


@app.command()
def report(run_dir: RunFolder) -> None:
    """Write report.html again from the run's files."""
    from search.report import write_report
    from search.rundir import RunDir

    with RunDir.open(run_dir) as opened:
        name = write_report(opened.path).name
        opened.send(name)
    typer.echo(f"{opened.place}/{name}")


@app.command()
def why(
    run_dir: RunFolder,
    trial: Annotated[
        str | None, typer.Argument(help="A trial's id, or 'baseline'; none: the winner.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Explain a trial: who proposed it, what was decided on it and why, what came of it."""
    from search.insight.why import explain
    from search.report import print_why
    from search.rundir import RunDir

    with RunDir.open(run_dir) as opened:
        answer = explain(opened, trial)
    if as_json:
        typer.echo(json.dumps(answer.to_json()))
    else:
        print_why(answer, Console())


@app.command()
def predict(
    run_dir: RunFolder,
    data: Annotated[str, typer.Option(help="The rows: Parquet, CSV, sklearn:NAME.")],
    out: Annotated[
        Path | None, typer.Option(help="Write all predictions: a new .parquet or .csv file.")
    ] = None,
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="Predict with the run's ensemble.")
    ] = False,
    model: Annotated[
        str | None, typer.Option(help="The run's model module, where it has moved.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Predict new rows with a run's best model, or with its ensemble."""
    sys.path.insert(0, os.getcwd())
    from search.prediction import predict as predict_rows
    from search.report import print_prediction
    from search.rundir import RunDir

    with RunDir.open(run_dir) as opened:
        summary = predict_rows(opened, data, out=out, ensemble=ensemble, model=model)
    if as_json:
        typer.echo(json.dumps(summary))
    else:
        print_prediction(summary, Console())


@app.command("check-model")
def check_model(
    path: Annotated[str, typer.Argument(help="Import path or .py file.")],
    data: Annotated[str, typer.Option(help="Data that the model is for.")] = "sklearn:digits",
    label: Annotated[str | None, typer.Option(help="The column to predict.")] = None,
    as_json: Json = False,
) -> None:
    """Test that a model module keeps its contract: shapes, determinism, resume, predictions."""
    sys.path.insert(0, os.getcwd())
    from dataclasses import asdict

    from search.data import DataOptions, load_dataset
    from search.task import load_model
    from search.training.check import check_model_on

    module = load_model(path)
    checks = check_model_on(module, load_dataset(DataOptions(uri=data, label=label)))
    if as_json:
        typer.echo(json.dumps([asdict(check) for check in checks]))
    else:
        for check in checks:
            typer.echo(f"{check.status}  {check.check}: {check.message}")
    if any(check.status == "FAIL" for check in checks):
        raise typer.Exit(EXIT_FAILED)


@app.command("check-cluster")
def check_cluster(
    address: Annotated[str, typer.Option(help="Of the cluster: auto, host:port.")] = "auto",
    storage: Annotated[
        str | None, typer.Option(help="The folder that runs are to be kept in.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Look whether a Ray cluster's nodes can carry a run: versions, code, storage, doors, disks."""
    from search.execution.cluster import connected
    from search.execution.nodes import ask_nodes
    from search.findings import failures
    from search.insight.nodes import check_nodes
    from search.report import print_findings

    with connected(address, data_bytes=0):
        findings = check_nodes(ask_nodes(storage))
    shown = [each.to_json() for each in findings]
    if as_json:
        typer.echo(json.dumps(shown))
    else:
        print_findings(shown, Console())
    if failures(findings):
        raise typer.Exit(EXIT_FAILED)


def _given(
    data: str | None,
    label: str | None,
    model: str | None = None,
    time_budget: str | None = None,
    seed: int | None = None,
    accept: list[str] | None = None,
) -> dict[str, Any]:
    return {
        "data.uri": data,
        "data.label": label,
        "model": model,
        "time_budget": time_budget,
        "seed": seed,
        "checks.accept": accept,
    }


def _study(path: Path | None, given: dict[str, Any], settings: list[str]) -> Study:
    """Lay the options over the study file, or over the quick start where nothing is given."""
    quick = path is None and given["data.uri"] is None
    values = QUICK_START if quick else {} if path is None else load_study_file(path)
    for key, value in given.items():
        if value is not None:
            values = overlay(values, key, value)
    for setting in settings:
        values = overlay(values, *parse_setting(setting))
    return resolve_study(values)


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
        report = f"{run_dir.place}/report.html" if run_dir.exists("report.html") else None
    if as_json:
        typer.echo(json.dumps({"event": "result", **result}))
    else:
        print_summary(result, report, console)


def main() -> None:
    """Run a command; errors that the user can mend are one line and an exit code."""
    try:
        sys.exit(app(standalone_mode=False) or EXIT_DONE)
    except SieveError as error:
        _fail(str(error), error.exit_code)
    except (Interrupted, KeyboardInterrupt):
        _fail("interrupted; 'sieve resume' on the run directory goes on", EXIT_INTERRUPTED)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except typer.Abort:
        sys.exit(EXIT_INTERRUPTED)
    except Exception as error:
        _usage_or_raise(error)


def _usage_or_raise(error: Exception) -> None:
    """Show click's own usage errors in a line; everything else is a bug with its traceback."""
    message, code = getattr(error, "format_message", None), getattr(error, "exit_code", 1)
    if message is None:
        raise error
    _fail(message(), code)


def _fail(message: str, code: int) -> None:
    line = " ".join(message.split())
    print(f"sieve: {line}", file=sys.stderr)
    sys.exit(code)
