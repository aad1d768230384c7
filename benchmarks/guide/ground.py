"""What the benchmarks of trainings stand on: a data set, ready to train on one CPU."""

from __future__ import annotations

from pathlib import Path

from search.data import DataOptions, Dataset, load_dataset
from search.data.batches import Resident
from search.data.phase_rows import RowPlan
from search.data.subsample import subsample
from search.space import Config, Space
from search.strategy.sobol import SobolPoints
from search.training.job import Rows
from search.training.threads import use_threads


def open_data(folder: Path, name: str, label: str) -> tuple[Dataset, RowPlan, Resident]:
    """Return a data set of a folder, the orders of its rows, and its tensors; one thread trains."""
    use_threads(1)
    dataset = load_dataset(DataOptions(uri=str(folder / f"{name}.parquet"), label=label))
    return dataset, RowPlan.of(dataset, seed=0), Resident(dataset, "cpu")


def coarse_configs(space: Space, number: int) -> list[Config]:
    """Return the first points of coarse's sequence."""
    points = SobolPoints(len(space.searched), 0)
    return [space.from_unit(points[each]) for each in range(number)]


def few_rows(plan: RowPlan, train: int, validation: int, probe: int) -> Rows:
    """Return so many rows of each part at most; the probe's are training rows."""
    parts = {
        "train": subsample(plan.train, train),
        "validation": subsample(plan.validation, validation),
        "probe": subsample(plan.train, probe),
    }
    return Rows.of(parts)


def even_points(full: int, number: int) -> tuple[int, ...]:
    """Return the samples after which each of ``number`` evaluations of a training is due."""
    return tuple(full * (each + 1) // number for each in range(number))
