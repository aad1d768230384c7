"""Preparation: imputing, scaling, encoding; fitted on the training rows alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from search.data.columns import decoded, image_pixels, image_shape_of, numbers, strings
from search.data.schema import Schema
from search.data.split import Rows
from search.errors import DataError, did_you_mean
from search.task import Spec

if TYPE_CHECKING:
    from sklearn.preprocessing import QuantileTransformer

MAX_CATEGORIES = 1_000
_CLIP = 5.0
_SEED = 0


@dataclass(frozen=True)
class Preparation:
    """What the training rows said; turns any table of the same columns into model inputs.

    Numeric columns: the training median for what is missing and a 0/1 column that says so,
    then quantiles mapped to a normal distribution, as Gorishniy et al. (2021) do for networks
    on tables, cut off at 5. Categorical columns: codes from 1 in sorted order; 0 for missing,
    unknown, and all but the 1,000 most frequent. Images: mean and standard deviation of each
    channel, applied when batches are made. A regression target is standardised.

    Attributes:
        schema: What the columns are.
        medians: Numeric column to its median.
        indicators: Numeric columns that had missing values in training.
        quantiles: The transformer's quantiles, shape (quantiles, numeric columns).
        categories: Categorical column to its values in the order of their codes.
        pixel_mean: Of each channel of the image, on the scale of 0 to 255.
        pixel_sd: Likewise.
        classes: Label values in the order of their codes; empty for regression.
        target_scale: (mean, standard deviation) of a regression target, else (0, 1).
    """

    schema: Schema
    medians: dict[str, float] = field(default_factory=dict)
    indicators: tuple[str, ...] = ()
    quantiles: tuple[tuple[float, ...], ...] = ()
    categories: dict[str, tuple[str, ...]] = field(default_factory=dict)
    pixel_mean: tuple[float, ...] = ()
    pixel_sd: tuple[float, ...] = ()
    classes: tuple[Any, ...] = ()
    target_scale: tuple[float, float] = (0.0, 1.0)

    @classmethod
    def fit(cls, table: pa.Table, schema: Schema, rows: Rows) -> Self:
        """Fit on the rows numbered ``rows``."""
        training = table.take(pa.array(rows))
        numeric = {name: numbers(training[name], name) for name in schema.of_kind("numeric")}
        medians = {name: _median(values) for name, values in numeric.items()}
        values = decoded(training[schema.label]).to_pandas()
        pixel_mean, pixel_sd = _pixel_statistics(training, schema)
        return cls(
            schema=schema,
            medians=medians,
            indicators=tuple(name for name, v in numeric.items() if np.isnan(v).any()),
            quantiles=_quantiles(numeric, medians),
            categories={n: _categories(training[n], n) for n in schema.of_kind("categorical")},
            pixel_mean=pixel_mean,
            pixel_sd=pixel_sd,
            # All of them, not the training rows' only: an output must exist for each.
            classes=tuple(np.sort(decoded(table[schema.label]).to_pandas().unique()).tolist())
            if schema.task == "classification"
            else (),
            target_scale=(float(values.mean()), float(values.std()) or 1.0)
            if schema.task == "regression"
            else (0.0, 1.0),
        )

    def transform(self, table: pa.Table) -> pa.Table:
        """Return the model inputs of a table.

        Args:
            table: With all feature columns; the label may be absent.

        Returns:
            The columns that are present of ``image`` (fixed-size list of uint8), ``numeric``
            (of float32), ``categorical`` (of int32), ``target`` (int64 codes, or float32).

        Raises:
            DataError: A column is missing or of another type, or the label has an unknown class.
        """
        for name in self.schema.kinds:
            if name not in table.column_names:
                raise DataError(
                    f"the data have no column '{name}', which the model was trained on"
                    + did_you_mean(name, table.column_names)
                )
        columns: dict[str, pa.Array] = {}
        for name in self.schema.of_kind("image"):
            image_shape_of(table[name], name, self.schema.image_shape)
            columns["image"] = _lists(image_pixels(table[name]))
        if self.schema.of_kind("numeric"):
            columns["numeric"] = _lists(self._numeric(table))
        if self.schema.of_kind("categorical"):
            columns["categorical"] = _lists(self._codes(table))
        if self.schema.label in table.column_names:
            columns["target"] = pa.array(self._target(table))
        return pa.table(columns)

    def _numeric(self, table: pa.Table) -> NDArray[np.float32]:
        names = self.schema.of_kind("numeric")
        raw = np.column_stack([numbers(table[name], name) for name in names])
        missing = np.isnan(raw)
        filled = np.where(missing, [self.medians[name] for name in names], raw)
        scaled = np.clip(self._transformer().transform(filled), -_CLIP, _CLIP)
        indicators = missing[:, [names.index(name) for name in self.indicators]]
        return np.hstack([scaled, indicators]).astype(np.float32)

    def _transformer(self) -> QuantileTransformer:
        """Rebuild scikit-learn's transformer from its quantiles: no pickle is kept."""
        quantiles = np.asarray(self.quantiles)
        transformer = _new_transformer()
        transformer.n_quantiles_, transformer.n_features_in_ = quantiles.shape
        transformer.quantiles_ = quantiles
        transformer.references_ = np.linspace(0, 1, len(quantiles), endpoint=True)
        return transformer

    def _codes(self, table: pa.Table) -> NDArray[np.int32]:
        columns = []
        for name, values in self.categories.items():
            found = pd.Index(values, dtype=object).get_indexer(pd.Index(strings(table[name], name)))
            columns.append(found.astype(np.int32) + 1)
        return np.column_stack(columns)

    def _target(self, table: pa.Table) -> NDArray[Any]:
        target = self.truth(table)
        if self.schema.task == "classification" and (target < 0).any():
            row = int(np.argmax(target < 0))
            unknown = table[self.schema.label][row].as_py()
            raise DataError(f"label '{self.schema.label}' has the unknown class '{unknown}'")
        return target

    def truth(self, table: pa.Table) -> NDArray[Any]:
        """Return what the label column says, shape (rows,), as a model learns it.

        Class codes, int64, -1 where it is missing or of no known class; or the standardised
        target, float32, NaN where it is missing.

        Raises:
            DataError: A regression's label is no number.
        """
        column = table[self.schema.label]
        if self.schema.task == "regression":
            mean, sd = self.target_scale
            standardised = (numbers(column, self.schema.label) - mean) / sd
            return standardised.astype(np.float32)
        values = decoded(column).to_pandas()
        codes: NDArray[np.int64] = pd.Index(self.classes).get_indexer(pd.Index(values))
        return codes.astype(np.int64)

    def spec(self, num_rows: int) -> Spec:
        """Return what a model may know; ``num_rows`` training rows."""
        regression = self.schema.task == "regression"
        return Spec(
            task=self.schema.task,
            num_outputs=1 if regression else len(self.classes),
            num_rows=num_rows,
            num_numeric=len(self.medians) + len(self.indicators),
            categories=tuple(len(values) + 1 for values in self.categories.values()),
            image=self.schema.image_shape,
            classes=tuple(str(each) for each in self.classes),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values; numbers keep every bit."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**values, "schema": self.schema.to_json()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote."""
        tuples = ("indicators", "pixel_mean", "pixel_sd", "classes", "target_scale")
        fields = {**values, **{name: tuple(values[name]) for name in tuples}}
        fields["quantiles"] = tuple(tuple(row) for row in values["quantiles"])
        fields["categories"] = {name: tuple(each) for name, each in values["categories"].items()}
        return cls(**{**fields, "schema": Schema.from_json(values["schema"])})


def _median(values: NDArray[np.float64]) -> float:
    present = values[~np.isnan(values)]
    return float(np.median(present)) if len(present) else 0.0


def _categories(column: pa.ChunkedArray, name: str) -> tuple[str, ...]:
    counts = pd.Series(strings(column, name)).value_counts().sort_index()
    counts = counts.sort_values(ascending=False, kind="stable")
    return tuple(sorted(str(value) for value in counts.index[:MAX_CATEGORIES]))


def _quantiles(
    numeric: dict[str, NDArray[np.float64]], medians: dict[str, float]
) -> tuple[tuple[float, ...], ...]:
    if not numeric:
        return ()
    columns = [np.where(np.isnan(v), medians[name], v) for name, v in numeric.items()]
    matrix = np.column_stack(columns)
    count = min(max(min(len(matrix) // 30, 1_000), 10), len(matrix))
    fitted = _new_transformer(n_quantiles=count, random_state=_SEED).fit(matrix)
    return tuple(tuple(float(value) for value in row) for row in fitted.quantiles_)


def _new_transformer(**options: Any) -> QuantileTransformer:
    # Its import takes as long as torch's, and trials, which get prepared data, have no need of it.
    from sklearn.preprocessing import QuantileTransformer

    return QuantileTransformer(output_distribution="normal", **options)


def _pixel_statistics(
    table: pa.Table, schema: Schema
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if schema.image_shape is None:
        return (), ()
    (name,) = schema.of_kind("image")
    channels = schema.image_shape[0]
    pixels = image_pixels(table[name]).reshape(table.num_rows, channels, -1)
    means, sds = [], []
    for channel in range(channels):
        # A histogram is exact, and needs no float copy of all the images.
        counts = np.bincount(pixels[:, channel].ravel(), minlength=256) / pixels[:, channel].size
        levels = np.arange(256.0)
        mean = float(counts @ levels)
        means.append(mean)
        sds.append(max(float(np.sqrt(counts @ (levels - mean) ** 2)), 1e-6))
    return tuple(means), tuple(sds)


def _lists(matrix: NDArray[Any]) -> pa.FixedSizeListArray:
    flat = pa.array(np.ascontiguousarray(matrix).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, matrix.shape[1])
