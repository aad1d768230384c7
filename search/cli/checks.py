"""Commands that look for what is wrong: with data, a model, a cluster."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from search.cli.options import (
    Accept,
    Data,
    Json,
    Label,
    Model,
    Seed,
    Settings,
    StudyFile,
    given,
    show,
    study_of,
)
from search.errors import EXIT_FAILED

if TYPE_CHECKING:
    from search.findings import Finding


def audit(
    study: StudyFile = None,
    data: Data = None,
    label: Label = None,
    accept: Accept = None,
    write_clean: Annotated[
        Path | None,
        typer.Option(
            help="Write a copy without what was found and isn't accepted: a new .parquet or .csv "
            "file."
        ),
    ] = None,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Look for what is wrong with the data: copies, leaks, gaps, suspected labels."""
    resolved = study_of(study, given(data, label, accept=accept), settings or [])
    from search.data import audit as audits
    from search.data.dataset import DataOptions
    from search.data.output import check_new_file
    from search.data.source import read_table
    from search.insight.findings import check_names

    check_names(resolved.checks.accept)
    if write_clean is not None:
        check_new_file(write_clean, "--write-clean")
    options = DataOptions.of(resolved.data, resolved.seed)
    table = read_table(options.uri)
    findings = audits.audit_table(table, options)
    accepted = resolved.checks.accept
    done = [] if write_clean is None else audits.write_clean(table, findings, write_clean, accepted)
    lines = [f"{write_clean}: {line}" for line in done]
    _show(findings, accepted, as_json, lines)


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
    options = given(data, label, model, seed=seed, accept=accept)
    resolved = study_of(study, options, settings or [])
    from search.data import DataOptions, load_dataset
    from search.insight.findings import check_names
    from search.task import load_model
    from search.training.preflight import preflight_on

    check_names(resolved.checks.accept)
    module = load_model(resolved.model)
    dataset = load_dataset(DataOptions.of(resolved.data, resolved.seed))
    findings = preflight_on(module, dataset, resolved)
    _show(findings, resolved.checks.accept, as_json)


def check_model(
    path: Annotated[str, typer.Argument(help="Import path or .py file.")],
    data: Annotated[str, typer.Option(help="Data that the model is for.")] = "sklearn:digits",
    label: Label = None,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Test that a model module keeps its contract: shapes, determinism, resume, predictions."""
    sys.path.insert(0, os.getcwd())
    from dataclasses import asdict

    from search.data import DataOptions, load_dataset
    from search.task import load_model
    from search.training.check import check_model_on

    resolved = study_of(None, given(data, label, path), settings or [])
    module = load_model(resolved.model)
    dataset = load_dataset(DataOptions.of(resolved.data, resolved.seed))
    checks = check_model_on(module, dataset)
    lines = [f"{check.status}  {check.check}: {check.message}" for check in checks]
    show([asdict(check) for check in checks], as_json, lambda: typer.echo("\n".join(lines)))
    if any(check.status == "FAIL" for check in checks):
        raise typer.Exit(EXIT_FAILED)


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
    from search.files import in_full
    from search.insight.nodes import check_nodes

    with connected(address, data_bytes=0):
        where = None if storage is None else in_full(storage)
        findings = check_nodes(ask_nodes(where), with_storage=storage is not None)
    _show(findings, (), as_json)


def _show(
    findings: list[Finding], accepted: tuple[str, ...], as_json: bool, more: Sequence[str] = ()
) -> None:
    """Show what was found; a failure that isn't accepted is the command's.

    Args:
        findings: What was found.
        accepted: Names of checks whose failures don't count.
        as_json: For programs.
        more: Lines for people, below it.
    """
    from search.findings import failures
    from search.report import print_findings

    def in_words() -> None:
        print_findings(found, Console())
        for line in more:
            typer.echo(line)

    found = [each.to_json() for each in findings]
    show(found, as_json, in_words)
    if failures(findings, accepted):
        raise typer.Exit(EXIT_FAILED)
