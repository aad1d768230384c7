"""How good a whole run is, and how it stands beside plain Ray Tune and Optuna.

``python -m benchmarks.end_to_end --tasks digits,fashion_mnist,adult`` runs ``sieve run`` on each;
with ``--peers`` also the peers, for the same wall time, on the same data, model and space.
What is measured is kept as JSON in ``benchmarks/measured``, a file a task; the tables in
``benchmarks/README.md`` are written from it. The data folder is named by SIEVE_DATA; digits come
with scikit-learn.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import run_measured
from benchmarks.run_peer import curve_of
from benchmarks.table import write_readme
from search.rundir import RunDir
from search.strategy.budget import Plan
from search.study import parse_duration
from search.trials import History


@dataclass(frozen=True)
class Task:
    """A data set with its model and time.

    Attributes:
        name: Of the task.
        data: URI, or the name of a file in the data folder.
        model: Of the bundled ones.
        time_budget: Of the whole run.
        label: The column to predict.
        wanted: The mean test accuracy that is asked for.
    """

    name: str
    data: str
    model: str
    time_budget: str
    label: str | None
    wanted: float


TASKS = {
    task.name: task
    for task in (
        Task("digits", "sklearn:digits", "models.mlp", "2m", None, 0.975),
        Task("fashion_mnist", "fashion_mnist.parquet", "models.cnn", "25m", "label", 0.915),
        Task("adult", "adult.parquet", "models.mlp", "15m", "income", 0.850),
    )
}
PEERS = ("ray_asha_random", "optuna_tpe_hyperband")
MEASURED = Path(__file__).with_name("measured")


def run_sieve(task: Task, out: Path, data: str) -> dict[str, Any]:
    """Run the command as a user would, and return what the run itself says of its cost."""
    run_dir = out / task.name / "sieve"
    command = [str(Path(sys.executable).with_name("sieve")), "run", "--data", data]
    command += ["--model", task.model, "--time-budget", task.time_budget, "--out", str(run_dir)]
    command += ["--label", task.label] if task.label else []
    measured = run_measured(command, out / task.name / "sieve.log")
    if measured.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {measured.returncode}; see its log")
    run = RunDir.open(run_dir)
    found = {**asdict(measured), **run.read_json("result.json")}
    plan = run.read_json("plan.json")
    return {**found, "plan": plan, "curve": sieve_curve(run), "longest": longest_run(run)}


def longest_run(run: RunDir) -> int:
    """Return the training samples of a confirmation run, the longest that sieve has trained."""
    (samples,) = {r.trial.budget_samples for r in History(run.events("confirm"))}
    return samples


def sieve_curve(run: RunDir) -> list[tuple[float, float]]:
    """Return (seconds, lowest validation loss so far), on the search's validation rows."""
    logs = [run.path / phase / "events.jsonl" for phase in ("coarse", "fine", "confirm")]
    events = [json.loads(line) for log in logs for line in log.read_text().splitlines()]
    trials = [e for e in events if e["event"] == "trial"]
    elsewhere = {e["trial_id"] for e in trials if e["phase"] == "confirm" and e["division"]}
    evaluations = [
        event
        for event in events
        if event["event"] == "evaluation" and event["trial_id"] not in elsewhere
    ]
    return curve_of([{"at": e["elapsed"], "loss": e["validation_loss"]} for e in evaluations])


def run_peer(peer: str, task: Task, out: Path, data: str, sieve: dict[str, Any]) -> dict[str, Any]:
    """Run a peer in a process of its own, and return what it found.

    A peer that was cut off goes on with its retraining where its search had ended.
    """
    found = out / task.name / f"{peer}.json"
    request = {
        "peer": peer,
        "data": data,
        "label": task.label,
        "model": task.model,
        "seconds": parse_duration(task.time_budget),
        "full_samples": sieve["longest"],
        "slots": sieve["plan"]["slots"],
        "evaluated_share": Plan.from_json(sieve["plan"]).evaluated_share,
        "folder": str((out / task.name / peer).absolute()),
        "seed": 0,
        "num_seeds": 3,
    }
    command = [sys.executable, "-m", "benchmarks.run_peer", json.dumps(request), str(found)]
    measured = run_measured(command, out / task.name / f"{peer}.log")
    if measured.returncode != 0:
        raise SystemExit(f"{peer} on {task.name} ended with {measured.returncode}; see its log")
    return {**asdict(measured), **json.loads(found.read_text())}


def main() -> None:
    """Measure what is asked for, and write the table of all that has been measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tasks", default=",".join(TASKS), help="comma-separated names")
    parser.add_argument("--peers", action="store_true", help="run the peers, too")
    parser.add_argument("--keep", action="store_true", help="measure only what isn't there yet")
    parser.add_argument("--out", type=Path, default=Path("runs/end_to_end"), help="for the runs")
    arguments = parser.parse_args()
    MEASURED.mkdir(exist_ok=True)
    for name in arguments.tasks.split(","):
        task = TASKS[name]
        data = task.data
        if not data.startswith("sklearn:"):
            if "SIEVE_DATA" not in os.environ:
                raise SystemExit(f"{name} needs its file: name the folder in SIEVE_DATA")
            data = str(Path(os.environ["SIEVE_DATA"]) / data)
        path = MEASURED / f"{name}.json"
        measured = json.loads(path.read_text()) if arguments.keep and path.exists() else {}
        if "sieve" not in measured:
            # This benchmark's own; what peers have kept there belongs to another plan.
            shutil.rmtree(arguments.out / name, ignore_errors=True)
            measured = {"task": asdict(task), "sieve": run_sieve(task, arguments.out, data)}
            path.write_text(json.dumps(measured))
        for peer in PEERS if arguments.peers else ():
            if peer not in measured:
                measured[peer] = run_peer(peer, task, arguments.out, data, measured["sieve"])
                path.write_text(json.dumps(measured))
    write_readme(MEASURED, Path(__file__).with_name("README.md"))


if __name__ == "__main__":
    main()
