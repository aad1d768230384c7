"""Plants known faults into tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Planted:
    """A table with faults.

    Attributes:
        table: The table.
        rows: Where the faults are; none where a whole column is one.
        columns: That they are in.
    """

    table: pa.Table
    rows: Rows
    columns: tuple[str, ...] = ()


def _put(table: pa.Table, name: str, values: Any) -> pa.Table:
    array = values if isinstance(values, pa.Array) else pa.array(values)
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), name, array)
    return table.append_column(name, array)


def _objects(table: pa.Table, name: str) -> NDArray[np.object_]:
    return np.array(table[name].to_pylist(), dtype=object)


def _codes(table: pa.Table, label: str) -> NDArray[np.int64]:
    return np.unique(_objects(table, label).astype(str), return_inverse=True)[1].astype(np.int64)


def with_split(table: pa.Table, generator: np.random.Generator) -> pa.Table:
    """Return a table with a column ``split``, drawn at random where it has none."""
    if "split" in table.column_names:
        return table
    drawn = generator.choice(["train", "validation", "test"], table.num_rows, p=[0.7, 0.15, 0.15])
    return _put(table, "split", drawn.tolist())


def duplicates(table: pa.Table, label: str, generator: np.random.Generator) -> Planted:
    """Append copies of 1 % of the training rows, with the same part."""
    table = with_split(table, generator)
    train = np.flatnonzero(_objects(table, "split") == "train")
    chosen = generator.choice(train, max(5, len(train) // 100), replace=False)
    planted = pa.concat_tables([table, table.take(pa.array(chosen))])
    return Planted(planted, np.arange(table.num_rows, planted.num_rows))


def split_copies(table: pa.Table, label: str, generator: np.random.Generator) -> Planted:
    """Append copies of training rows to the test part: 2 % of it."""
    table = with_split(table, generator)
    split = _objects(table, "split")
    num = max(8, int((split == "test").sum()) // 50)
    copies = table.take(pa.array(generator.choice(np.flatnonzero(split == "train"), num)))
    copies = _put(copies, "split", ["test"] * num)
    planted = pa.concat_tables([table, copies.cast(table.schema)])
    return Planted(planted, np.arange(table.num_rows, planted.num_rows), ("split",))


def label_flips(table: pa.Table, label: str, generator: np.random.Generator) -> Planted:
    """Give 5 % of the rows another class."""
    values = _objects(table, label)
    classes = np.unique(values)
    rows = np.sort(generator.choice(len(values), len(values) // 20, replace=False))
    for row in rows:
        values[row] = generator.choice(classes[classes != values[row]])
    flipped = pa.array(values.tolist(), type=table.schema.field(label).type)
    return Planted(_put(table, label, flipped), rows, (label,))


def leak(table: pa.Table, label: str, generator: np.random.Generator) -> Planted:
    """Add a column that is the label with a little noise."""
    noisy = _codes(table, label) + 0.1 * generator.normal(size=table.num_rows)
    return Planted(_put(table, "outcome", noisy), np.empty(0, np.int64), ("outcome",))


def identifier(table: pa.Table, label: str, generator: np.random.Generator) -> Planted:
    """Add a column that numbers the rows, in no order."""
    numbers = generator.permutation(table.num_rows) + 10_000
    return Planted(_put(table, "customer", numbers), np.empty(0, np.int64), ("customer",))


def missingness(table: pa.Table, label: str, generator: np.random.Generator) -> Planted:
    """Make a column miss 40 % in the first class, 10 % in the others."""
    name = _first(table, label)
    chance = np.where(_codes(table, label) == 0, 0.4, 0.1)
    gone = generator.random(table.num_rows) < chance
    values = pa.array(table[name].to_pylist(), type=table.schema.field(name).type, mask=gone)
    return Planted(_put(table, name, values), np.flatnonzero(gone), (name,))


def outliers(table: pa.Table, label: str, generator: np.random.Generator) -> Planted:
    """Write a few values of a numeric column a thousand times too large."""
    name = _first(table, label)
    values = _objects(table, name).astype(np.float64)
    rows = np.sort(generator.choice(table.num_rows, 10, replace=False))
    values[rows] = 1000.0 * (np.abs(values[rows]) + 1.0)
    return Planted(_put(table, name, values), rows, (name,))


def variants(table: pa.Table, label: str, generator: np.random.Generator) -> Planted:
    """Write 3 % of a categorical column in capitals, with a space at the end."""
    names = [f.name for f in table.schema if f.name not in (label, "split")]
    strings = [name for name in names if isinstance(table[name][0].as_py(), str)]
    if strings:
        name = strings[0]
        values = _objects(table, name)
    else:
        name = "size"
        first = _objects(table, _first(table, label)).astype(np.float64)
        thirds = np.searchsorted(np.quantile(first, [1 / 3, 2 / 3]), first)
        values = np.array(["small", "middle", "large"], dtype=object)[thirds]
    rows = np.sort(generator.choice(table.num_rows, table.num_rows // 33, replace=False))
    rows = np.array([row for row in rows if values[row] is not None], dtype=np.int64)
    for row in rows:
        values[row] = values[row].upper() + " "
    return Planted(_put(table, name, pa.array(values.tolist(), pa.string())), rows, (name,))


def contradictions(table: pa.Table, label: str, generator: np.random.Generator) -> Planted:
    """Append copies of 0.5 % of the rows with another class."""
    table = with_split(table, generator)
    rows = generator.choice(table.num_rows, max(5, table.num_rows // 200), replace=False)
    copies = table.take(pa.array(rows))
    values, classes = _objects(copies, label), np.unique(_objects(table, label))
    for row in range(len(values)):
        values[row] = generator.choice(classes[classes != values[row]])
    copies = _put(copies, label, pa.array(values.tolist(), type=table.schema.field(label).type))
    planted = pa.concat_tables([table, copies.cast(table.schema)])
    return Planted(planted, np.arange(table.num_rows, planted.num_rows), (label,))


def constant(table: pa.Table, label: str, generator: np.random.Generator) -> Planted:
    """Add a column that has the same value in every row."""
    return Planted(
        _put(table, "country", ["here"] * table.num_rows), np.empty(0, np.int64), ("country",)
    )


def _first(table: pa.Table, label: str) -> str:
    """Return the first column of numbers."""
    numeric = (pa.types.is_integer, pa.types.is_floating)
    for field in table.schema:
        if field.name != label and any(kind(field.type) for kind in numeric):
            return str(field.name)
    raise ValueError("the table has no column of numbers")


def blank_images(table: pa.Table, label: str, generator: np.random.Generator) -> Planted:
    """Make 20 images black."""
    name, pixels = _pixels(table)
    rows = np.sort(generator.choice(table.num_rows, 20, replace=False))
    pixels[rows] = 0
    return Planted(_put(table, name, _pictures(pixels)), rows, (name,))


def copied_images(table: pa.Table, label: str, generator: np.random.Generator) -> Planted:
    """Write 50 images over other ones; the rows are those of both."""
    name, pixels = _pixels(table)
    rows = generator.choice(table.num_rows, 100, replace=False)
    pixels[rows[:50]] = pixels[rows[50:]]
    return Planted(_put(table, name, _pictures(pixels)), np.sort(rows), (name,))


def _pixels(table: pa.Table) -> tuple[str, NDArray[np.uint8]]:
    name = next(f.name for f in table.schema if pa.types.is_fixed_size_list(f.type))
    column = table[name].combine_chunks()
    column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    return str(name), column.flatten().to_numpy().reshape(table.num_rows, -1).copy()


def _pictures(pixels: NDArray[np.uint8]) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(pixels.ravel()), pixels.shape[1])


Plant = Callable[[pa.Table, str, np.random.Generator], Planted]
KINDS: dict[str, Plant] = {
    "duplicates": duplicates,
    "split_copies": split_copies,
    "contradictory_labels": contradictions,
    "label_errors": label_flips,
    "leaking_column": leak,
    "identifier_column": identifier,
    "constant_column": constant,
    "missingness": missingness,
    "outliers": outliers,
    "category_variants": variants,
}
"""Check to what plants its fault."""
