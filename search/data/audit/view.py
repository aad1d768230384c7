"""A table as the checks look at it: each column read once, in the form that a check needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from search.data.columns import decoded, image_pixels, joined, missing_mask, numbers
from search.data.schema import Schema
from search.data.split import given_parts

T = TypeVar("T")
POOL = 7
"""Images are looked at as so many averages by as many."""


@dataclass(frozen=True)
class Codes:
    """A column as numbers that stand for its values.

    Attributes:
        codes: Shape (rows,); -1 where the value is missing.
        values: The value of each code, as it stands in the table.
        type: Of the values.
    """

    codes: NDArray[np.int32]
    values: tuple[Any, ...]
    type: pa.DataType

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> Codes:
        """Encode a column of any plain type."""
        encoded = joined(decoded(column)).dictionary_encode()
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
        return cls(codes, tuple(encoded.dictionary.to_pylist()), encoded.dictionary.type)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """How often each value occurs, shape (values,)."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.values))


class View:
    """What is audited.

    Args:
        table: The data.
        schema: What the columns are.
        ignored: Columns that the user left out.
        seed: Of samples and folds.

    Attributes:
        columns: All that aren't label, split or left out by the user; those that hold nothing
            among them.
    """

    def __init__(
        self, table: pa.Table, schema: Schema, ignored: tuple[str, ...] = (), seed: int = 0
    ) -> None:
        self.table = table
        self.schema = schema
        self.seed = seed
        apart = {schema.label, schema.split, *ignored}
        self.columns = [name for name in table.column_names if name not in apart]
        self._numbers: dict[str, NDArray[np.float64]] = {}
        self._codes: dict[str, Codes] = {}
        self._known: dict[Callable[[View], Any], Any] = {}

    @property
    def num_rows(self) -> int:
        """Of the table."""
        return int(self.table.num_rows)

    @property
    def is_classification(self) -> bool:
        """Whether the label is a class."""
        return self.schema.task == "classification"

    @property
    def plain(self) -> list[str]:
        """The feature columns that are no images."""
        return [name for name, kind in self.schema.kinds.items() if kind != "image"]

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return a numeric column, NaN where it is missing."""
        if name not in self._numbers:
            self._numbers[name] = numbers(self.table[name], name)
        return self._numbers[name]

    def codes(self, name: str) -> Codes:
        """Return a column as codes."""
        if name not in self._codes:
            self._codes[name] = Codes.of(self.table[name])
        return self._codes[name]

    def missing(self, name: str) -> NDArray[np.bool_]:
        """Return which of a column's rows are missing."""
        return missing_mask(self.table[name])

    def infinite(self, name: str) -> NDArray[np.bool_]:
        """Return which of a column's rows are infinite; they are among the missing ones, too."""
        values = decoded(self.table[name])
        if not pa.types.is_floating(values.type):
            return np.zeros(self.num_rows, dtype=bool)
        found: NDArray[np.bool_] = pc.is_inf(values).fill_null(False).to_numpy()
        return found

    def num_distinct(self, name: str) -> int:
        """Return how many values a column has, what is missing left out."""
        column = decoded(self.table[name])
        if pa.types.is_null(column.type):
            return 0
        return int(pc.count_distinct(column, mode="only_valid").as_py())

    @cached_property
    def target(self) -> NDArray[np.float64]:
        """The label as numbers: class codes in sorted order, or the value to predict."""
        if not self.is_classification:
            return numbers(self.table[self.schema.label], self.schema.label)
        found = self.codes(self.schema.label)
        order = np.argsort(np.array([str(value) for value in found.values]), kind="stable")
        rank = np.empty(len(order))
        rank[order] = np.arange(len(order))
        target: NDArray[np.float64] = rank[found.codes]
        return target

    @cached_property
    def classes(self) -> list[str]:
        """The classes' names by their codes in :attr:`target`; none for regression."""
        if not self.is_classification:
            return []
        return sorted(str(value) for value in self.codes(self.schema.label).values)

    @cached_property
    def parts(self) -> NDArray[np.str_] | None:
        """Each row's part, where the data name them."""
        return None if self.schema.split is None else given_parts(self.table, self.schema.split)

    @cached_property
    def pixels(self) -> NDArray[np.uint8] | None:
        """The images, shape (rows, channels, height, width); None where there are none."""
        if self.schema.image_shape is None:
            return None
        (name,) = self.schema.of_kind("image")
        return image_pixels(self.table[name]).reshape(-1, *self.schema.image_shape)

    @cached_property
    def features(self) -> NDArray[np.float32]:
        """All features for a tree, shape (rows, features): numbers, codes, averages of pixels."""
        parts: list[NDArray[np.float32]] = []
        for name in self.plain:
            if self.schema.kinds[name] == "numeric":
                parts.append(self.numbers(name).astype(np.float32)[:, None])
            else:
                parts.append(self.codes(name).codes.astype(np.float32)[:, None])
        if self.pixels is not None:
            parts.append(pooled(self.pixels, POOL))
        return np.hstack(parts)

    def once(self, find: Callable[[View], T]) -> T:
        """Return what a function finds in this view; for several checks it looks only once."""
        if find not in self._known:
            self._known[find] = find(self)
        found: T = self._known[find]
        return found

    def sample(self, size: int, purpose: int) -> NDArray[np.int64]:
        """Return the numbers of at most ``size`` rows, drawn at random, sorted."""
        if self.num_rows <= size:
            return np.arange(self.num_rows)
        generator = np.random.default_rng([self.seed, purpose])
        return np.sort(generator.choice(self.num_rows, size, replace=False))


def pooled(pixels: NDArray[np.uint8], pool: int) -> NDArray[np.float32]:
    """Return each image's averages over ``pool`` by ``pool`` fields, shape (rows, averages)."""
    num, _, height, width = pixels.shape
    rows = np.array_split(np.arange(height), min(pool, height))
    columns = np.array_split(np.arange(width), min(pool, width))
    means = [
        pixels[:, :, r[0] : r[-1] + 1, c[0] : c[-1] + 1].mean((2, 3)) for r in rows for c in columns
    ]
    return np.stack(means, axis=1).reshape(num, -1).astype(np.float32)
