"""A forecast in the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

from rich.console import Console
from rich.table import Table

from search.report import text


def print_plan(forecast: Mapping[str, Any], console: Console) -> None:
    """Print what a run would cost, phase by phase.

    Args:
        forecast: A forecast's JSON, with ``describe`` in words.
        console: Where to print.
    """
    console.print(forecast["describe"], highlight=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    table.add_column("phase")
    for name in ("trials", "in full", "samples", "ends at"):
        table.add_column(name, justify="right")
    for phase in forecast["phases"]:
        table.add_row(
            phase["phase"],
            str(phase["num_trials"]),
            str(phase["num_completed"]),
            f"{phase['samples']:,}",
            text.seconds(phase["ends_at"]),
        )
    console.print(table)
    hours = forecast["slots"] * forecast["wall_seconds"] / 3600
    console.print(
        f"about {text.seconds(forecast['wall_seconds'])} on {forecast['slots']} slots: "
        f"{hours:.2g} slot-hours",
        highlight=False,
    )


_COLUMNS = ("seed", "coarse", "fine", "failed", "in full", "best loss", "busy", "wall time")


def print_rehearsals(runs: Iterable[Mapping[str, Any]], console: Console) -> None:
    """Print simulated runs, one a line, each as soon as it is there.

    Args:
        runs: Forecasts' JSON, each with its ``seed``.
        console: Where to print.
    """
    for cells in chain([_COLUMNS], map(_cells, runs)):
        console.print("  ".join(f"{cell:>9}" for cell in cells), highlight=False, soft_wrap=True)


def _cells(run: Mapping[str, Any]) -> list[str]:
    phases = {phase["phase"]: phase for phase in run["phases"]}
    search = [phases[name] for name in ("coarse", "fine") if name in phases]
    best = search[-1]["best_loss"]
    return [
        str(run["seed"]),
        *(str(phases[name]["num_trials"]) if name in phases else "" for name in ("coarse", "fine")),
        str(sum(phase["num_failed"] for phase in search)),
        str(sum(phase["num_completed"] for phase in search)),
        "" if best is None else f"{best:.4g}",
        f"{run['busy_share']:.0%}",
        text.seconds(run["wall_seconds"]),
    ]
