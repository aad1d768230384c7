"""``python -m benchmarks.search --methods M,… --tasks T,… --seeds 10 --workers 8 --out DIR``."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.search.methods import METHODS
from benchmarks.search.peer import Trace
from benchmarks.search.report import read_missing, read_runs, regrets_of
from benchmarks.search.suite import DEVELOPMENT, load_task
from benchmarks.search.tasks import Task

STEPS = 64


@dataclass(frozen=True)
class Cell:
    """One run: a method on a task with a seed."""

    method: str
    task: str
    seed: int


def kept_cells(out: Path) -> set[Cell]:
    """Return the runs whose outcome a folder holds."""
    return {Cell(run["method"], run["task"], run["seed"]) for run in read_runs(out)}


def check_kept(out: Path, workers: int, full_runs: float, by_seen: bool) -> None:
    """End where a folder holds runs of another budget, which would stand beside the new ones."""
    for run in read_runs(out):
        held = run["workers"], run["full_runs"], run.get("by_seen", False)
        if held != (workers, full_runs, by_seen):
            raise SystemExit(
                f"--out {out} holds runs of {held[0]} workers and {held[1]:g} full runs"
                f"{' (--seen)' if held[2] else ''}; give another folder, or the same budget"
            )


def keep(out: Path, run: dict[str, Any]) -> None:
    """Append a run's outcome to its method's file."""
    path = out / "runs" / f"{run['method']}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(run) + "\n")


def regret_curve(task: Task, trace: Trace, seconds: float) -> list[float]:
    """Return the regret of what was recommended at 1/64 … 64/64 of the budget.

    Before a method names anything its regret is 1, the median random configuration's.
    """
    return _by_moment([(at, task.regret_of(each)) for at, each in trace.recommended], seconds)


def seen_curve(task: Task, trace: Trace, seconds: float) -> list[float]:
    """Return the regret of the lowest loss that was seen by 1/64 … 64/64 of the budget.

    So real trainings are judged, whose configurations aren't trained in full afterwards. It is 1
    before any is seen, and can be negative where the loss of a full training isn't its lowest.
    """
    return _by_moment([(at, task.regret(loss)) for at, loss in trace.seen], seconds)


def _by_moment(changes: list[tuple[float, float]], seconds: float) -> list[float]:
    curve, current, position = [], 1.0, 0
    for step in range(1, STEPS + 1):
        while position < len(changes) and changes[position][0] <= step / STEPS * seconds:
            current, position = changes[position][1], position + 1
        curve.append(current)
    return curve


def run_cell(
    cell: Cell, num_workers: int, full_runs: float, *, by_seen: bool = False
) -> dict[str, Any]:
    """Run one cell and return what is kept of it."""
    task = load_task(cell.task)
    seconds = full_runs / num_workers * task.mean_full_seconds
    trace = METHODS[cell.method]()(task, cell.seed, num_workers, seconds)
    regrets = (seen_curve if by_seen else regret_curve)(task, trace, seconds)
    return {
        **asdict(cell),
        "regret": [float(f"{each:.5g}") for each in regrets],
        "cpu_seconds": math.nan if task.is_trained else trace.cpu_seconds,  # trainings' too
        "num_configs": len(trace.reached),
        "killed_share": trace.killed_share(task),
        "full_runs": full_runs,
        "workers": num_workers,
        "by_seen": by_seen,
    }


def write_json(path: Path, values: Any) -> None:
    """Write a file at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps(values))
    os.replace(temporary, path)


def main() -> None:
    """Run what isn't kept yet, and write ``regret.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", default=",".join(METHODS), help="comma-separated names")
    parser.add_argument("--tasks", default=",".join(DEVELOPMENT), help="comma-separated names")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--full-runs", type=float, default=64, help="the budget, in full trainings")
    parser.add_argument("--seen", action="store_true", help="judge by the lowest loss seen")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    check_kept(arguments.out, arguments.workers, arguments.full_runs, arguments.seen)
    missing = read_missing(arguments.out)
    left_out: set[str] = set()
    cells = [
        Cell(method, task, seed)
        for seed in range(arguments.seeds)
        for task in arguments.tasks.split(",")
        for method in arguments.methods.split(",")
    ]
    done = kept_cells(arguments.out)
    for cell in cells:
        if cell.method in left_out or cell in done:
            continue
        try:
            budget = arguments.workers, arguments.full_runs
            keep(arguments.out, run_cell(cell, *budget, by_seen=arguments.seen))
            missing.pop(cell.method, None)
        except ImportError as error:
            left_out.add(cell.method)
            missing[cell.method] = str(error)
            print(f"{cell.method} is left out: {error}", file=sys.stderr)
    write_json(arguments.out / "missing.json", missing)
    write_json(arguments.out / "regret.json", regrets_of(read_runs(arguments.out)))


if __name__ == "__main__":
    main()
