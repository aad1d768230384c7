"""All candidates for slices of one feature, or of two together, looked at in one go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from search.insight.cuts import Condition, Cut, Mask
from search.insight.intervals import Array, Sums

Place = tuple[int, ...]
"""Of a candidate in its block: which group of each cut."""


@dataclass(frozen=True, eq=False)
class Block:
    """The candidates of one cut, or every candidate of one with every candidate of another.

    Attributes:
        cuts: One or two.
    """

    cuts: tuple[Cut, ...]

    @cached_property
    def _groups(self) -> list[Array]:
        """Each cut's candidates, shape (candidates, bins); in a pair the coarse ones."""
        if len(self.cuts) == 1:
            return [self.cuts[0].groups]
        return [cut.groups[cut.is_coarse] for cut in self.cuts]

    @cached_property
    def _conditions(self) -> list[list[Condition]]:
        if len(self.cuts) == 1:
            return [list(self.cuts[0].conditions)]
        return [
            [c for c, coarse in zip(cut.conditions, cut.is_coarse, strict=True) if coarse]
            for cut in self.cuts
        ]

    @property
    def shape(self) -> Place:
        """How many candidates of each cut."""
        return tuple(len(groups) for groups in self._groups)

    def conditions(self, place: Place) -> tuple[Condition, ...]:
        """Return a candidate in words."""
        return tuple(each[n] for each, n in zip(self._conditions, place, strict=True))

    def mask(self, place: Place) -> Mask:
        """Return which rows a candidate holds, shape (rows,)."""
        chosen = zip(self.cuts, self._groups, place, strict=True)
        mask: Mask = np.logical_and.reduce([g[n, cut.bins] > 0 for cut, g, n in chosen])
        return mask

    def sums(self, values: Array) -> Sums:
        """Return the sums of a value, shape (rows,), over each candidate's rows."""
        return self._grouped(values, range(len(self.cuts)))

    def beside(self, values: Array) -> Iterator[Sums]:
        """Yield the sums of what each half of each pair holds beside the pair; none for singles."""
        if len(self.cuts) == 2:
            inside = self.sums(values)
            for axis in range(2):
                yield self._grouped(values, [axis]).expanded(1 - axis) - inside

    def _grouped(self, values: Array, axes: range | list[int]) -> Sums:
        cuts, groups = [self.cuts[a] for a in axes], [self._groups[a] for a in axes]
        shape = tuple(cut.groups.shape[1] for cut in cuts)
        cells = np.ravel_multi_index(tuple(cut.bins for cut in cuts), shape)
        size = int(np.prod(shape))
        tables = [np.bincount(cells, w, minlength=size) for w in (None, values, values**2)]
        return Sums(*(_summed(table.reshape(shape).astype(float), groups) for table in tables))

    def evidence(self, values: Array) -> Array:
        """Return each candidate's difference from the rest, in standard errors."""
        inside = self.sums(values)
        rest = Sums.of(values) - inside
        with np.errstate(invalid="ignore", divide="ignore"):
            error = np.sqrt(inside.mean_variance + rest.mean_variance)
            return np.nan_to_num((inside.mean - rest.mean) / error)

    def holding(self, place: Place) -> Mask:
        """Return which candidates hold all rows that one of them holds, itself among them."""
        masks = [(g >= g[n]).all(1) for g, n in zip(self._groups, place, strict=True)]
        mask: Mask = masks[0] if len(masks) == 1 else np.outer(*masks)
        return mask


def place_of_highest(values: Array) -> Place:
    """Return the place of the highest value."""
    return tuple(int(n) for n in np.unravel_index(int(values.argmax()), values.shape))


def _summed(table: Array, groups: list[Array]) -> Array:
    summed: Array = groups[0] @ table
    return summed if len(groups) == 1 else summed @ groups[1].T
