"""Slices: the parts of the data, said in words, where a model is worse than elsewhere.

A slice is a category, a range of a number, a gap, or two of these together. All of them are looked
at, so that some look bad by chance alone: intervals are widened for their number (Bonferroni). A
pair is a slice only where it is worse than what either of its halves holds beside it; else the
half says it all (Chung et al., 2019, "Slice Finder"). The list is made step by step, as subgroup
discovery does (Lavrač et al., 2004): each slice is the worst by what those before it leave
unexplained, so that one weakness doesn't fill the list under a dozen names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.data.features import Features
from search.insight.blocks import Block, Place, place_of_highest
from search.insight.cuts import Condition, Cut, Mask, cuts_of, describe
from search.insight.intervals import Array, Sums, mean_difference, share_difference

MIN_ROWS = 20
"""A slice has at least as many rows, and at most half of all: what is beside a larger one is
what is unusual."""
LEVEL = 0.05
"""Chance that any of all the intervals misses the truth."""
BESIDE, UNEXPLAINED = 0.001, 0.05
"""Levels at which a pair is worse than what its halves hold beside it, and a slice is worse than
those before it on the list explain. They choose what is listed; intervals don't depend on them."""
MAX_PAIRED = 40
"""Pairs are made of so many features, those that tell the most by themselves."""

Difference = Callable[[Sums, Sums, float], tuple[Array, Array]]


@dataclass(frozen=True)
class Slice:
    """A part of the rows against the rest.

    Attributes:
        words: What it holds: ``age > 52 and workclass = Private``.
        conditions: The same, to be looked for in other rows.
        num_rows: That it holds.
        error: Mean error in it.
        rest: Mean error of all other rows.
        low: Lower end of the interval of ``error - rest``, which holds for all slices that were
            looked at together.
        high: Its upper end.
    """

    words: str
    conditions: tuple[Condition, ...]
    num_rows: int
    error: float
    rest: float
    low: float
    high: float

    @property
    def is_significant(self) -> bool:
        """Whether chance doesn't explain that it is worse."""
        return self.low > 0

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Slice:
        """Read the fields as JSON values."""
        conditions = tuple(Condition(**each) for each in values["conditions"])
        return cls(**{**values, "conditions": conditions})


@dataclass(frozen=True)
class Sliced:
    """The worst slices.

    Attributes:
        slices: In their order.
        num_looked_at: All slices of sufficient size, for which the intervals are widened.
    """

    slices: tuple[Slice, ...]
    num_looked_at: int


def worst_slices(
    features: Features, errors: Array, *, is_share: bool, most: int = 10, least: int = 0
) -> Sliced:
    """Return where the errors are higher than elsewhere.

    Args:
        features: Of the rows.
        errors: Shape (rows,): the share of runs that err, or the size of the error.
        is_share: They lie in [0, 1].
        most: Of how many slices the list is at most.
        least: So many are listed even if chance explains them.
    """
    finder = _Finder(cuts_of(features, MIN_ROWS), errors, is_share)
    return Sliced(tuple(finder.covering(most, least)), finder.num_looked_at)


class _Finder:
    """Looks at every candidate.

    Attributes:
        num_looked_at: Candidates of sufficient size.
    """

    def __init__(self, cuts: list[Cut], errors: Array, is_share: bool) -> None:
        self._errors = errors
        self._difference = share_difference if is_share else mean_difference
        blocks = [Block((cut,)) for cut in cuts]
        blocks += [Block(pair) for pair in combinations(self._strongest(cuts), 2)]
        self.num_looked_at = self._count(cuts, blocks)
        self._level = LEVEL / max(self.num_looked_at, 1)
        ends = [self._lower_ends(block, errors, self._difference, self._level) for block in blocks]
        ranked = sorted(zip(ends, blocks, strict=True), key=lambda each: -_highest(each[0]))
        self._ranked = [(ends, block) for ends, block in ranked if _highest(ends) > -np.inf]

    def _strongest(self, cuts: list[Cut]) -> list[Cut]:
        strength = [np.abs(Block((cut,)).evidence(self._errors)).max() for cut in cuts]
        order = np.argsort(-np.array(strength), kind="stable")[:MAX_PAIRED]
        return [cuts[n] for n in sorted(order)]

    def _count(self, cuts: list[Cut], blocks: list[Block]) -> int:
        counts = [block.sums(self._errors).n for block in blocks]
        looked_at = sum(int(_is_slice(n, len(self._errors)).sum()) for n in counts)
        # Which features are paired was decided by the errors: all pairs count, made or not.
        sizes = [int(cut.is_coarse.sum()) for cut in cuts]
        possible = (sum(sizes) ** 2 - sum(size**2 for size in sizes)) // 2
        made = sum(n.size for n in counts if n.ndim == 2)
        return looked_at + possible - made

    def covering(self, most: int, least: int) -> Iterator[Slice]:
        """Yield the worst slice, then the worst by what those before don't explain."""
        membership = np.zeros(len(self._errors), dtype=np.int64)
        for number in range(most):
            unexplained = self._errors - _mean_by(membership, self._errors)
            low, block, lower = self._worst(unexplained)
            if block is None or (low <= 0 and number >= least):
                return
            place = self._widened(block, lower, unexplained)
            mask = block.mask(place)
            yield self._measured(block.conditions(place), mask)
            membership = 2 * membership + mask

    def _worst(self, unexplained: Array) -> tuple[float, Block | None, Array]:
        """Return the highest lower end of what is unexplained, its block, and all of them there.

        What chance explains comes last: there the lower end by all rows counts, too.
        """
        highest, best, of_best = -np.inf, None, np.empty(0)
        for ends, block in self._ranked:
            if _highest(ends) <= min(highest, 0.0):
                break
            lower = self._lower_ends(block, unexplained, mean_difference, UNEXPLAINED)
            lower = np.where(ends > 0, lower, np.minimum(ends, lower))
            if _highest(lower) > highest:
                highest, best, of_best = _highest(lower), block, lower
        return highest, best, of_best

    def _widened(self, block: Block, lower: Array, unexplained: Array) -> Place:
        """Return the worst candidate, its ranges as wide as the rows beside are as bad.

        The worst is too narrow: of the ranges within a weak one some look weaker by chance. Of
        those that hold it, and hold nothing that is clearly better, the one with the strongest
        evidence is taken (the scan statistic of Kulldorff, 1997).
        """
        worst = place_of_highest(lower)
        inside = block.sums(unexplained)
        narrow = inside.at(worst)
        added = _low(mean_difference, narrow, inside - narrow, self._level)
        may_be = block.holding(worst) & np.isfinite(lower) & (added <= 0)
        return place_of_highest(np.where(may_be, block.evidence(unexplained), -np.inf))

    def _lower_ends(
        self, block: Block, values: Array, difference: Difference, level: float
    ) -> Array:
        """Return how much worse each group is at least; minus infinity where it is no slice."""
        inside = block.sums(values)
        ends = _low(difference, inside, Sums.of(values) - inside, level)
        is_slice = _is_slice(inside.n, len(values))
        for beside in block.beside(values):
            is_slice = is_slice & (_low(difference, inside, beside, BESIDE) > 0)
        return np.where(is_slice, ends, -np.inf)

    def _measured(self, conditions: tuple[Condition, ...], mask: Mask) -> Slice:
        inside, rest = Sums.of(self._errors[mask]), Sums.of(self._errors[~mask])
        low, high = self._difference(inside, rest, self._level)
        return Slice(
            words=describe(conditions),
            conditions=conditions,
            num_rows=int(mask.sum()),
            error=float(inside.mean[0]),
            rest=float(rest.mean[0]),
            low=float(low[0]),
            high=float(high[0]),
        )


def _low(difference: Difference, inside: Sums, others: Sums, level: float) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        low, _ = difference(inside, others, level)
        worse = inside.mean > others.mean
    return np.where((inside.n >= MIN_ROWS) & (others.n >= MIN_ROWS) & worse, low, -np.inf)


def _is_slice(n: Array, total: int) -> Mask:
    return (n >= MIN_ROWS) & (n <= total / 2)


def _highest(values: Array) -> float:
    return float(values.max(initial=-np.inf))


def _mean_by(membership: NDArray[np.int64], values: Array) -> Array:
    """Return to each row the mean of the rows that are in the same slices."""
    _, groups = np.unique(membership, return_inverse=True)
    means: Array = (np.bincount(groups, values) / np.bincount(groups))[groups]
    return means
