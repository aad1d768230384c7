"""What a trial and a report cost the driver, Ray Tune's part included, and how that grows.

``python -m benchmarks.cluster.driver --trials 100,1000,10000`` runs searches on this machine whose
trainings do next to nothing, each in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.cluster.attribution import COLUMNS, Attribution
from benchmarks.figures import Figures

MODEL = Path(__file__).with_name("sleepers.py")


def study(num_trials: int) -> dict[str, Any]:
    """Return a search with so many trials in coarse, and few after it."""
    return {
        "data": "sklearn:wine",
        "model": str(MODEL),
        "checks": {"audit": False, "preflight": False},
        "budget": {"full_epochs": 27},
        "coarse": {"num_trials": num_trials},
        "fine": {"num_trials": 2},
        "confirm": {"num_finalists": 1, "num_seeds": 2},
        "training": {"early_stopping": False},
        "verdicts": False,
    }


def measure(num_trials: int) -> dict[str, Any]:
    """Run it here, and return what coarse cost this process."""
    from search.pipeline import Run
    from search.report import Progress
    from search.rundir import RunDir
    from search.study import resolve_study

    class Clock(Progress):
        """Takes the time of the driver's process at the ends of a phase."""

        def phase_started(self, phase: str, **about: Any) -> None:
            super().phase_started(phase, **about)
            if phase == "coarse":
                attribution.start()
            marks[phase, "begin"] = (time.process_time(), time.monotonic(), _memory())

        def phase_ended(self, phase: str, at: float) -> None:
            super().phase_ended(phase, at)
            marks[phase, "end"] = (time.process_time(), time.monotonic(), _memory())
            if phase == "coarse":
                attribution.stop()

    marks: dict[tuple[str, str], tuple[float, float, float]] = {}
    attribution = Attribution()
    resolved = resolve_study(study(num_trials))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        with RunDir.create(path, resolved.to_json(), resolved.digest) as run_dir:
            Run(resolved, run_dir, Clock("", "max")).go()
            events = [json.loads(x) for x in (path / "coarse/events.jsonl").open()]
        log_bytes = (path / "coarse" / "events.jsonl").stat().st_size
        files = [each for each in (path / "ray").rglob("*") if each.is_file()]
        ray_bytes = sum(each.stat().st_size for each in files)
        snapshots = [each for each in files if each.name.startswith("experiment_state")]
        snapshot_bytes = sum(each.stat().st_size for each in snapshots)
    began, ended = marks["coarse", "begin"], marks["coarse", "end"]
    kinds = [each["event"] for each in events]
    return {
        "trials": kinds.count("trial"),
        "reports": kinds.count("evaluation"),
        "cpu": ended[0] - began[0] - attribution.own,
        "wall": ended[1] - began[1],
        "memory": ended[2] - began[2],
        "log_bytes": log_bytes,
        "ray_bytes": ray_bytes,
        "snapshot_bytes": snapshot_bytes,
        "parts": dict(attribution.seconds),
    }


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", default="100,1000,10000")
    parser.add_argument("--one", type=int, help="measure one number here, and print it as JSON")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.one is not None:
        print(json.dumps(measure(arguments.one)))
        return
    figures = Figures(
        "What a trial costs the driver",
        "`python -m benchmarks.cluster.driver`: coarse phases of trainings that do next to "
        "nothing, on this machine. CPU is that of the driver's process, Ray Tune's part included, "
        "divided by the number of reports and by the number of trials; memory is what the process "
        "has grown by at its highest.",
    )
    where = Figures(
        "Where the driver's time goes",
        "The same runs: milliseconds of CPU a report, by the part of the code that the thread of "
        "Tune's loop is in, looked at every 10 ms. Other threads are Ray's, and the "
        "display's.",
    )
    for number in map(int, arguments.trials.split(",")):
        command = [sys.executable, "-m", "benchmarks.cluster.driver", "--one", str(number)]
        said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        found = json.loads(said.splitlines()[-1])
        trials, reports = found["trials"], found["reports"]
        figures.add(
            trials=f"{trials:,}",
            reports=f"{reports:,}",
            CPU_a_report=f"{1e3 * found['cpu'] / reports:.1f} ms",
            CPU_a_trial=f"{1e3 * found['cpu'] / trials:.1f} ms",
            wall=f"{found['wall']:.0f} s",
            memory=f"{found['memory'] / 2**20:.0f} MiB",
            event_log=f"{found['log_bytes'] / trials:,.0f} bytes a trial",
            logs_of_Ray=f"{found['ray_bytes'] / trials:,.0f} bytes a trial",
            snapshot=f"{found['snapshot_bytes'] / trials:,.0f} bytes a trial",
        )
        parts = {name: f"{1e3 * found['parts'].get(name, 0.0) / reports:.2f}" for name in COLUMNS}
        where.add(trials=f"{trials:,}", **parts)
    figures.save(arguments.out)
    if arguments.out is not None:
        where.save(arguments.out.with_stem(f"{arguments.out.stem}_parts"))


if __name__ == "__main__":
    main()
