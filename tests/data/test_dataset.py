import os
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from example_tables import mixed_table, parquet, refused, replaced

from search.data import DataOptions, Dataset, load_dataset

real = pytest.mark.skipif(
    "SIEVE_DATA" not in os.environ, reason="SIEVE_DATA names no folder of data sets"
)


def of(name: str, **options: object) -> Dataset:
    path = Path(os.environ["SIEVE_DATA"]) / f"{name}.parquet"
    return load_dataset(DataOptions(str(path), **options))


def values(dataset: Dataset, kind: str) -> np.ndarray:
    column = dataset.inputs[kind].chunk(0)
    return column.flatten().to_numpy().reshape(len(column), -1)


def assert_a_partition(dataset: Dataset) -> None:
    rows = np.concatenate(list(dataset.splits.parts().values()))
    assert np.array_equal(np.sort(rows), np.arange(dataset.inputs.num_rows))


@pytest.mark.parametrize("name", ["digits", "breast_cancer", "wine", "diabetes"])
def test_a_bundled_set_is_ready_for_training(name: str) -> None:
    dataset = load_dataset(DataOptions(f"sklearn:{name}"))
    assert_a_partition(dataset)
    assert dataset.warnings == ()
    assert dataset.spec.num_rows == len(dataset.splits.train)
    assert dataset.spec.inputs == (("image",) if name == "digits" else ("numeric",))
    regression = name == "diabetes"
    assert dataset.spec.task == ("regression" if regression else "classification")
    assert len(dataset.strata) == len(dataset.hashes) == dataset.inputs.num_rows


def test_csv_and_parquet_of_the_same_content_are_the_same_data(tmp_path: Path) -> None:
    table = mixed_table()
    table = replaced(table, "gaps", [None if x != x else x for x in table["gaps"].to_pylist()])
    pa_csv.write_csv(table, tmp_path / "data.csv")
    one = load_dataset(DataOptions(parquet(tmp_path, table)))
    two = load_dataset(DataOptions(str(tmp_path / "data.csv")))
    assert one.fingerprint == two.fingerprint
    assert one.inputs.equals(two.inputs)
    for name, rows in one.splits.parts().items():
        assert list(rows) == list(two.splits.parts()[name])


def test_loading_again_is_bit_for_bit_the_same(tmp_path: Path) -> None:
    options = DataOptions(parquet(tmp_path, mixed_table()), seed=3)
    one, two = load_dataset(options), load_dataset(options)
    assert one.inputs.equals(two.inputs)
    assert one.preparation == two.preparation
    assert one.fingerprint == two.fingerprint


def test_the_fingerprint_changes_with_one_value_and_not_with_the_seed(tmp_path: Path) -> None:
    table = mixed_table()
    path = parquet(tmp_path, table)
    changed = replaced(table, "x", [0.0, *table["x"].to_pylist()[1:]])
    known = load_dataset(DataOptions(path)).fingerprint
    assert load_dataset(DataOptions(path, seed=1)).fingerprint == known
    assert load_dataset(DataOptions(parquet(tmp_path, changed, "b.parquet"))).fingerprint != known


def test_a_column_without_values_is_left_out_and_the_warning_names_it(tmp_path: Path) -> None:
    table = mixed_table().append_column("empty", pa.array(np.full(120, np.nan)))
    dataset = load_dataset(DataOptions(parquet(tmp_path, table)))
    assert dataset.warnings == ("column 'empty' is missing in every row: left out",)
    assert dataset.spec.num_numeric == 3


def test_the_options_reach_the_data(tmp_path: Path) -> None:
    table = mixed_table().append_column("part", pa.array(["train", "test", "val"] * 40))
    dataset = load_dataset(
        DataOptions(
            parquet(tmp_path, table),
            label="colour",
            split="part",
            ignore=("gaps",),
            kinds={"label": "categorical"},
        )
    )
    assert dataset.schema.kinds == {"x": "numeric", "label": "categorical"}
    assert dataset.spec.classes == ("blue", "green", "red")
    assert list(dataset.splits.test) == list(range(1, 120, 3))


def test_a_wrong_label_is_refused_with_a_close_one() -> None:
    with refused("no column 'labels'", "did you mean 'label'?"):
        load_dataset(DataOptions("sklearn:wine", label="labels"))


@real
def test_adult_keeps_its_official_split() -> None:
    dataset = of("adult", label="income")
    parts = dataset.splits.parts()
    assert (len(parts["test"]), len(parts["train"]) + len(parts["validation"])) == (16_281, 32_561)
    assert len(parts["validation"]) == 5_000
    assert_a_partition(dataset)
    assert len(dataset.schema.of_kind("numeric")) == 6
    assert len(dataset.spec.categories) == 8
    assert dataset.spec.num_outputs == 2
    shares = [np.bincount(dataset.strata[rows])[1] / len(rows) for rows in parts.values()]
    assert shares[0] == pytest.approx(shares[1], abs=2e-3)


@real
def test_california_housing_is_regression() -> None:
    dataset = of("california_housing")
    assert (dataset.spec.task, dataset.spec.num_outputs) == ("regression", 1)
    assert dataset.spec.num_numeric == 8
    assert_a_partition(dataset)
    target = dataset.inputs["target"].to_numpy()
    for rows in dataset.splits.parts().values():
        assert abs(target[rows].mean()) < 0.02
        assert abs(target[rows].std() - 1) < 0.02


@real
def test_covertype_has_small_integers_among_its_numbers_and_rare_classes() -> None:
    dataset = of("covertype_16pct", label="Cover_Type", kinds={"Soil_Type": "categorical"})
    assert (dataset.spec.num_outputs, dataset.spec.num_numeric) == (7, 11)
    assert np.isfinite(values(dataset, "numeric")).all()
    assert values(dataset, "categorical").min() >= 0
    sizes = Counter(dataset.strata.tolist())
    test = Counter(dataset.strata[dataset.splits.test].tolist())
    assert all(test[each] == pytest.approx(0.2 * sizes[each], abs=2) for each in sizes)


@real
def test_copies_of_a_letter_are_on_the_same_side() -> None:
    dataset = of("letter", label="class")
    assert dataset.spec.num_outputs == 26
    seen = [set(dataset.hashes[rows].tolist()) for rows in dataset.splits.parts().values()]
    assert len(set.union(*seen)) == sum(map(len, seen)) < 20_000
    sizes = [len(rows) / 20_000 for rows in dataset.splits.parts().values()]
    assert sizes == pytest.approx([0.64, 0.16, 0.2], abs=2e-3)


@real
def test_fashion_mnist_is_images_with_its_official_test_set() -> None:
    dataset = of("fashion_mnist")
    assert dataset.spec.image == (1, 28, 28)
    sizes = {name: len(rows) for name, rows in dataset.splits.parts().items()}
    assert sizes == {"train": 54_000, "validation": 6_000, "test": 10_000}
    assert np.ptp(np.bincount(dataset.strata[dataset.splits.train])) <= 2
    assert dataset.preparation.pixel_mean[0] == pytest.approx(72.9, abs=0.5)  # 0.286 of 255


@real
def test_free_text_is_refused() -> None:
    with refused("column 'text' is text", "data.ignore"):
        of("sms_spam")


@real
def test_the_bundled_digits_are_those_of_the_file() -> None:
    table = pq.read_table(Path(os.environ["SIEVE_DATA"]) / "digits.parquet")
    bundled = load_dataset(DataOptions("sklearn:digits"))
    assert bundled.inputs["image"].to_pylist() == table["image"].to_pylist()
    assert bundled.inputs["target"].to_pylist() == table["label"].to_pylist()
