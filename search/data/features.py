"""What some rows hold, in the user's own units: for slices and sheets, not for training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from search.data.audit.view import Codes
from search.data.columns import image_pixels, numbers, strings
from search.data.schema import Schema

MAX_ROWS = 20_000
"""Enough to see where a model errs."""
MAX_CELLS, MAX_OUTPUTS = 20_000_000, 4_000_000
"""Of a wide table, or with thousands of classes, fewer rows are looked at: some 160 MB at most."""
_CHUNK = 1_024

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Features:
    """Some rows' features as they stand in the source.

    Attributes:
        rows: Row numbers of the source, sorted, shape (rows,).
        numeric: Name to numbers, NaN where missing, shape (rows,); of images their brightness and
            contrast (mean and standard deviation of the pixels, 0 to 255).
        categorical: Name to codes, -1 where missing.
    """

    rows: Rows
    numeric: dict[str, NDArray[np.float64]]
    categorical: dict[str, Codes]

    @classmethod
    def of(cls, table: pa.Table, schema: Schema, rows: Rows) -> Features:
        """Take some rows of a table."""
        rows = np.unique(rows)
        plain = [name for name, kind in schema.kinds.items() if kind != "image"]
        part = table.select(plain).take(pa.array(rows))
        numeric = {name: numbers(part[name], name) for name in schema.of_kind("numeric")}
        for name in schema.of_kind("image"):
            numeric |= _look_of(name, table[name], rows)
        codes = {n: _as_prepared(part[n], n) for n in schema.of_kind("categorical")}
        return cls(rows, numeric, codes)

    def places(self, rows: Rows) -> tuple[Rows, NDArray[np.bool_]]:
        """Return where row numbers stand among these rows, and which of them do."""
        places = np.minimum(np.searchsorted(self.rows, rows), max(len(self.rows) - 1, 0))
        known = self.rows[places] == rows if len(self.rows) else np.zeros(len(rows), dtype=bool)
        return places, known

    def only(self, rows: Rows) -> Features:
        """Return those of fewer rows, all of which must be among these."""
        places, _ = self.places(rows)
        numeric = {name: values[places] for name, values in self.numeric.items()}
        codes = {
            name: Codes(each.codes[places], each.values, each.type)
            for name, each in self.categorical.items()
        }
        return Features(rows, numeric, codes)

    def values_at(self, place: int, most: int) -> dict[str, Any]:
        """Return what the row at a place holds, None where it is missing; ``most`` features."""
        numeric = {n: None if np.isnan(v[place]) else v[place] for n, v in self.numeric.items()}
        codes = {name: (each, int(each.codes[place])) for name, each in self.categorical.items()}
        named = {n: None if code < 0 else c.values[code] for n, (c, code) in codes.items()}
        found: dict[str, Any] = {n: None if v is None else float(v) for n, v in numeric.items()}
        return dict(list({**found, **named}.items())[:most])


def num_rows_to_keep(num_columns: int, num_outputs: int) -> int:
    """Return how many rows are looked at, at most."""
    return max(1, min(MAX_ROWS, MAX_CELLS // num_columns, MAX_OUTPUTS // num_outputs))


def _as_prepared(column: pa.ChunkedArray, name: str) -> Codes:
    """Encode a category by the same strings as for training."""
    return Codes.of(pa.chunked_array([pa.array(strings(column, name), pa.string())]))


def _look_of(name: str, images: pa.ChunkedArray, rows: Rows) -> dict[str, NDArray[np.float64]]:
    brightness, contrast = np.empty(len(rows)), np.empty(len(rows))
    for start in range(0, len(rows), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        pixels = image_pixels(images.take(pa.array(rows[chunk])))
        brightness[chunk], contrast[chunk] = pixels.mean(1), pixels.std(1)
    return {f"brightness of {name}": brightness, f"contrast of {name}": contrast}
