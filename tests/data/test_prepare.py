import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from example_tables import images, mixed_table, refused, replaced, schema_of
from hypothesis import given
from hypothesis import strategies as st

from search.data.prepare import MAX_CATEGORIES, Preparation

TRAIN = np.arange(80)
FLOATS = st.floats(allow_nan=True, allow_infinity=True, width=64)


def fit(table: pa.Table, rows: np.ndarray = TRAIN, **options: Any) -> Preparation:
    return Preparation.fit(table, schema_of(table, **options), rows)


def matrix(prepared: pa.Table, kind: str) -> np.ndarray:
    column = prepared[kind].chunk(0)
    return column.flatten().to_numpy().reshape(len(column), -1)


def numeric(values: list[float], **more: Any) -> np.ndarray:
    """Prepare one numeric column by itself as training rows."""
    size = len(values)
    table = pa.table(
        {"x": pa.array(values), "other": np.arange(size) / 3, "label": ["a", "b"] * 50}
    )
    return matrix(fit(table, np.arange(size)).transform(table), "numeric")


def test_inputs_have_one_row_each_and_the_declared_types() -> None:
    table = mixed_table()
    preparation = fit(table)
    prepared = preparation.transform(table)
    assert prepared.schema.field("numeric").type == pa.list_(pa.float32(), 3)
    assert prepared.schema.field("categorical").type == pa.list_(pa.int32(), 1)
    assert prepared.schema.field("target").type == pa.int64()
    assert prepared.num_rows == 120
    spec = preparation.spec(80)
    assert (spec.num_numeric, spec.categories, spec.classes) == (3, (4,), ("0", "1"))
    assert spec.inputs == ("numeric", "categorical")


@given(st.lists(FLOATS, min_size=40, max_size=40), st.integers(0, 9))
def test_the_test_rows_have_no_say(values: list[float], colour: int) -> None:
    table = mixed_table()
    known = fit(table)
    test_rows = {"x": values, "gaps": values, "colour": [f"colour {colour}"] * 40}
    for name, others in test_rows.items():
        table = replaced(table, name, [*table[name].to_pylist()[:80], *others])
    changed = fit(table)
    assert json.dumps(changed.to_json()) == json.dumps(known.to_json())
    assert changed.transform(table[:80]).equals(known.transform(table[:80]))


def test_the_test_rows_have_no_say_in_a_targets_scale_and_in_pixels() -> None:
    table = pa.table({"image": images(120, 4), "label": np.random.default_rng(0).normal(size=120)})
    known = fit(table)
    mixed = pa.concat_tables([table[:80], table.take(pa.array(np.arange(40)))])
    assert fit(mixed).to_json() == known.to_json()
    assert known.target_scale != fit(table, np.arange(120)).target_scale


@given(
    st.lists(FLOATS, min_size=100, max_size=100),
    st.lists(st.text(max_size=5) | st.none(), min_size=100, max_size=100),
    st.booleans(),
)
def test_json_keeps_every_bit(values: list[float], words: list[str], regression: bool) -> None:
    label = np.linspace(0.1, 1 / 3, 100) if regression else np.tile(["a", "b"], 50)
    table = pa.table({"x": values, "word": pa.array(words, pa.string()), "label": label})
    table = table.append_column("other", pa.array(np.arange(100) / 7))
    preparation = fit(table, kinds={"word": "categorical"})
    copy = Preparation.from_json(json.loads(json.dumps(preparation.to_json(), allow_nan=False)))
    assert copy == preparation
    assert copy.transform(table).equals(preparation.transform(table))


@pytest.mark.parametrize("labels", [[0, 1], [0.0, 1.0], [False, True], ["a", "b"]])
def test_json_keeps_the_classes_as_they_are(labels: list[Any]) -> None:
    table = replaced(mixed_table(), "label", labels * 60)
    preparation = fit(table)
    copy = Preparation.from_json(json.loads(json.dumps(preparation.to_json())))
    assert copy.classes == preparation.classes == tuple(labels)
    assert copy.transform(table)["target"].to_pylist() == [0, 1] * 60


def test_missing_numbers_are_the_median_and_have_an_indicator() -> None:
    values = [1.0, 2.0, 3.0, 4.0, np.nan] * 20
    x, _, indicator = numeric(values).T
    assert list(indicator) == [0, 0, 0, 0, 1] * 20
    assert numeric([2.5 if np.isnan(v) else v for v in values])[4, 0] == x[4]
    assert x[1] < x[4] < x[2]


@pytest.mark.parametrize("missing", [np.inf, -np.inf, None])
def test_infinities_and_nulls_are_missing(missing: float | None) -> None:
    values = list(np.random.default_rng(0).normal(size=100))
    gaps = [np.nan if n % 9 == 0 else v for n, v in enumerate(values)]
    others = [missing if n % 9 == 0 else v for n, v in enumerate(values)]
    assert np.array_equal(numeric(others), numeric(gaps))
    assert numeric(gaps).shape == (100, 3)


def test_columns_without_gaps_in_training_have_no_indicator_but_may_have_gaps_later() -> None:
    table = mixed_table().drop(["gaps"])
    preparation = fit(table)
    later = replaced(table, "x", [None] * 60 + [0.0] * 60)
    prepared = matrix(preparation.transform(later), "numeric")
    median = replaced(table, "x", [preparation.medians["x"]] * 120)
    assert prepared.shape == (120, 1)
    assert prepared[0] == matrix(preparation.transform(median), "numeric")[0]


def test_a_column_that_is_missing_in_all_training_rows_is_zero_and_an_indicator() -> None:
    values = [np.nan] * 80 + list(range(40))
    table = replaced(mixed_table(), "x", values)
    prepared = matrix(fit(table).transform(table), "numeric")
    assert np.isfinite(prepared).all()
    assert list(prepared[:, 2]) == [1.0] * 80 + [0.0] * 40


def test_numbers_are_normal_after_preparation_whatever_their_distribution() -> None:
    random = np.random.default_rng(0)
    table = pa.table({"x": random.lognormal(sigma=3, size=3000), "label": ["a", "b"] * 1500})
    prepared = matrix(fit(table, np.arange(2000)).transform(table), "numeric")[:, 0]
    assert abs(prepared.mean()) < 0.05
    assert abs(prepared.std() - 1) < 0.1
    assert list(np.argsort(prepared, kind="stable")[50:-50]) == list(np.argsort(table["x"])[50:-50])


def test_numbers_beyond_all_training_rows_are_cut_off_at_five() -> None:
    table = mixed_table()
    far = replaced(table, "x", [1e30, -1e30] * 60)
    assert set(matrix(fit(table).transform(far), "numeric")[:, 0]) == {5.0, -5.0}


def test_large_integers_and_flags_are_numbers_too() -> None:
    large = np.random.default_rng(0).integers(2**60, 2**62, 120)
    table = replaced(mixed_table(), "x", large).append_column("flag", pa.array(large % 2 == 1))
    prepared = matrix(fit(table, kinds={"flag": "numeric"}).transform(table), "numeric")
    assert np.isfinite(prepared).all()
    order = np.argsort(prepared[:, 0], kind="stable")
    assert np.all(np.diff(large[order][5:-5]) > 0)


def test_the_largest_floats_do_not_overflow() -> None:
    largest = float(np.finfo(float).max)
    assert np.isfinite(numeric([largest, largest, -largest, 0.0] * 25)).all()


def test_a_column_declared_numeric_that_has_words_is_refused() -> None:
    with refused("column 'colour' shall be numeric", "no numbers", "data.kinds", "data.ignore"):
        fit(mixed_table(), kinds={"colour": "numeric"})


def test_strings_of_numbers_may_be_declared_numeric() -> None:
    table = mixed_table()
    words = replaced(table, "x", [str(v) for v in table["x"].to_pylist()])
    kinds = {"x": "numeric"}
    assert fit(words, kinds=kinds).transform(words).equals(fit(table).transform(table))


def test_categories_are_codes_from_one_and_unknown_or_missing_ones_are_zero() -> None:
    table = mixed_table()
    preparation = fit(table)
    assert preparation.categories == {"colour": ("blue", "green", "red")}
    later = replaced(table, "colour", ["blue", "green", "red", "pink", None, "nan"] * 20)
    codes = matrix(preparation.transform(later), "categorical")[:, 0]
    assert list(codes) == [1, 2, 3, 0, 0, 0] * 20


@pytest.mark.parametrize("values", [[0.0, 1.0, np.nan], [0, 1, None], [False, True, None]])
def test_numbers_may_be_categories_and_their_gaps_are_zero(values: list[Any]) -> None:
    table = replaced(mixed_table(), "x", values * 40)
    preparation = fit(table, kinds={"x": "categorical"})
    assert list(matrix(preparation.transform(table), "categorical")[:, 0]) == [1, 2, 0] * 40
    assert preparation.spec(80).categories == (3, 4)


def test_categories_without_a_training_value_are_zero() -> None:
    table = replaced(mixed_table(), "colour", [None] * 80 + ["red"] * 40)
    preparation = fit(table)
    assert preparation.spec(80).categories == (1,)
    assert not matrix(preparation.transform(table), "categorical").any()


def test_the_most_frequent_categories_are_kept_wherever_their_rows_stand() -> None:
    words = [f"w{n:04}" for n in range(MAX_CATEGORIES + 200)] + ["w1150"] * 2
    table = pa.table({"word": words, "label": np.arange(len(words)) % 2})
    forward = fit(table, np.arange(len(words)))
    backward = fit(table, np.arange(len(words))[::-1])
    assert forward.categories == backward.categories
    assert len(forward.categories["word"]) == MAX_CATEGORIES
    assert "w1150" in forward.categories["word"]


def test_a_regression_target_is_standardised_by_the_training_rows() -> None:
    label = np.random.default_rng(0).normal(7, 3, 120)
    table = replaced(mixed_table(), "label", label)
    preparation = fit(table)
    target = preparation.transform(table)["target"]
    assert target.type == pa.float32()
    mean, sd = preparation.target_scale
    assert np.allclose(target.to_numpy() * sd + mean, label)
    assert abs(target.to_numpy()[:80].mean()) < 1e-6
    assert preparation.spec(80).num_outputs == 1


def test_prediction_needs_the_features_but_no_label() -> None:
    table = mixed_table()
    preparation = fit(table)
    assert preparation.transform(table.drop(["label"])).column_names == ["numeric", "categorical"]
    with refused("no column 'x'", "the model was trained on"):
        preparation.transform(table.drop(["x"]))


def test_a_class_that_training_does_not_know_is_refused_by_name() -> None:
    table = mixed_table()
    with refused("label 'label' has the unknown class '7'"):
        fit(table).transform(replaced(table, "label", [0, 7] * 60))


def test_a_missing_image_is_refused() -> None:
    pictures = images(100, 4).to_pylist()
    column = pa.array([None, *pictures[1:]], pa.list_(pa.uint8(), 4))
    with refused("1 images are missing", "leave those rows out"):
        fit(pa.table({"image": column, "label": ["a", "b"] * 50}))


def test_columns_of_another_type_than_in_training_are_refused_by_name() -> None:
    table = mixed_table()
    preparation = fit(table)
    with refused("column 'x' shall be numeric"):
        preparation.transform(replaced(table, "x", ["word"] * 120))
    with refused("column 'colour' is of type binary", "give it as strings"):
        preparation.transform(replaced(table, "colour", [b"\xff"] * 120))
    numbers = replaced(table, "label", table["x"].to_numpy())
    with refused("column 'label' shall be numeric"):
        fit(numbers).transform(replaced(table, "label", ["word"] * 120))
    pictures = pa.table({"image": images(100, 4), "label": ["a", "b"] * 50})
    with refused("column 'image' has 9 values, which is not [1, 2, 2]"):
        fit(pictures).transform(replaced(pictures, "image", images(100, 9)))
