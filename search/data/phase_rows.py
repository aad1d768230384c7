"""Which rows play which part in a phase."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.data.dataset import Dataset
from search.data.subsample import nested_order, sampling_rates, subsample

Rows = NDArray[np.int64]

MAX_VALIDATION_ROWS = 5_000
"""Enough to tell live configurations apart; confirm uses all of them."""
PROBE_ROWS = 1_000
"""Training rows on which the training loss is measured."""


@dataclass(frozen=True)
class RowPlan:
    """The orders from which every phase takes its rows: nested, stratified, fixed by the seed.

    Attributes:
        train: All training rows; the first n of them are a stratified subsample.
        validation: Likewise the validation rows.
        test: The test rows.
        strata: Stratum of every row of the data set.
    """

    train: Rows
    validation: Rows
    test: Rows
    strata: NDArray[np.int64]

    @classmethod
    def of(cls, dataset: Dataset, *, seed: int) -> RowPlan:
        """Order a data set's rows."""

        def order(rows: Rows) -> Rows:
            return nested_order(dataset.strata, dataset.hashes, rows, seed=seed)

        splits = dataset.splits
        return cls(order(splits.train), order(splits.validation), splits.test, dataset.strata)

    def search(self, num_rows: int) -> dict[str, Rows]:
        """Return the parts of a search phase with ``num_rows`` training rows."""
        train = subsample(self.train, num_rows)
        return {
            "train": train,
            "validation": subsample(self.validation, MAX_VALIDATION_ROWS),
            "probe": subsample(self.train, min(PROBE_ROWS, num_rows)),
        }

    def confirm(self) -> dict[str, Rows]:
        """Return the parts of the confirm phase: everything, the test rows included."""
        return {
            "train": self.train,
            "validation": self.validation,
            "probe": subsample(self.train, PROBE_ROWS),
            "test": self.test,
        }

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
