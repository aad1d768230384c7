"""Ends trainings early whose curves say that nothing more will come of them.

A verdict alone ends nothing. A training goes on while its loss, or what trials are ranked by, is
among the best tenth of its peers at the same budget, or while it may still come to the best that is
known; and nothing is ended before the data's own grace period: the budget by which at least half of
the trainings have begun to learn.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterable

from search.insight.curve import Curve
from search.insight.curves import Name, Scale, Verdict, judge
from search.strategy.asha import CONTINUE, Decision
from search.trials import Record

ENDING: frozenset[Name] = frozenset({"dead", "overfitting"})
"""Verdicts that time doesn't mend."""
SETTLED: frozenset[Name] = frozenset({"lr-high", "too-long", "underfitting"})
"""Verdicts that only a decay of the learning rate would mend: none is to come where it stays."""
OPTIMISM = 2.0
"""Times what a curve promises, by which a training may still come to the best that is known."""
GUARDED = 0.1
MIN_PEERS = 10
"""The best tenth of fewer peers isn't told."""
AWAKE = 0.1
"""Progress, on the scale of the best, of a training that has begun to learn."""
LEAST_AWAKE = 0.01
"""Of chance's loss: less progress tells no trainings apart, however little the best have made."""
MIN_AWAKE = 6
"""So many trainings must have come to a budget to say that half of them are awake by then."""


class Watch:
    """Looks at each evaluation of a search phase.

    Args:
        chance: Loss of the best prediction that ignores the inputs; None: nothing is watched.
        known: The lowest loss of earlier phases.

    Attributes:
        chance: As given.
    """

    def __init__(self, chance: float | None, known: float = math.inf) -> None:
        self.chance = chance
        self._best = known
        self._losses: dict[int, list[float]] = {}
        self._values: dict[int, list[float]] = {}

    @classmethod
    def after(cls, chance: float | None, records: Iterable[Record]) -> Watch:
        """Return a watch that knows what came before."""
        return cls(chance, min((record.loss for record in records), default=math.inf))

    def look(self, record: Record) -> Decision:
        """Take in a trial's newest evaluation, and say whether the trial has a future."""
        if self.chance is None:
            return CONTINUE
        point, loss = record.evaluations[-1].point, record.loss
        self._best = min(self._best, loss)
        peers = self._losses.setdefault(point, [])
        rank, number = _enter(peers, loss), len(peers)
        best_rank = min(rank, _enter(self._values.setdefault(point, []), record.value))
        if record.trial.is_default or number <= MIN_PEERS or best_rank <= GUARDED * number:
            return CONTINUE
        if not self._is_past_grace(peers):
            return CONTINUE
        scale = Scale(self.chance, self._best)
        verdict = judge(record, scale)
        if verdict is None or not _is_final(verdict, record) or _may_win(Curve(record, scale)):
            return CONTINUE
        why = f"{verdict.name}: {verdict.why}; {rank} of {number} at {point} samples"
        return Decision("stop", why, {**verdict.numbers, "rank": rank, "of": number})

    def too_early(self, point: int) -> str | None:
        """Return why trainings can't be told apart yet at a point; None where they can.

        Some tasks teach nothing for long, and then all at once. While even the better trainings
        predict no better than what ignores the inputs, their order is chance.
        """
        losses = self._losses.get(point, [])
        if self.chance is None or len(losses) < MIN_AWAKE:
            return None
        typical = losses[: math.ceil(len(losses) / 3)][len(losses) // 6]
        # Where the inputs say little at all, a little is much.
        gain = max(AWAKE * (self.chance - self._best), LEAST_AWAKE * self.chance)
        if typical <= self.chance - gain:
            return None
        return (
            f"too early to judge: the best third of {len(losses)} trainings has come to a loss of "
            f"{typical:.4g}, and {self.chance:.4g} takes no look at the inputs"
        )

    def _is_past_grace(self, losses: list[float]) -> bool:
        assert self.chance is not None
        awake = self.chance - AWAKE * (self.chance - self._best)
        return len(losses) >= MIN_AWAKE and 2 * bisect_left(losses, awake) >= len(losses)


def _enter(peers: list[float], value: float) -> int:
    """Enter a value among the others, and return its rank, from 1."""
    rank = bisect_left(peers, value) + 1
    insort(peers, value)
    return rank


def _may_win(curve: Curve) -> bool:
    return curve.best + OPTIMISM * curve.promise >= 1.0


def _is_final(verdict: Verdict, record: Record) -> bool:
    stays = record.trial.config.get("schedule", "constant") == "constant"
    return verdict.name in ENDING or (verdict.name in SETTLED and stays)
