"""The search beside its peers on real trainings, over several seeds.

``SIEVE_DATA=FOLDER python -m benchmarks.real --seeds 5 --out DIR`` gives every method the same wall
time for its search, on the same slots, data, model and space; the best configuration of each is
retrained once on all the data and tested. sieve's run gets time for its proof on top, and what it
finds while it proves doesn't count. Where its proof needs more than that, its search ends sooner,
and peers have no longer than it had. What is in ``DIR`` already isn't
done again; ``python -m benchmarks.real_table DIR`` writes the table.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.end_to_end import longest_run, sieve_curve
from benchmarks.processes import run_measured
from search.rundir import RunDir
from search.strategy.budget import Plan
from search.study import ConfirmSection

TASKS: dict[str, dict[str, Any]] = {
    "adult": {
        "data": "adult.parquet",
        "label": "income",
        "model": "models.mlp",
        "seconds": 120.0,
    },
    "covertype": {
        "data": "covertype_16pct.parquet",
        "label": "Cover_Type",
        "model": "models.mlp",
        "seconds": 120.0,
    },
    "fashion_mnist": {
        "data": "fashion_mnist.parquet",
        "label": "label",
        "model": "models.cnn",
        "seconds": 300.0,
    },
}
METHODS = ("sieve", "ray_asha_random", "optuna_tpe_hyperband", "syne_tune")


def sieve_command(task: dict[str, Any], seed: int, out: Path) -> list[str]:
    """Return the command of a run that may search for the task's seconds, and prove after it."""
    budget = task["seconds"] / (1.0 - ConfirmSection().share)
    command = [str(Path(sys.executable).with_name("sieve")), "run", "--data", task["data"]]
    command += ["--label", task["label"], "--model", task["model"], "--seed", str(seed)]
    return [*command, "--time-budget", f"{budget:.0f}s", "--out", str(out)]


def task_of(name: str) -> dict[str, Any]:
    """Return a task with the path of its data, in the folder that SIEVE_DATA names."""
    if "SIEVE_DATA" not in os.environ:
        raise SystemExit("name the folder with the data in SIEVE_DATA")
    return {**TASKS[name], "data": str(Path(os.environ["SIEVE_DATA"]) / TASKS[name]["data"])}


def run_sieve(task: dict[str, Any], seed: int, folder: Path) -> dict[str, Any]:
    """Run the command, and return its curve within the search's time and its tests."""
    shutil.rmtree(folder / "run", ignore_errors=True)  # a folder of this benchmark's own
    command = sieve_command(task, seed, folder / "run")
    measured = run_measured(command, folder / "sieve.log")
    if measured.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {measured.returncode}; see its log")
    run = RunDir.open(folder / "run")
    result, plan = run.read_json("result.json"), Plan.from_json(run.read_json("plan.json"))
    seconds = min(task["seconds"], search_seconds(run))
    return {
        **asdict(measured),
        "curve": [each for each in sieve_curve(run) if each[0] <= seconds],
        "test": result["winner"]["test"],
        "full_samples": plan.ladder.full,
        "proof_samples": longest_run(run),
        "slots": plan.slots,
        "evaluated_share": plan.evaluated_share,
        "search_seconds": seconds,
        "trials": result["trials"],
    }


def search_seconds(run: RunDir) -> float:
    """Return when a run's fine phase had ended."""
    *_, last = (run.path / "fine" / "events.jsonl").read_text().splitlines()
    return float(json.loads(last)["elapsed"])


def run_peer(
    method: str, task: dict[str, Any], seed: int, folder: Path, sieve: dict[str, Any]
) -> dict[str, Any]:
    """Run a peer in a process of its own, with the longest training that sieve's search has.

    Its best configuration is retrained for as long as sieve's proof trained.
    """
    found = folder / f"{method}.found.json"
    request = {
        **task,
        "seconds": sieve["search_seconds"],
        "peer": method,
        "scheduler": "ASHABORE",
        "full_samples": sieve["full_samples"],
        "proof_samples": sieve["proof_samples"],
        "slots": sieve["slots"],
        "evaluated_share": sieve["evaluated_share"],
        "folder": str((folder / method).absolute()),
        "seed": seed,
        "num_seeds": 1,
    }
    command = [sys.executable, "-m", "benchmarks.run_peer", json.dumps(request), str(found)]
    measured = run_measured(command, folder / f"{method}.log")
    if measured.returncode != 0:
        raise SystemExit(f"{method} ended with {measured.returncode}; see {folder}/{method}.log")
    return {**asdict(measured), **json.loads(found.read_text())}


def main() -> None:
    """Measure what is asked for and isn't there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tasks", default=",".join(TASKS), help="comma-separated names")
    parser.add_argument("--methods", default=",".join(METHODS), help="comma-separated names")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("runs/real"))
    arguments = parser.parse_args()
    methods = [name for name in METHODS if name in arguments.methods.split(",")]
    for seed in range(arguments.seeds):
        for name in arguments.tasks.split(","):
            folder = arguments.out / f"{name}-{seed}"
            _measure(methods, task_of(name), seed, folder)


def _measure(methods: list[str], task: dict[str, Any], seed: int, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for method in methods:
        path = folder / f"{method}.json"
        if path.exists():
            continue
        if method == "sieve":
            found = run_sieve(task, seed, folder)
        else:
            sieve = json.loads((folder / "sieve.json").read_text())
            found = run_peer(method, task, seed, folder, sieve)
        path.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
