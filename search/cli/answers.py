"""Commands that read what a run has left."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from search.cli.options import Json, RunFolder, show


def report(run_dir: RunFolder) -> None:
    """Write report.html again from the run's files."""
    from search.report import write_report
    from search.rundir import RunDir

    with RunDir.open(run_dir) as opened:
        name = write_report(opened.path).name
        opened.send(name)
    typer.echo(opened.below(name))


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
    show(answer.to_json(), as_json, lambda: print_why(answer, Console()))


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
    show(summary, as_json, lambda: print_prediction(summary, Console()))
