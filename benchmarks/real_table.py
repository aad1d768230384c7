"""The table of ``benchmarks.real``: what every method found in the same wall time.

``python -m benchmarks.real_table DIR`` writes ``benchmarks/REAL.md``.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from pathlib import Path
from typing import Any

from benchmarks.real import METHODS, TASKS
from benchmarks.table import PEER_NAMES, machine, markdown_table, paired_difference, time_to

NAMES = {"sieve": "sieve", **PEER_NAMES, "syne_tune": "Syne Tune, ASHA + BORE"}
Runs = dict[str, dict[int, dict[str, Any]]]
"""{method: {seed: what ``benchmarks.real`` has kept}}, of one task."""

_INTRODUCTION = """# Real trainings, several seeds

Written by `python -m benchmarks.real_table`; nothing here is typed in by hand.

`SIEVE_DATA=FOLDER python -m benchmarks.real --seeds 5 --out DIR` runs what isn't in `DIR` yet. The
peers need `scripts/install .venv benchmarks,peers`.

Every method searches for the same wall time on the same slots, data, model and space, one run at a
time. The *loss* is the lowest on validation (the rows that sieve's search looks at, at most 5,000)
when that time is over, *at* is when a method has reached it. *sieve there* is when sieve reached
the loss that the method ended with, *of all* that as a share of the time that all methods had, and
*ratio* as one of the method's own time to that loss: it is large where a method came soon to a loss
that it never bettered. Medians over the seeds. *Test* is the accuracy of the best configuration,
retrained on all the training rows: once for a peer, the mean of the confirmation's seeds for sieve.
*Sieve's test minus its* is paired by seed, with its 95 % interval.
"""


def read_runs(folder: Path, task: str) -> Runs:
    """Return what ``benchmarks.real`` has measured of a task."""
    runs: Runs = {}
    for path in sorted(folder.glob(f"{task}-*/*.json")):
        if path.stem in METHODS:
            seed = int(path.parent.name.rpartition("-")[2])
            runs.setdefault(path.stem, {})[seed] = json.loads(path.read_text())
    return runs


def rows_of(task: str, runs: Runs) -> list[list[str]]:
    """Return a task's rows of the table, the lowest mean loss first."""
    order = sorted(runs, key=lambda name: statistics.mean(_losses(runs[name])))
    return [_row(task, method, runs[method], runs.get("sieve", {})) for method in order]


def _losses(by_seed: dict[int, dict[str, Any]]) -> list[float]:
    return [run["curve"][-1][1] for run in by_seed.values()]


def _row(
    task: str, method: str, theirs: dict[int, dict[str, Any]], ours: dict[int, dict[str, Any]]
) -> list[str]:
    tests = [run["test"]["mean"] for run in theirs.values()]
    at = statistics.median(run["curve"][-1][0] for run in theirs.values())
    row = [task, NAMES[method], str(len(theirs)), _spread(_losses(theirs)), f"{at:.0f} s"]
    shared = sorted(set(theirs) & set(ours)) if method != "sieve" else []
    if not shared:
        return [*row, "", "", "", _spread(tests), ""]
    pairs = [(theirs[seed], ours[seed]) for seed in shared]
    there = [time_to(our["curve"], their["curve"][-1][1]) for their, our in pairs]
    shares = [t / our["search_seconds"] for t, (_, our) in zip(there, pairs, strict=True)]
    ratios = [t / their["curve"][-1][0] for t, (their, _) in zip(there, pairs, strict=True)]
    own, other = ({seed: runs[seed]["test"]["mean"] for seed in shared} for runs in (ours, theirs))
    return [
        *row,
        _finite(statistics.median(there), "{:.0f} s"),
        _finite(statistics.median(shares), "{:.2f}"),
        _finite(statistics.median(ratios), "{:.2f}"),
        _spread(tests),
        paired_difference(own, other),
    ]


def _finite(value: float, shape: str) -> str:
    return shape.format(value) if math.isfinite(value) else "not reached"


def _spread(values: list[float]) -> str:
    spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.4f}{spread}"


def write_page(folder: Path, target: Path) -> None:
    """Write the page.

    Args:
        folder: Of ``benchmarks.real --out``.
        target: The Markdown file.
    """
    header = ["task", "method", "seeds", "loss", "at", "sieve there", "of all", "ratio", "test"]
    header.append("sieve's test minus its")
    rows = [row for task in TASKS for row in rows_of(task, read_runs(folder, task))]
    target.write_text("\n".join([_INTRODUCTION, machine(), markdown_table(header, rows)]))


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="of python -m benchmarks.real --out")
    parser.add_argument("--readme", type=Path, default=Path(__file__).with_name("REAL.md"))
    arguments = parser.parse_args()
    write_page(arguments.folder, arguments.readme)


if __name__ == "__main__":
    main()
