"""Small data and short trainings for the tests of this folder."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from search.data import DataOptions, Dataset, load_dataset
from search.data.batches import Resident
from search.data.phase_rows import RowPlan
from search.space import Choice, Config, Integer, Space
from search.task import ModelModule, Spec, load_model
from search.training.job import Job, Rows
from search.training.scoring import resolve_metric
from search.training.sessions import Session, load_state, open_session, save_state
from search.training.threads import use_threads

use_threads(1)
MLP, CNN = load_model("models.mlp"), load_model("models.cnn")
POINTS = (96, 192, 288, 384, 480)


@dataclass(frozen=True)
class Small:
    """A few hundred rows of a data set, resident."""

    dataset: Dataset
    data: Resident
    rows: Rows

    @property
    def spec(self) -> Spec:
        return self.dataset.spec


def _small(uri: str, **options: Any) -> Small:
    dataset = load_dataset(DataOptions(uri=uri, **options))
    parts = RowPlan.of(dataset, seed=0).confirm()[0]
    sizes = {"train": 200, "validation": 80, "probe": 60, "test": 80}
    rows = Rows.of({name: parts[name][:size] for name, size in sizes.items()})
    return Small(dataset, Resident(dataset, "cpu"), rows)


@cache
def table() -> Small:
    """Three classes from numeric and categorical columns, both with missing values."""
    generator = np.random.default_rng(0)
    size, colour = generator.normal(size=500), generator.choice(["red", "green", "blue"], 500)
    label = np.digitize(size + (colour == "red") + 0.3 * generator.normal(size=500), [-0.3, 0.8])
    gaps = generator.random((2, 500)) < 0.1
    columns = {
        "size": pa.array(np.where(gaps[0], np.nan, size)),
        "noise": pa.array(generator.normal(size=500)),
        "colour": pa.array([None if gap else c for gap, c in zip(gaps[1], colour, strict=True)]),
        "shape": pa.array(generator.choice(["round", "square"], 500)),
        "label": pa.array(label),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        pq.write_table(pa.table(columns), path)
        return _small(str(path))


@cache
def images() -> Small:
    """Ten digits, 8 x 8."""
    return _small("sklearn:digits")


@cache
def two_classes() -> Small:
    """Benign or malign, from thirty numbers."""
    return _small("sklearn:breast_cancer")


@cache
def regression() -> Small:
    """A target with a standard deviation of about 77."""
    return _small("sklearn:diabetes")


def few_rows(small: Small, number: int) -> Small:
    """Return the data with so many training rows."""
    return replace(small, rows=replace(small.rows, train=small.rows.train[:number]))


def narrow_space(model: ModelModule, spec: Spec) -> Space:
    """The model's space with small networks alone, which train in no time."""
    space = model.space(spec)
    small = [
        Integer(name="num_units", low=8, high=24),
        Integer(name="num_channels", low=4, high=8),
        Choice(name="batch_size", values=(32, 64)),
        Choice(name="dense_units", values=(0, 16)),
    ]
    for dimension in small:
        space = space.replace(dimension) if dimension.name in space else space
    return space


def point(space: Space, **given: Any) -> Config:
    """Return the point with the given values, elsewhere the first or the middle ones."""
    config: Config = {}
    for dimension in space:
        if dimension.is_active(config):
            middle = dimension.from_unit(0.0 if isinstance(dimension, Choice) else 0.5)
            config[dimension.name] = given.get(dimension.name, middle)
    assert set(given) <= set(config), "a value that the configuration has no use for"
    space.validate(config)
    return config


def small_config(model: ModelModule, small: Small, **given: Any) -> Config:
    return point(narrow_space(model, small.spec), **given)


def make_job(small: Small, config: Config, **changes: Any) -> Job:
    points = changes.pop("points", POINTS)
    job = Job(
        trial_id="t",
        config=config,
        spec=small.spec,
        seed=1,
        budget_samples=points[-1],
        points=points,
        metric=resolve_metric(None, small.spec.task),
        target_sd=small.dataset.preparation.target_scale[1],
        early_stopping=False,
    )
    return replace(job, **changes)


def opened(job: Job, model: ModelModule, small: Small, state: Any = None) -> Session:
    return open_session(job, model, small.data, small.rows, state)


def trained(job: Job, model: ModelModule, small: Small) -> Session:
    session = opened(job, model, small)
    for _ in session.run():
        pass
    return session


def resumed(path: Path, job: Job, model: ModelModule, small: Small) -> Session:
    """Open a session from a file as another process would: its generators stand elsewhere."""
    torch.manual_seed(12345)
    torch.rand(7)
    state = load_state(path)
    assert state is not None
    return opened(job, model, small, state)


def trained_with_saves(
    job: Job, model: ModelModule, small: Small, folder: Path
) -> tuple[Session, list[Path]]:
    """Train through, saving the state after every evaluation, as a trial does."""
    session, paths = opened(job, model, small), []
    for evaluation in session.run():
        paths.append(folder / f"{evaluation.evaluation}.pt")
        save_state(paths[-1], session.state())
    return session, paths


def finish(session: Session) -> Session:
    for _ in session.run():
        pass
    return session


def numbers(session: Session) -> dict[str, Any]:
    """Return all that must not depend on interruptions: everything but the clock."""
    outcome, vitals = session.outcome(), session.vitals()
    weights = session.weights() if hasattr(session, "weights") else {}
    return {
        "evaluations": [
            repr(replace(each, seconds=0.0, eval_seconds=0.0)) for each in session.evaluations
        ],
        "outcome": repr(outcome),
        "size": (vitals.num_parameters, vitals.sparsity),
        "weights": {name: tensor.numpy().tobytes() for name, tensor in weights.items()},
    }


def losses(session: Session) -> list[float]:
    return [each.validation_loss for each in session.evaluations]


def each_resumed(
    paths: list[Path], job: Job, model: ModelModule, small: Small
) -> Iterator[dict[str, Any]]:
    """Yield what came out of a training that was resumed from each of its states."""
    for path in paths:
        yield numbers(finish(resumed(path, job, model, small)))
