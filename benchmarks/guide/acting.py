"""What acting on curves' verdicts saves: the same runs with ``verdicts: on`` and ``off``.

``SIEVE_DATA=FOLDER python -m benchmarks.guide.acting --out FOLDER`` runs both for each seed, one
after the other, and keeps in ``FOLDER/acting`` what each has come to; what is there isn't run anew.
Compute is the seconds that trials of coarse and fine have trained and been evaluated for, until one
of them had a validation loss that both runs came to.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from itertools import pairwise
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
        course: [seconds of training so far, lowest validation loss so far], where the loss fell.
        test: The winner's mean metric on the test rows.
        ended: How many trials a verdict ended.
    """

    course: list[list[float]]
    test: float
    ended: int

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
    course, total = [[0.0, float("inf")]], 0.0
    for event in events:
        if event["event"] != "evaluation":
            continue
        total += event["seconds"] - spent.get(event["trial_id"], 0.0)
        spent[event["trial_id"]] = event["seconds"]
        course.append([total, min(course[-1][1], event["validation_loss"])])
    fell = [after for before, after in pairwise(course) if after[1] < before[1]]
    ended = sum(
        each["event"] == "stop" and "samples" in each["message"] for each in run.read_journal()
    )
    return Outcome(fell, run.read_json("result.json")["winner"]["test"]["mean"], ended)


def run_one(name: str, seed: int, verdicts: str, kept: Path) -> Outcome:
    """Run a study, if it wasn't run before, and return what it came to."""
    path = kept / f"{name}-{seed}-{verdicts}.json"
    if not path.exists():
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder, "run")
            command = [*sieve_command(task_of(name), seed, run), "--set", f"verdicts={verdicts}"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            outcome = outcome_of(RunDir.open(run))
        path.write_text(json.dumps(asdict(outcome)) + "\n")
    return Outcome(**json.loads(path.read_text()))


def compare(name: str, num_seeds: int, kept: Path) -> dict[str, Any]:
    """Return a row of the table: how much less training, and how the ends differ."""
    pairs = [[run_one(name, seed, v, kept) for v in ("on", "off")] for seed in range(num_seeds)]
    shares = []
    for on, off in pairs:
        loss = max(on.loss, off.loss)
        shares.append(on.seconds_to(loss) / off.seconds_to(loss))
    differences = {}
    for field in ("loss", "test"):
        with_, without = (dict(enumerate(getattr(p[i], field) for p in pairs)) for i in (0, 1))
        differences[field] = paired_difference(with_, without)
    return {
        "data": name,
        "seeds": str(num_seeds),
        "compute_to_the_same_loss": f"{float(np.exp(np.mean(np.log(shares)))):.2f}",
        "by_seed": " ".join(f"{share:.2f}" for share in shares),
        **differences,
        "trials_ended": str(sum(on.ended for on, _ in pairs)),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", default=",".join(NAMES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    kept = arguments.out / "acting"
    kept.mkdir(parents=True, exist_ok=True)
    figures = Figures(
        "What acting on verdicts saves",
        "Training until the same validation loss, with verdicts over without, the geometric mean "
        "over the seeds (wanted: .75 at most). *Loss* is the lowest of the search on validation, "
        "*test* the winner's accuracy: with minus without, and the 95 % interval.",
    )
    for name in arguments.tasks.split(","):
        figures.add(**compare(name, arguments.seeds, kept))
    figures.save(arguments.out / "acting.json")


if __name__ == "__main__":
    main()
