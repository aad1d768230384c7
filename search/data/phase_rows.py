"""Which rows play which part in a phase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.data.dataset import Dataset
from search.data.split import fresh_divisions
from search.data.subsample import nested_order, sampling_rates, subsample
from search.errors import StudyError
from search.task import Spec

Rows = NDArray[np.int64]

MAX_VALIDATION_ROWS = 5_000
"""Enough to tell live configurations apart; confirm uses all of them."""
PROBE_ROWS = 1_000
"""Training rows on which the training loss is measured."""
LEAST_SHARE = 0.3
"""Of either, where evaluations are dear: 1,500 rows tell wide configurations apart."""


@dataclass(frozen=True)
class RowPlan:
    """The orders from which every phase takes its rows: nested, stratified, fixed by the seed.

    Attributes:
        train: All training rows; the first n of them are a stratified subsample.
        validation: Likewise the validation rows.
        test: The test rows.
        strata: Stratum of every row of the data set.
        fresh: Other divisions into training and validation rows, for the proof; see
            :func:`~search.data.split.fresh_divisions`.
    """

    train: Rows
    validation: Rows
    test: Rows
    strata: NDArray[np.int64]
    fresh: tuple[tuple[Rows, Rows], ...] = ()

    @classmethod
    def of(cls, dataset: Dataset, *, seed: int, num_fresh: int = 0) -> RowPlan:
        """Order a data set's rows, with up to ``num_fresh`` other divisions of them."""
        splits, strata, hashes = dataset.splits, dataset.strata, dataset.hashes

        def order(rows: Rows) -> Rows:
            return nested_order(strata, hashes, rows, seed=seed)

        divisions = fresh_divisions(splits, strata, hashes, num=num_fresh, seed=seed)
        fresh = tuple((order(train), order(validation)) for train, validation in divisions)
        return cls(order(splits.train), order(splits.validation), splits.test, strata, fresh)

    def search(self, num_rows: int, share: float = 1.0) -> dict[str, Rows]:
        """Return the parts of a search phase.

        Args:
            num_rows: Training rows.
            share: Of the rows that evaluations look at, where they are dear.
        """
        share = min(max(share, LEAST_SHARE), 1.0)
        return {
            "train": subsample(self.train, num_rows),
            "validation": subsample(self.validation, round(share * MAX_VALIDATION_ROWS)),
            "probe": subsample(self.train, min(round(share * PROBE_ROWS), num_rows)),
        }

    def few_classes(self, number: int, num_rows: int) -> dict[str, Rows]:
        """Return the parts of a search phase with the rows of the first classes only.

        Args:
            number: Of classes; those without a training row don't count.
            num_rows: Training rows at most.
        """
        kept = np.unique(self.strata[self.train])[:number]
        train, validation = (
            rows[np.isin(self.strata[rows], kept)] for rows in (self.train, self.validation)
        )
        # A split that is given may judge by other classes than it teaches.
        few = replace(self, train=train, validation=validation if len(validation) else train)
        return few.search(num_rows)

    def confirm(self) -> list[dict[str, Rows]]:
        """Return the parts of the confirm phase: everything, the test rows included.

        The first division is the search's, the fresh ones follow.
        """
        return [
            {
                "train": train,
                "validation": validation,
                "probe": subsample(train, PROBE_ROWS),
                "test": self.test,
            }
            for train, validation in ((self.train, self.validation), *self.fresh)
        ]

    def judged(self, num_rows: int) -> Rows:
        """Return the rows by which trials are judged, the test rows left out, sorted.

        Args:
            num_rows: Of each division at most.
        """
        orders = (self.validation, *(validation for _, validation in self.fresh))
        return np.unique(np.concatenate([subsample(order, num_rows) for order in orders]))

    def describe(self, coarse_rows: int, fine_rows: int) -> dict[str, Any]:
        """Return the phases' subsamples as in ``subsample.json``: sizes and sampling rates."""
        sizes = {"coarse": coarse_rows, "fine": fine_rows, "confirm": len(self.train)}
        return {
            phase: {
                "num_rows": size,
                "rates": sampling_rates(self.strata, self.train, subsample(self.train, size)),
            }
            for phase, size in sizes.items()
        }


def check_classes(number: int | None, spec: Spec) -> None:
    """Refuse a smoke rung on classes that there aren't.

    Raises:
        StudyError: The task isn't classification, or there are no more classes than that.
    """
    if number is None or (spec.task == "classification" and number < spec.num_outputs):
        return
    has = f"there are {spec.num_outputs}"
    if spec.task != "classification":
        has = f"this is {spec.task}, which has none"
    raise StudyError(
        f"study key 'coarse.classes' = {number}: it takes fewer classes than the data have, and "
        f"{has}; leave it out"
    )


def describe_divisions(fresh: Sequence[tuple[Rows, Rows]]) -> str:
    """Say in words why the proof has its own validation rows."""
    sizes = [len(validation) for _, validation in fresh]
    return (
        f"few validation rows: each seed is judged on {min(sizes)} rows of its own, by which the "
        "search hasn't chosen"
    )
