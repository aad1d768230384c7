"""What the columns are: the label, the split, and the kind of every feature."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from search.data.columns import decoded, image_shape_of, is_number, is_string, missing_mask
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
SHAPE = b"image_shape"
"""In a column's metadata: ``channels,height,width`` of the pictures that it was decoded from."""
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
        kind, warning = _kind(table[name], name, declared.get(name))
        if warning:
            warnings.append(warning)
        if kind != "ignore":
            found[name] = kind
    if not found:
        raise DataError("no feature column is left; check label, ignore and kinds")
    shape = _image_shape(table, found, image_shape)
    return Schema(label, _task(table[label], label, task), found, split, shape), warnings


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
    kind = decoded(column).type
    plain = is_number(kind) and not pa.types.is_decimal(kind)
    if not (plain or is_string(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)):
        raise DataError(
            f"label '{name}' is of type {kind}, which isn't supported; "
            "make it numbers or strings, or predict another column"
        )
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
    column = decoded(table["split"])
    if not is_string(column.type):
        return None
    values = {value.lower() for value in column.drop_null().unique().to_pylist()}
    return "split" if values and values <= set(SPLIT_NAMES) else None


def _task(column: pa.ChunkedArray, name: str, declared: TaskType | None) -> TaskType:
    if declared == "regression" and not is_number(decoded(column).type):
        raise DataError(
            f"label '{name}' is of type {decoded(column).type}, which has no regression; "
            "predict a column of numbers, or leave out the task"
        )
    return declared or _infer_task(column)


def _infer_task(column: pa.ChunkedArray) -> TaskType:
    values = decoded(column)
    if not is_number(values.type):
        return "classification"
    distinct = pc.unique(values).to_numpy(zero_copy_only=False)
    whole = bool(np.all(distinct == np.floor(distinct)))
    limit = MAX_FLOAT_CLASSES if pa.types.is_floating(values.type) else MAX_CLASSES
    few = len(distinct) <= min(limit, math.isqrt(4 * len(values)))
    return "classification" if whole and few else "regression"


def _kind(column: pa.ChunkedArray, name: str, declared: Kind | None) -> tuple[Kind, str | None]:
    if declared == "ignore":
        return "ignore", None
    if missing_mask(column).all():
        return "ignore", f"column '{name}' is missing in every row: left out"
    nested = pa.types.is_nested(column.type)
    if declared is None:
        if not nested and len(pc.unique(column)) == 1:
            return "ignore", f"column '{name}' has the same value in every row: left out"
        return _infer_kind(column, name), None
    if declared != "image" and (nested or pa.types.is_binary(column.type)):
        raise DataError(
            f"column '{name}' is of type {column.type}, which can't be {declared}; "
            "leave it out (data.ignore)"
        )
    return declared, None


def _infer_kind(column: pa.ChunkedArray, name: str) -> Kind:
    kind = column.type
    if pa.types.is_fixed_size_list(kind) and pa.types.is_uint8(kind.value_type):
        return "image"
    values = decoded(column)
    if pa.types.is_boolean(values.type):
        return "categorical"
    if is_number(values.type):
        return "numeric"
    if is_string(values.type):
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


def _said(field: pa.Field) -> tuple[int, int, int] | None:
    """Return the shape that decoded pictures carry with them."""
    said = (field.metadata or {}).get(SHAPE)
    if said is None:
        return None
    channels, height, width = (int(each) for each in said.split(b","))
    return channels, height, width


def _image_shape(
    table: pa.Table, kinds: Mapping[str, Kind], declared: tuple[int, int, int] | None
) -> tuple[int, int, int] | None:
    images = [name for name, kind in kinds.items() if kind == "image"]
    if len(images) > 1:
        raise DataError(f"{len(images)} image columns ({', '.join(images)}); leave all but one out")
    if images:
        (name,) = images
        return image_shape_of(table[name], name, declared or _said(table.schema.field(name)))
    if declared is not None:
        raise DataError(
            f"data.image_shape = {declared}: no column holds images; leave it out, or declare the "
            "column: data.kinds.COLUMN=image"
        )
    return None
