"""``sieve predict``: what a run's best model, or its ensemble, says of new rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from search.best import Best
from search.data.batches import Resident
from search.data.dataset import Prepared
from search.data.output import check_new_file, write_new_file
from search.data.source import read_table
from search.files import finite
from search.rundir import RunDir
from search.task import ModelModule, load_model
from search.training.job import device_for
from search.training.predictions import answers_of, average, decided
from search.training.predictor import load_predictor
from search.training.scoring import measure

BATCH_ROWS, BATCH_BYTES = 16_384, 64 * 2**20
"""Of the source's rows, at most so many are prepared at a time."""
PREVIEW_ROWS = 5
OUT = "--out"


def predict(
    run: RunDir,
    uri: str,
    *,
    out: Path | None = None,
    ensemble: bool = False,
    model: str | None = None,
) -> dict[str, Any]:
    """Predict all rows of some data, batch by batch.

    Args:
        run: A complete run.
        uri: The data, as for a run; the label's column may be absent.
        out: A new ``.parquet`` or ``.csv`` file for the predictions, a row each, in the data's
            order; None: only the summary.
        ensemble: With the run's ensemble instead of its single winner.
        model: The model module, where it isn't any more where the run had it.

    Returns:
        A summary, as ``--json`` prints it: how many rows, what was predicted, the metric where
        the labels are there, the first rows.

    Raises:
        SieveError: Something is wrong that the user can mend.
    """
    if out is not None:
        check_new_file(out, OUT)
    best = Best.read(run, ensemble=ensemble)
    module = load_model(model or best.model)
    device = device_for(1.0 if module.train is None else 0.0)
    summary = Summary(best)
    tables = summary.passing(Members(best, module, device).batches(read_table(uri)))
    if out is not None:
        write_new_file(tables, out, OUT)
    else:
        for _ in tables:
            pass
    about = {
        "model": best.model,
        "num_models": len(best.parts),
        "device": device.type,
        "out": None if out is None else str(out),
    }
    return {**summary.to_json(), **about}


@dataclass(frozen=True)
class Batch:
    """Some rows, predicted.

    Attributes:
        answers: Shape (rows, outputs): probabilities, or the standardised prediction.
        truth: Shape (rows,), see :meth:`search.data.prepare.Preparation.truth`; None without the
            label's column.
    """

    answers: NDArray[np.float64]
    truth: NDArray[Any] | None


class Members:
    """The single winner, or all models of the ensemble, ready to predict together.

    Args:
        best: What was kept of them.
        model: The module that they were trained from.
        device: Where networks compute.
    """

    def __init__(self, best: Best, model: ModelModule, device: torch.device) -> None:
        self._best, self._device = best, device
        self._members = [
            (part.weight, load_predictor(model, part.config, best.spec, part.kept, device))
            for part in best.parts
        ]

    def batches(self, table: pa.Table) -> Iterator[Batch]:
        """Predict a table's rows in their order, so many at a time as fit into bounded memory.

        Raises:
            DataError: A column that the models need is missing or of another type.
        """
        row_bytes = max(1, table.nbytes // table.num_rows)
        size = max(1, min(BATCH_ROWS, BATCH_BYTES // row_bytes))
        for start in range(0, table.num_rows, size):
            yield self._batch(table.slice(start, size))

    def _batch(self, table: pa.Table) -> Batch:
        best, label = self._best, self._best.preparation.schema.label
        truth = best.preparation.truth(table) if label in table.column_names else None
        features = table.drop_columns([label]) if truth is not None else table
        prepared = Prepared(best.preparation.transform(features), best.spec, best.preparation)
        data = Resident(prepared, self._device)
        rows = torch.arange(table.num_rows, device=self._device)
        answers = (
            (weight, answers_of(member.outputs(data, rows), best.spec.task))
            for weight, member in self._members
        )
        return Batch(average(answers), truth)


@dataclass
class Summary:
    """What has been predicted, in the data's own words and units.

    Attributes:
        best: What predicts.
    """

    best: Best
    _decided: list[NDArray[Any]] = field(default_factory=list)
    _truth: list[NDArray[Any]] = field(default_factory=list)
    _preview: list[dict[str, Any]] = field(default_factory=list)

    def passing(self, batches: Iterable[Batch]) -> Iterator[pa.Table]:
        """Yield each batch as a table, and take note of it."""
        for batch in batches:
            self._decided.append(decided(batch.answers, self.best.spec.task))
            if batch.truth is not None:
                self._truth.append(batch.truth)
            table = self._table(batch.answers)
            if not self._preview:
                self._preview = table.slice(0, PREVIEW_ROWS).to_pylist()
            yield table

    def _table(self, answers: NDArray[np.float64]) -> pa.Table:
        said = decided(answers, self.best.spec.task)
        if self.best.spec.task == "regression":
            return pa.table({"prediction": self._in_unit(said)})
        classes = pa.array(list(self.best.preparation.classes))
        shares = {
            f"probability_{name}": pa.array(column, pa.float32())
            for name, column in zip(self.best.spec.classes, answers.T, strict=True)
        }
        return pa.table({"prediction": classes.take(pa.array(said)), **shares})

    def _in_unit(self, standardised: NDArray[np.float64]) -> NDArray[np.float64]:
        mean, sd = self.best.preparation.target_scale
        return mean + sd * standardised

    def to_json(self) -> dict[str, Any]:
        """Return all that is known after the last batch; what isn't finite is None."""
        said = np.concatenate(self._decided)
        values = {
            "rows": len(said),
            "label": self.best.preparation.schema.label,
            "task": self.best.spec.task,
            "predictions": self._distribution(said),
            "metric": self._metric(said) if self._truth else None,
            "preview": self._preview,
        }
        return finite(values)  # type: ignore[no-any-return]

    def _distribution(self, said: NDArray[Any]) -> dict[str, Any]:
        """Return how often each class was predicted, or what the predicted values are like."""
        if self.best.spec.task == "classification":
            counts = Counter(said.tolist())
            return {name: counts[code] for code, name in enumerate(self.best.spec.classes)}
        values = self._in_unit(said)
        found = {
            "mean": values.mean(),
            "sd": values.std(),
            "min": values.min(),
            "max": values.max(),
        }
        return {name: float(value) for name, value in found.items()}

    def _metric(self, said: NDArray[Any]) -> dict[str, Any] | None:
        """Return the metric on the rows whose label is there and known to the model."""
        truth = np.concatenate(self._truth)
        regression = self.best.spec.task == "regression"
        known = np.isfinite(truth) if regression else truth >= 0
        if known.sum() < 2:
            return None
        value = math.nan
        if np.isfinite(said[known]).all():
            sd = self.best.preparation.target_scale[1]
            value = measure(self.best.metric, truth[known], said[known], target_sd=sd)
        return {"name": self.best.metric, "value": value, "rows": int(known.sum())}
