"""A data set, ready for training: prepared once, kept as Arrow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from search.data.prepare import Preparation
from search.data.schema import Kind, Schema, infer_schema
from search.data.source import read_table
from search.data.split import Splits, fingerprint, make_splits, make_strata, row_hashes
from search.study import DataSection
from search.task import Spec, TaskType


@dataclass(frozen=True)
class DataOptions:
    """What a study says of its data; see :class:`search.study.DataSection`."""

    uri: str
    label: str | None = None
    split: str | None = None
    ignore: tuple[str, ...] = ()
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    task: TaskType | None = None
    image_shape: tuple[int, int, int] | None = None
    seed: int = 0

    @classmethod
    def of(cls, section: DataSection, seed: int) -> DataOptions:
        """Return what a study says of its data."""
        return cls(**dict(section), seed=seed)

    def schema_of(self, table: pa.Table) -> tuple[Schema, list[str]]:
        """Return what a table's columns are, and what was noticed; see :func:`infer_schema`."""
        return infer_schema(
            table,
            label=self.label,
            split=self.split,
            ignore=self.ignore,
            kinds=self.kinds,
            task=self.task,
            image_shape=self.image_shape,
        )


@dataclass(frozen=True)
class Prepared:
    """Rows as a model gets them; one row for each row of the source.

    Attributes:
        inputs: Prepared columns, see :meth:`search.data.prepare.Preparation.transform`.
        spec: What a model may know.
        preparation: Fitted on the training rows; for prediction.
    """

    inputs: pa.Table
    spec: Spec
    preparation: Preparation


@dataclass(frozen=True)
class Dataset(Prepared):
    """Everything that training needs of the data.

    Attributes:
        splits: Row numbers of the parts.
        strata: Each row's class, or decile of its target.
        hashes: Each row's hash of its content.
        schema: What the columns are.
        warnings: What was noticed while reading.
    """

    splits: Splits
    strata: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    schema: Schema
    warnings: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Identify the data: their rows in order, and their columns."""
        return fingerprint(self.hashes, [self.schema.label, *self.schema.kinds])


def load_dataset(options: DataOptions) -> Dataset:
    """Read, split and prepare a data set.

    Raises:
        DataError: It can't be read, or can't be used as declared.
    """
    return prepare_dataset(read_table(options.uri), options)


def prepare_dataset(table: pa.Table, options: DataOptions) -> Dataset:
    """Split and prepare a table; see :func:`load_dataset`."""
    schema, warnings = options.schema_of(table)
    strata, hashes = make_strata(table, schema), row_hashes(table, schema)
    splits = make_splits(table, schema, strata, hashes, seed=options.seed)
    preparation = Preparation.fit(table, schema, splits.train)
    return Dataset(
        inputs=preparation.transform(table),
        spec=preparation.spec(len(splits.train)),
        splits=splits,
        strata=strata,
        hashes=hashes,
        preparation=preparation,
        schema=schema,
        warnings=tuple(warnings),
    )
