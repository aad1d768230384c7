"""Columns of a table, read as numbers, as strings and as pixels."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from search.errors import DataError

_LARGEST, _SMALLEST = 1e300, 1e-280


def decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a dictionary-encoded column as plain values; others as they are."""
    if pa.types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    return column


def is_number(kind: pa.DataType) -> bool:
    """Tell whether a type holds numbers; truth values are none."""
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )


def is_string(kind: pa.DataType) -> bool:
    """Tell whether a type holds strings."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def joined(column: pa.ChunkedArray) -> pa.Array:
    """Return a column in one piece; one that is in one piece already is not copied."""
    if column.num_chunks == 1:
        return column.chunk(0)
    whole = column.combine_chunks()
    return whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole


def missing_mask(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Return which rows are missing, shape (rows,): null, NaN or infinite."""
    values = decoded(column)
    missing: NDArray[np.bool_] = pc.is_null(values, nan_is_null=True).to_numpy()
    if pa.types.is_floating(values.type):
        missing = missing | pc.is_inf(values).fill_null(False).to_numpy()
    return missing


def numbers(column: pa.ChunkedArray, name: str) -> NDArray[np.float64]:
    """Return a column as numbers, shape (rows,), NaN where it is missing.

    Raises:
        DataError: A value is no number.
    """
    try:
        # Large integers are rounded: a feature doesn't need their last digits.
        values: NDArray[np.float64] = decoded(column).cast(pa.float64(), safe=False).to_numpy()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"column '{name}' shall be numeric and has values that are no numbers; "
            "declare it categorical (data.kinds), or leave it out (data.ignore)"
        ) from error
    # A mark such as the largest float is a number, but means and differences would overflow; so
    # would slopes between numbers that are as good as zero.
    known = np.where(np.isfinite(values), values, np.nan)
    return np.clip(np.where(np.abs(known) < _SMALLEST, 0.0, known), -_LARGEST, _LARGEST)


def strings(column: pa.ChunkedArray, name: str) -> NDArray[np.object_]:
    """Return a column as strings, shape (rows,), None where it is missing.

    Raises:
        DataError: A value has no form as a string.
    """
    try:
        values = np.array(decoded(column).cast(pa.string()).to_numpy(), dtype=object)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"column '{name}' is of type {column.type}, which can't be categorical; "
            "give it as strings (UTF-8), or leave it out (data.ignore)"
        ) from error
    values[missing_mask(column)] = None
    return values


def image_pixels(column: pa.ChunkedArray) -> NDArray[np.uint8]:
    """Return an image column's values, shape (rows, size); a missing image is a DataError."""
    if column.null_count:
        raise DataError(f"{column.null_count} images are missing; leave those rows out")
    flat = joined(column).flatten().to_numpy(zero_copy_only=False)
    pixels: NDArray[np.uint8] = flat.reshape(len(column), -1)
    return pixels


def image_shape_of(
    column: pa.ChunkedArray, name: str, declared: tuple[int, int, int] | None
) -> tuple[int, int, int]:
    """Return an image column's (channels, height, width).

    Args:
        column: The images.
        name: The column's name.
        declared: What the user said; a square of 1 or 3 channels when None.

    Raises:
        DataError: It holds no images, or images of another size.
    """
    kind = column.type
    if not pa.types.is_fixed_size_list(kind) or not pa.types.is_uint8(kind.value_type):
        raise DataError(f"column '{name}' is {kind}; an image is a fixed-size list of uint8")
    size = kind.list_size
    shape = declared or _square(size)
    if shape is None or math.prod(shape) != size:
        given = f"not {list(declared)}" if declared else "no square image"
        raise DataError(
            f"column '{name}' has {size} values, which is {given}; "
            "give data.image_shape as [channels, height, width] of that size"
        )
    return shape


def _square(size: int) -> tuple[int, int, int] | None:
    for channels in (1, 3):
        side = math.isqrt(size // channels)
        if channels * side * side == size:
            return channels, side, side
    return None
