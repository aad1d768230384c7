"""How busy slots are kept, and what a second machine brings, with trainings that sleep.

``python -m benchmarks.cluster.utilisation`` starts Ray's machines on this one, with as many CPUs as
it says, whatever there are: sleeping takes none.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ray.cluster_utils import Cluster

from benchmarks.cluster.driver import study
from benchmarks.figures import Figures

SIEVE = Path(sys.executable).with_name("sieve")
STORE = 200 * 2**20
RUNGS = 9
"""The first of coarse's three rungs is a ninth of a trial's whole budget."""


def search(machines: list[int], num_trials: int, seconds: float) -> list[dict[str, Any]]:
    """Search on machines with so many CPUs each; return coarse's events.

    Args:
        machines: CPUs of each; the head has none.
        num_trials: In coarse.
        seconds: That a trial sleeps until the first rung.
    """
    # Trainings see what the machines were started with.
    os.environ |= {"SIEVE_SLEEP_S": str(RUNGS * seconds), "OMP_NUM_THREADS": "1"}
    head = {"num_cpus": 0, "object_store_memory": STORE}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        for cpus in machines:
            cluster.add_node(num_cpus=cpus, object_store_memory=STORE)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "study.yaml"
            path.write_text(json.dumps(study(num_trials)))  # JSON is YAML
            command = [SIEVE, "run", path, "--out", f"{folder}/run", "--address", cluster.address]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            log = (Path(folder) / "run" / "coarse" / "events.jsonl").read_text()
            return [json.loads(line) for line in log.splitlines()]
    finally:
        cluster.shutdown()


def busy(events: list[dict[str, Any]], slots: int) -> tuple[float, float, float]:
    """Return the slots' share of time in trainings, trials a minute, and the window's seconds.

    The window begins when as many trials as there are slots have reported, and ends with the last
    start.
    """
    evaluations = [each for each in events if each["event"] == "evaluation"]
    first = {each["trial_id"]: each["elapsed"] for each in reversed(evaluations)}
    begin = sorted(first.values())[slots - 1]
    starts = [each["elapsed"] for each in events if each["event"] in ("trial", "promotion")]
    end, spent, before = starts[-1], 0.0, dict.fromkeys(first, 0.0)
    for each in evaluations:
        if begin < each["elapsed"] <= end:
            spent += each["seconds"] - before[each["trial_id"]]
        before[each["trial_id"]] = each["seconds"]
    window = end - begin
    number = sum(begin < at <= end for at in starts)
    return spent / (slots * window), 60.0 * number / window, window


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    figures = Figures(
        "How busy machines are kept",
        "`python -m benchmarks.cluster.utilisation`: trainings that sleep, on machines of Ray's "
        "that are processes of this one. A step is a trial's way to a rung; busy is the share of "
        "the slots' time that trainings slept, from when all had reported to the last start.",
    )
    alone = 0.0
    half = arguments.slots // 2
    for machines, num_trials, seconds in (
        ([1], 60, 2.0),
        ([2], 60, 2.0),
        ([1, 1], 60, 2.0),
        ([half] * 2, 640, 5.0),
    ):
        slots, each = sum(machines), machines[0]
        share, rate, window = busy(search(machines, num_trials, seconds), slots)
        alone = alone or rate
        figures.add(
            machines=f"{len(machines)} with {each} slot{'s' * (each > 1)}",
            step=f"{seconds:g} s",
            window=f"{window:.0f} s",
            busy=f"{share:.1%}",
            steps_a_minute=f"{rate:.1f}",
            against_one=f"{rate / alone:.2f}" if slots <= 2 else "—",
        )
    figures.save(arguments.out)


if __name__ == "__main__":
    main()
