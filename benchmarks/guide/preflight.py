"""Whether the preflight catches planted bugs, and lets sound set-ups through.

``SIEVE_DATA=FOLDER python -m benchmarks.guide.preflight --out FOLDER``
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.figures import Figures
from benchmarks.guide.bugs import BUGS
from search.data import DataOptions, Dataset, load_dataset
from search.data.batches import Resident
from search.data.phase_rows import RowPlan
from search.findings import Finding, failures
from search.task import ModelModule, load_model
from search.training.job import Rows
from search.training.preflight import Bench, preflight
from search.training.threads import use_threads

SECONDS = 20.0
SIZES = (500, 2_000, 10_000)
SOUND: dict[str, dict[str, tuple[int, ...]]] = {
    "models.mlp": {
        "digits": (300, 600, 1_100),  # it has 1,151 training rows
        "letter": SIZES,
        "adult": SIZES,
        "covertype_16pct": SIZES,
        "california_housing": SIZES,
    },
    "models.cnn": {"fashion_mnist": (500, 1_000, 2_000, 5_000, 10_000)},
}
LABELS = {
    "digits": "label",
    "letter": "class",
    "adult": "income",
    "covertype_16pct": "Cover_Type",
    "california_housing": "target",
    "fashion_mnist": "label",
}


def rows_of(dataset: Dataset, number: int) -> Rows:
    """Return the parts with so many training rows."""
    return Rows.of(RowPlan.of(dataset, seed=0).search(number))


def statuses(findings: list[Finding]) -> str:
    """Return what isn't well."""
    names = dict.fromkeys(f"{each.check} {each.status}" for each in findings)
    return ", ".join(name for name in names if not name.endswith("PASS")) or "none"


def bugs() -> Figures:
    """Look at every planted bug, on wine."""
    figures = Figures(
        "Planted bugs",
        "Models and set-ups with one thing wrong, on scikit-learn's wine. At least 14 of 15 are "
        "to be noticed.",
    )
    dataset = load_dataset(DataOptions(uri="sklearn:wine"))
    rows = rows_of(dataset, 1_000)
    sound, shuffled = Resident(dataset, "cpu"), Resident(_shuffled(dataset), "cpu")
    for bug in BUGS:
        tried = shuffled if bug.shuffles_labels else sound
        findings = preflight(Bench(bug.model, bug.config, dataset.spec, tried, rows, SECONDS))
        noticed = any(each.status != "PASS" for each in findings)
        figures.add(bug=bug.name, noticed="yes" if noticed else "no", by=statuses(findings))
    return figures


def _shuffled(dataset: Dataset) -> Dataset:
    """Return the data with every row's label from another row."""
    place = dataset.inputs.column_names.index("target")
    target = dataset.inputs["target"].to_numpy()
    shuffled = pa.array(np.random.default_rng(0).permutation(target))
    return replace(dataset, inputs=dataset.inputs.set_column(place, "target", shuffled))


def set_ups(folder: Path) -> Iterator[tuple[str, ModelModule, Dataset, int]]:
    """Yield twenty sound set-ups: the bundled models, data sets and sizes."""
    for path, sizes_of in SOUND.items():
        for name, sizes in sizes_of.items():
            uri = str(folder / f"{name}.parquet")
            dataset = load_dataset(DataOptions(uri=uri, label=LABELS[name]))
            for size in sizes:
                yield name, load_model(path), dataset, size


def sound(folder: Path) -> Figures:
    """Look at set-ups with nothing wrong."""
    figures = Figures(
        "Sound set-ups",
        "The bundled models with their first published default. At most one of twenty may be "
        "stopped.",
    )
    for name, model, dataset, size in set_ups(folder):
        config = model.defaults(dataset.spec)[0].config
        rows, data = rows_of(dataset, size), Resident(dataset, "cpu")
        began = time.perf_counter()
        findings = preflight(Bench(model, config, dataset.spec, data, rows, SECONDS))
        figures.add(
            model=model.path,
            data=name,
            rows=str(len(rows.train)),
            stopped="yes" if failures(findings, ()) else "no",
            seconds=f"{time.perf_counter() - began:.0f}",
            says=statuses(findings),
        )
    return figures


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="folder for the figures' JSON")
    arguments = parser.parse_args()
    if "SIEVE_DATA" not in os.environ:
        raise SystemExit("name the folder with the data in SIEVE_DATA")
    use_threads(1)
    parts = {
        "preflight-bugs": bugs(),
        "preflight-sound": sound(Path(os.environ["SIEVE_DATA"])),
    }
    for name, figures in parts.items():
        figures.save(None if arguments.out is None else arguments.out / f"{name}.json")


if __name__ == "__main__":
    main()
