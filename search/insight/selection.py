"""Which configurations an ensemble has, and with which weights: greedily, on validation.

Pick after pick, with replacement, comes the configuration that lowers the validation loss of the
averaged answers most (Caruana et al., 2004). Only runs of the same seed are averaged for it, and
the loss is the mean over the seeds: each seed of the proof may have validation rows of its own,
which the others were trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.insight.result import Confirmed
from search.insight.truth import Score, Truth
from search.training.predictions import MAX_BYTES, Predictions, answers_of, average
from search.trials import Record

Read = Callable[[str, str], Predictions | None]
"""(trial, part) to what the trial's best checkpoint said of that part's rows, if it was kept."""

NUM_PICKS = 20
MIN_GAIN = 1e-3
"""Of the validation loss: what gains less isn't worth another model."""


class NoEnsemble(Exception):  # noqa: N818 - it is a finding, not a mistake
    """There is no ensemble; the message says why."""


def greedy_weights(
    answers: Sequence[Sequence[NDArray[Any]]], loss: Callable[[int, NDArray[Any]], float]
) -> NDArray[np.float64]:
    """Weigh configurations by greedy selection with replacement.

    Args:
        answers: By configuration, then by seed: (rows of that seed, outputs).
        loss: (place of the seed, averaged answers) to the loss.

    Returns:
        Each configuration's weight, shape (configurations,), 1 together: those of the first of
        :data:`NUM_PICKS` steps that no later one betters by :data:`MIN_GAIN`.
    """
    seeds = range(len(answers[0]))
    counts = np.zeros(len(answers), dtype=np.int64)
    total = [np.zeros_like(each) for each in answers[0]]
    steps: list[tuple[float, NDArray[np.float64]]] = []
    for size in range(1, NUM_PICKS + 1):
        losses = [
            float(np.mean([loss(seed, (total[seed] + each[seed]) / size) for seed in seeds]))
            for each in answers
        ]
        pick = int(np.argmin(losses))
        counts[pick] += 1
        total = [total[seed] + answers[pick][seed] for seed in seeds]
        steps.append((losses[pick], counts / size))
    enough = min(reached for reached, _ in steps) * (1.0 + MIN_GAIN)
    return next(weights for reached, weights in steps if reached <= enough)


@dataclass(frozen=True)
class Field:
    """The configurations that may join: those that completed every seed that the winner has.

    Attributes:
        groups: Them.
        seeds: The winner's.
        rows: By seed, the validation rows.
        answers: By configuration, then by seed: what its run said of these, float32.
        truth: What it should have said.
    """

    groups: tuple[Confirmed, ...]
    seeds: tuple[int, ...]
    rows: list[NDArray[np.int64]]
    answers: list[list[NDArray[np.float32]]]
    truth: Truth

    @classmethod
    def of(
        cls, confirmed: Sequence[Confirmed], winner: Confirmed, read: Read, truth: Truth
    ) -> Field:
        """Read what there is on validation.

        Raises:
            NoEnsemble: The predictions weren't kept.
        """
        seeds = tuple(record.trial.seed for record in winner.records)
        groups = [each for each in confirmed if {*seeds} <= {r.trial.seed for r in each.records}]
        said = [
            [kept(read, run.trial.trial_id, "validation") for run in runs_of(group, seeds)]
            for group in groups
        ]
        answers = [
            [answers_of(each.outputs, truth.task).astype(np.float32) for each in run]
            for run in said
        ]
        usable = [place for place, each in enumerate(answers) if all(map(_is_finite, each))]
        return cls(
            tuple(groups[place] for place in usable),
            seeds,
            [each.rows for each in said[groups.index(winner)]],
            [answers[place] for place in usable],
            truth,
        )

    def weights(self) -> NDArray[np.float64]:
        """Return each configuration's weight; see :func:`greedy_weights`."""
        return greedy_weights(
            self.answers, lambda seed, answers: self.truth.loss(answers, self.rows[seed])
        )

    def score(self, weights: NDArray[np.float64]) -> Score:
        """Return the mean score over the seeds of weighted configurations."""
        scores = []
        for seed, rows in enumerate(self.rows):
            pairs = zip(weights, self.answers, strict=True)
            both = ((weight, each[seed].astype(np.float64)) for weight, each in pairs if weight)
            scores.append(self.truth.score(average(both), rows))
        return Score.mean(scores)


def runs_of(group: Confirmed, seeds: Sequence[int]) -> list[Record]:
    """Return a configuration's runs in the order of the seeds."""
    by_seed = {record.trial.seed: record for record in group.records}
    return [by_seed[seed] for seed in seeds]


def kept(read: Read, trial_id: str, part: str) -> Predictions:
    """Return what a run said of a part.

    Raises:
        NoEnsemble: It wasn't kept.
    """
    said = read(trial_id, part)
    if said is None:
        most = f"{MAX_BYTES // 2**20} MiB"
        raise NoEnsemble(f"what {trial_id} predicted wasn't kept; more than {most} a run aren't")
    return said


def _is_finite(answers: NDArray[Any]) -> bool:
    return bool(np.isfinite(answers).all())
