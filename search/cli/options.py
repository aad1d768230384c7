"""The options that several commands have, the study that they add up to, how an answer is shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from search.files import finite
from search.study import (
    QUICK_START,
    Study,
    load_study_file,
    overlay,
    parse_setting,
    resolve_study,
)

_ACCEPT = "checks.accept"
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
    list[str] | None, typer.Option(help="A check whose failure doesn't stop the run.")
]
Seed = Annotated[int | None, typer.Option(help="Seeds everything.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="Any study key: coarse.num_trials=20.")
]
Address = Annotated[
    str | None,
    typer.Option(help="Of a running Ray cluster (auto, host:port); none: a local one."),
]


def given(
    data: str | None,
    label: str | None,
    model: str | None = None,
    time_budget: str | None = None,
    seed: int | None = None,
    accept: list[str] | None = None,
) -> dict[str, Any]:
    """Return study keys to what options have given for them; None: nothing."""
    return {
        "data.uri": data,
        "data.label": label,
        "model": model,
        "time_budget": time_budget,
        "seed": seed,
        _ACCEPT: accept,
    }


def study_of(path: Path | None, given: dict[str, Any], settings: list[str]) -> Study:
    """Lay the options over the study file, or over the quick start where nothing is given.

    Args:
        path: Of the study file; None: there is none.
        given: Study keys to values; what is accepted is added to what the file accepts.
        settings: ``KEY=VALUE``, laid over all others.

    Raises:
        StudyError: A key or a value is wrong.
    """
    set_to = [parse_setting(setting) for setting in settings]
    has_data = given["data.uri"] is not None or any(key == "data.uri" for key, _ in set_to)
    quick = path is None and not has_data
    values = QUICK_START if quick else {} if path is None else load_study_file(path)
    for key, value in given.items():
        if key == _ACCEPT and value is not None:
            value = [*((values.get("checks") or {}).get("accept") or ()), *value]
        if value is not None:
            values = overlay(values, key, value)
    for setting in set_to:
        values = overlay(values, *setting)
    return resolve_study(values)


def show(values: Any, as_json: bool, in_words: Callable[[], None]) -> None:
    """Show a command's answer: as a line of JSON for programs, or in words."""
    if as_json:
        typer.echo(json.dumps(finite(values), allow_nan=False))
    else:
        in_words()
