"""What acting on curves' verdicts saves: the same runs with ``verdicts: on`` and ``off``.

``SIEVE_DATA=FOLDER python -m benchmarks.guide.acting --runs FOLDER --out FILE.json``

A run of both for each seed, whose folders are kept and not run again; those with verdicts are the
runs of ``benchmarks.real``, whose folder may be given. Compute is the seconds that
trials of coarse and fine have trained and been evaluated for, until one of them had a validation
loss that both runs came to.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import Figures
from benchmarks.real import sieve_command, task_of
from benchmarks.table import paired_difference
from search.rundir import RunDir

NAMES = ("fashion_mnist", "covertype")


@dataclass(frozen=True)
class Outcome:
    """What a run has come to.

    Attributes:
        course: (seconds of training so far, lowest validation loss so far), rising.
        test: The winner's mean metric on the test rows.
    """

    course: list[tuple[float, float]]
    test: float

    @property
    def loss(self) -> float:
        """The lowest validation loss of the search."""
        return self.course[-1][1]

    def seconds_to(self, loss: float) -> float:
        """Return the seconds of training after which a loss was reached."""
        return next(seconds for seconds, best in self.course if best <= loss)


def outcome_of(run: RunDir) -> Outcome:
    """Read a complete run."""
    logs = [run.path / phase / "events.jsonl" for phase in ("coarse", "fine")]
    events = [json.loads(line) for log in logs for line in log.read_text().splitlines()]
    spent: dict[str, float] = {}
    course, total, best = [], 0.0, float("inf")
    for event in events:
        if event["event"] != "evaluation":
            continue
        total += event["seconds"] - spent.get(event["trial_id"], 0.0)
        spent[event["trial_id"]] = event["seconds"]
        best = min(best, event["validation_loss"])
        course.append((total, best))
    return Outcome(course, run.read_json("result.json")["winner"]["test"]["mean"])


def run_one(name: str, seed: int, verdicts: str, folder: Path) -> Outcome:
    """Run a study once, if its folder holds no complete run yet."""
    out = folder / f"{name}-{seed}" / {"on": "run", "off": "off"}[verdicts]
    if not (out / "result.json").exists():
        command = [*sieve_command(task_of(name), seed, out), "--set", f"verdicts={verdicts}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return outcome_of(RunDir.open(out))


def compare(name: str, num_seeds: int, folder: Path) -> dict[str, Any]:
    """Return a row of the table: how much less training, and how the ends differ."""
    runs = {v: [run_one(name, seed, v, folder) for seed in range(num_seeds)] for v in ("on", "off")}
    shares, ended = [], 0
    for seed, (on, off) in enumerate(zip(runs["on"], runs["off"], strict=True)):
        loss = max(on.loss, off.loss)
        shares.append(on.seconds_to(loss) / off.seconds_to(loss))
        journal = RunDir.open(folder / f"{name}-{seed}" / "run").read_journal()
        ended += sum(each["event"] == "stop" and "samples" in each["message"] for each in journal)
    losses, tests = (
        [dict(enumerate(getattr(run, field) for run in runs[v])) for v in ("on", "off")]
        for field in ("loss", "test")
    )
    return {
        "data": name,
        "seeds": str(num_seeds),
        "compute_to_the_same_loss": f"{float(np.exp(np.mean(np.log(shares)))):.2f}",
        "by_seed": " ".join(f"{share:.2f}" for share in shares),
        "loss": paired_difference(*losses),
        "test": paired_difference(*tests),
        "trials_ended": str(ended),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", default=",".join(NAMES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--runs", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    figures = Figures(
        "What acting on verdicts saves",
        "Training until the same validation loss, with verdicts over without, the geometric mean "
        "over the seeds (wanted: .75 at most). *Loss* is the lowest of the search on validation, "
        "*test* the winner's accuracy: with minus without, and the 95 % interval.",
    )
    for name in arguments.tasks.split(","):
        figures.add(**compare(name, arguments.seeds, arguments.runs))
    figures.save(arguments.out)


if __name__ == "__main__":
    main()
