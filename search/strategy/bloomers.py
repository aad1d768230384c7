"""Which trainings may be late bloomers: what a curve looks like beside those of its rung."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Iterable, Sequence
from typing import Literal

from search.trials import Record

Kind = Literal["flat", "improving", "settled"]
"""How a curve looks where its trial pauses: it hasn't begun to learn, it still falls faster than
most, or neither."""

FLAT = 0.1
"""A curve is flat that has come less than this share of the way that the median one has come."""
FAST = 0.75
"""A curve is improving whose last fall is above this quantile at its rung."""
LEVEL = 0.95
"""Where chance isn't known, curves fall from this quantile of all first losses."""
MIN_PEERS = 6
"""With fewer curves at a rung there is nothing to compare with: all are settled."""


class Curves:
    """What the curves of trials that nothing led to have come to at one rung.

    A model proposes where curves are alike: where all of them are flat, none would be flatter
    than the median.

    Args:
        chance: Loss of the best prediction that ignores the inputs, from which curves fall; None:
            the highest first losses tell.
    """

    def __init__(self, chance: float | None = None) -> None:
        self._chance = chance
        self._first: list[float] = []
        self._lowest: list[float] = []
        self._last: list[float] = []

    def enter(self, losses: Sequence[float]) -> None:
        """Take in a curve to compare with: its losses up to the rung, all of them finite."""
        insort(self._first, losses[0])
        insort(self._lowest, min(losses))
        insort(self._last, _last_fall(losses))

    def kind(self, losses: Sequence[float]) -> Kind:
        """Return the kind of a curve, its losses up to the rung."""
        number = len(self._first)
        if number < MIN_PEERS:
            return "settled"
        level = self._chance
        if level is None:
            level = self._first[int(LEVEL * (number - 1))]
        way, typical = level - min(losses), level - self._lowest[number // 2]
        if -typical < way < FLAT * typical:  # what is far above the level has diverged
            return "flat"
        last = _last_fall(losses)
        is_fast = last > 0 and last > self._last[int(FAST * (number - 1))]
        return "improving" if is_fast else "settled"


def _last_fall(losses: Sequence[float]) -> float:
    return losses[-2] - losses[-1] if len(losses) > 1 else 0.0


def losses_at(record: Record, rung: int) -> list[float] | None:
    """Return a record's losses up to a rung; None where it wasn't reached, or isn't finite."""
    losses = [each.validation_loss for each in record.evaluations if each.point <= rung]
    reached = bool(record.evaluations) and record.evaluations[-1].point >= rung
    return losses if losses and reached and all(map(math.isfinite, losses)) else None


def curves_by_rung(
    records: Iterable[Record], rungs: Sequence[int], chance: float | None
) -> dict[int, Curves]:
    """Return what the curves of an earlier phase have come to at each rung."""
    curves = {rung: Curves(chance) for rung in rungs}
    drawn = [record for record in records if record.trial.is_drawn]
    for record in drawn:
        for rung in rungs:
            losses = losses_at(record, rung)
            if losses is not None:
                curves[rung].enter(losses)
    return curves


def flat_ones(
    records: Iterable[Record], rungs: Sequence[int], chance: float | None
) -> list[Record]:
    """Return the records of an ended phase that had waited at a rung with a flat curve.

    Only those on the newest rows are compared, and returned.
    """
    records = list(records)
    newest = max((record.trial.division for record in records), default=0)
    same = [record for record in records if record.trial.division == newest]
    curves = curves_by_rung(same, rungs, chance)
    found = []
    for record in same:
        rung = record.evaluations[-1].point if record.evaluations else 0
        losses = losses_at(record, rung) if rung in curves and record.was_not_called else None
        if losses is not None and curves[rung].kind(losses) == "flat":
            found.append(record)
    return found
