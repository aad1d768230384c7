"""Whether a curve's verdict finds the planted cause.

``SIEVE_DATA=FOLDER python -m benchmarks.guide.curves --trainings FILE.jsonl --out FILE.json``

The trainings for setting thresholds are others (``--part seen``, in a file of their own) than those
that the figures are of.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from sklearn.metrics import confusion_matrix, f1_score

from benchmarks.figures import Figures
from benchmarks.guide.trainings import DATA, PLANTS, Ground, Planted, plant
from search.events import Ending, Evaluation, Trial
from search.insight.curves import Name, Scale, judge
from search.trials import Record

NAMES = get_args(Name)
TOLD_BY_LOSSES = ("exploding", "diverged")
NUMBERS = {"seen": range(12), "fresh": range(12, 18)}
"""Of the trainings of each cause on each data set."""
MORE_HEALTHY = range(18, 36)
"""Fresh ones: a rate of one in twenty wants more than six of each data set."""


def wanted(part: str) -> list[tuple[str, Name, int]]:
    """Return a part's trainings: of which data, which cause, and the number of its draw."""
    return [
        (name, label, number)
        for name in DATA
        for label in PLANTS
        for number in (
            *NUMBERS[part],
            *(MORE_HEALTHY if (part, label) == ("fresh", "healthy") else ()),
        )
    ]


def make(folder: Path, file: Path, part: str) -> None:
    """Train what isn't in the file yet; a line a training, null where a plant had no effect."""
    done = len(file.read_text().splitlines()) if file.exists() else 0
    ground: Ground | None = None
    for name, label, number in wanted(part)[done:]:
        if ground is None or ground.name != name:
            ground = Ground(folder, name)
        planted = plant(ground, label, number)
        with file.open("a") as lines:
            lines.write(json.dumps(None if planted is None else asdict(planted)) + "\n")


def read(file: Path) -> list[Planted]:
    """Return a file's trainings whose plant had an effect."""
    values = [json.loads(line) for line in file.read_text().splitlines()]
    return [_planted(each) for each in values if each is not None]


def _planted(values: dict[str, Any]) -> Planted:
    record = Record(Trial(**values["record"]["trial"]))
    record.evaluations = [Evaluation(**each) for each in values["record"]["evaluations"]]
    record.ending = Ending(**values["record"]["ending"])
    return Planted(record, Scale(**values["scale"]), values["label"], values["data"])


def said(planted: Planted) -> str:
    """Return the verdict on a training."""
    verdict = judge(planted.record, planted.scale)
    return "none" if verdict is None else verdict.name


def measure(planted: list[Planted]) -> Figures:
    """Return the figures over some trainings."""
    truth, found = [each.label for each in planted], [said(each) for each in planted]
    scores = f1_score(truth, found, labels=NAMES, average=None, zero_division=0.0)
    counts = confusion_matrix(truth, found, labels=NAMES)
    healthy = [verdict for label, verdict in zip(truth, found, strict=True) if label == "healthy"]
    unread = scores[[name not in TOLD_BY_LOSSES for name in NAMES]]
    alarms = sum(verdict != "healthy" for verdict in healthy) / max(1, len(healthy))
    figures = Figures(
        "Verdicts on curves",
        f"{len(planted)} real trainings that had no part in setting thresholds, on "
        f"{len(DATA)} data sets: macro-F1 {scores.mean():.2f} (wanted .90; {unread.mean():.2f} "
        "without *exploding* and *diverged*, which are labelled by the losses that the verdicts "
        f"read), false alarms on healthy ones {alarms:.1%} of {len(healthy)} (wanted at most 5 %).",
    )
    for row, (name, score) in enumerate(zip(NAMES, scores, strict=True)):
        others = {NAMES[i]: int(n) for i, n in enumerate(counts[row]) if n and i != row}
        taken = ", ".join(f"{other} {n}" for other, n in others.items()) or "none"
        figures.add(
            cause=name, trainings=str(counts[row].sum()), F1=f"{score:.2f}", taken_for=taken
        )
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trainings", type=Path, required=True, help="kept here, and gone on with")
    parser.add_argument("--part", choices=tuple(NUMBERS), default="fresh")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if "SIEVE_DATA" in os.environ:
        make(Path(os.environ["SIEVE_DATA"]), arguments.trainings, arguments.part)
    figures = measure(read(arguments.trainings))
    print(figures.text)
    figures.save(arguments.out)


if __name__ == "__main__":
    main()
