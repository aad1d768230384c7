"""Tables and helpers for the tests of the data."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from search.data.schema import Schema, infer_schema
from search.data.split import Splits, make_splits, make_strata, row_hashes
from search.errors import DataError


@contextmanager
def refused(*words: str) -> Iterator[None]:
    """Expect a DataError of one line that has all of these words."""
    with pytest.raises(DataError) as error:
        yield
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def schema_of(table: pa.Table, **options: Any) -> Schema:
    return infer_schema(table, **options)[0]


def split(table: pa.Table, *, seed: int = 0, **options: Any) -> Splits:
    schema = schema_of(table, **options)
    strata, hashes = make_strata(table, schema), row_hashes(table, schema)
    return make_splits(table, schema, strata, hashes, seed=seed)


def classes_table(sizes: list[int], seed: int = 0) -> pa.Table:
    """Rows of classes "a", "b", ... of these sizes, in random order, all different."""
    random = np.random.default_rng(seed)
    labels = np.repeat([chr(ord("a") + n) for n in range(len(sizes))], sizes)
    return pa.table(
        {
            "x": random.normal(size=len(labels)),
            "count": random.integers(0, 9, len(labels)),
            "label": random.permutation(labels),
        }
    )


def mixed_table(num_rows: int = 120, seed: int = 0) -> pa.Table:
    """Two numeric columns (one with gaps), a categorical one, two classes."""
    random = np.random.default_rng(seed)
    gaps = random.exponential(size=num_rows)
    gaps[::7] = np.nan
    return pa.table(
        {
            "x": random.normal(size=num_rows),
            "gaps": gaps,
            "colour": random.choice(["red", "green", "blue"], num_rows),
            "label": random.permutation(np.arange(num_rows) % 2),
        }
    )


def images(num_rows: int, size: int, seed: int = 0) -> pa.FixedSizeListArray:
    pixels = np.random.default_rng(seed).integers(0, 256, num_rows * size).astype(np.uint8)
    return pa.FixedSizeListArray.from_arrays(pa.array(pixels), size)


def replaced(table: pa.Table, name: str, values: Any) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, pa.array(values))


def parquet(folder: Path, table: pa.Table, name: str = "data.parquet") -> str:
    pq.write_table(table, folder / name)
    return str(folder / name)
