"""What the columns are: the label, the split, and the kind of every feature."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from search.errors import DataError, did_you_mean
from search.task import TaskType

Kind = Literal["numeric", "categorical", "image", "ignore"]
LABEL_NAMES = ("label", "target", "class", "y")
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}
MAX_CLASSES = 100
MAX_FLOAT_CLASSES = 20
_TEXT_WORDS, _TEXT_DISTINCT = 3.0, 0.5


@dataclass(frozen=True)
class Schema:
    """The columns' parts.

    Attributes:
        label: To predict.
        task: ``classification`` or ``regression``.
        kinds: Feature column to ``numeric``, ``categorical`` or ``image``, in the table's order.
        split: The column that says train, validation, test; None: to be made.
        image_shape: (channels, height, width) of the image column, if there is one.
    """

    label: str
    task: TaskType
    kinds: Mapping[str, Kind]
    split: str | None = None
    image_shape: tuple[int, int, int] | None = None

    def of_kind(self, kind: Kind) -> list[str]:
        """Return the columns of a kind."""
        return [name for name, each in self.kinds.items() if each == kind]

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Schema:
        """Read what :meth:`to_json` wrote."""
        shape = values["image_shape"]
        return cls(**{**values, "image_shape": tuple(shape) if shape else None})


def infer_schema(
    table: pa.Table,
    *,
    label: str | None = None,
    split: str | None = None,
    ignore: Sequence[str] = (),
    kinds: Mapping[str, Kind] | None = None,
    task: TaskType | None = None,
    image_shape: tuple[int, int, int] | None = None,
) -> tuple[Schema, list[str]]:
    """Find out what the columns are; what is declared goes before what is inferred.

    Args:
        table: The data.
        label: The column to predict; one of the usual names when None.
        split: The split column; a fitting column named ``split`` when None.
        ignore: Columns to leave out.
        kinds: Kinds of columns where inference would be wrong.
        task: The task, where the label's type would mislead.
        image_shape: Of the image column, where its length is no square.

    Returns:
        The schema, and warnings on columns that were left out.

    Raises:
        DataError: A named column doesn't exist, the label or a column can't be used.
    """
    declared = dict(kinds or {})
    _check_names(table, [label, split, *ignore, *declared])
    label = label or _infer_label(table)
    _check_label(table[label], label)
    split = split or _infer_split(table)
    left_out = {label, split, *ignore}
    found: dict[str, Kind] = {}
    warnings: list[str] = []
    for name in table.column_names:
        if name in left_out:
            continue
        warning = _unusable(table[name], name)
        kind = declared.get(name) or ("ignore" if warning else _infer_kind(table[name], name))
        if warning and name not in declared:
            warnings.append(warning)
        if kind != "ignore":
            found[name] = kind
    if not found:
        raise DataError("no feature column is left; check label, ignore and kinds")
    shape = _image_shape(table, found, image_shape)
    return Schema(label, task or _infer_task(table[label]), found, split, shape), warnings


def _check_names(table: pa.Table, names: Sequence[str | None]) -> None:
    for name in names:
        if name is not None and name not in table.column_names:
            raise DataError(
                f"the data have no column '{name}'" + did_you_mean(name, table.column_names)
            )


def _infer_label(table: pa.Table) -> str:
    for name in LABEL_NAMES:
        if name in table.column_names:
            return name
    columns = ", ".join(table.column_names)
    raise DataError(f"no column is named {', '.join(LABEL_NAMES)}; give --label, one of: {columns}")


def _check_label(column: pa.ChunkedArray, name: str) -> None:
    missing = int(missing_mask(column).sum())
    if missing:
        raise DataError(
            f"label '{name}' is missing in {missing} of {len(column)} rows; "
            "leave those rows out, or predict another column"
        )
    if len(pc.unique(column)) < 2:
        raise DataError(f"label '{name}' has one value only; there is nothing to learn")


def _infer_split(table: pa.Table) -> str | None:
    if "split" not in table.column_names:
        return None
    values = {str(value) for value in decoded(table["split"]).unique().to_pylist()}
    return "split" if values <= set(SPLIT_NAMES) else None


def _infer_task(column: pa.ChunkedArray) -> TaskType:
    values = decoded(column)
    if not _is_number(values.type):
        return "classification"
    distinct = pc.unique(values).to_numpy(zero_copy_only=False)
    whole = bool(np.all(distinct == np.floor(distinct)))
    limit = MAX_FLOAT_CLASSES if pa.types.is_floating(values.type) else MAX_CLASSES
    few = len(distinct) <= min(limit, math.isqrt(4 * len(values)))
    return "classification" if whole and few else "regression"


def _unusable(column: pa.ChunkedArray, name: str) -> str | None:
    missing = missing_mask(column)
    if missing.all():
        return f"column '{name}' is missing in every row: left out"
    if not pa.types.is_nested(column.type) and len(pc.unique(column)) == 1:
        return f"column '{name}' has the same value in every row: left out"
    return None


def _infer_kind(column: pa.ChunkedArray, name: str) -> Kind:
    kind = column.type
    if pa.types.is_fixed_size_list(kind) and pa.types.is_uint8(kind.value_type):
        return "image"
    values = decoded(column)
    if pa.types.is_boolean(values.type):
        return "categorical"
    if _is_number(values.type):
        return "numeric"
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        if _is_text(values):
            raise DataError(
                f"column '{name}' is text, which no bundled model reads; "
                "leave it out (data.ignore), or declare it categorical (data.kinds)"
            )
        return "categorical"
    raise DataError(
        f"column '{name}' is of type {kind}, which isn't supported; leave it out (data.ignore)"
    )


def _is_text(values: pa.ChunkedArray) -> bool:
    present = values.drop_null()
    words = pc.mean(pc.add(pc.count_substring(present, " "), 1)).as_py()
    distinct = len(pc.unique(present)) / max(len(present), 1)
    return bool(words >= _TEXT_WORDS and distinct >= _TEXT_DISTINCT)


def _image_shape(
    table: pa.Table, kinds: Mapping[str, Kind], declared: tuple[int, int, int] | None
) -> tuple[int, int, int] | None:
    images = [name for name, kind in kinds.items() if kind == "image"]
    if not images:
        return None
    if len(images) > 1:
        raise DataError(f"{len(images)} image columns ({', '.join(images)}); leave all but one out")
    column = table[images[0]].type
    if not pa.types.is_fixed_size_list(column) or not pa.types.is_uint8(column.value_type):
        raise DataError(f"column '{images[0]}' is {column}; an image is a fixed-size list of uint8")
    size = column.list_size
    shape = declared or _square(size)
    if shape is None or math.prod(shape) != size:
        raise DataError(
            f"column '{images[0]}' has {size} values, which is no square image; "
            "give data.image_shape as [channels, height, width] of that size"
        )
    return shape


def _square(size: int) -> tuple[int, int, int] | None:
    for channels in (1, 3):
        side = math.isqrt(size // channels)
        if channels * side * side == size:
            return channels, side, side
    return None


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )


def decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a dictionary-encoded column as plain values; others as they are."""
    if pa.types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    return column


def missing_mask(column: pa.ChunkedArray) -> np.ndarray:
    """Return which rows are missing, shape (rows,): null, or NaN."""
    mask = pc.is_null(column, nan_is_null=True)
    values: np.ndarray = mask.to_numpy()
    return values
