"""What the benchmarks of trainings stand on: a data set, ready to train on one CPU."""

from __future__ import annotations

from pathlib import Path

from search.data import DataOptions, Dataset, load_dataset
from search.data.batches import Resident
from search.data.phase_rows import RowPlan
from search.training.threads import use_threads


def open_data(folder: Path, name: str, label: str) -> tuple[Dataset, RowPlan, Resident]:
    """Return a data set of a folder, the orders of its rows, and its tensors; one thread trains."""
    use_threads(1)
    dataset = load_dataset(DataOptions(uri=str(folder / f"{name}.parquet"), label=label))
    return dataset, RowPlan.of(dataset, seed=0), Resident(dataset, "cpu")
