import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from example_tables import classes_table, images, mixed_table, refused, replaced, schema_of

from search.data.schema import Schema, infer_schema

N = 100
X = np.random.default_rng(0).normal(size=N)
LABEL = np.arange(N) % 2


def with_column(values: Any) -> pa.Table:
    return pa.table({"x": X, "z": pa.array(values), "label": LABEL})


def test_kinds_follow_from_the_types() -> None:
    table = pa.table(
        {
            "float": X,
            "int": np.arange(N),
            "flag": LABEL == 1,
            "word": ["a", "b"] * 50,
            "coded": pa.array(["a", "b"] * 50).dictionary_encode(),
            "decimal": [Decimal(n) for n in range(N)],
            "picture": images(N, 12),
            "label": LABEL,
        }
    )
    schema = schema_of(table)
    assert schema.of_kind("numeric") == ["float", "int", "decimal"]
    assert schema.of_kind("categorical") == ["flag", "word", "coded"]
    assert schema.of_kind("image") == ["picture"]
    assert schema.image_shape == (3, 2, 2)
    assert Schema.from_json(schema.to_json()) == schema


def test_what_is_declared_goes_before_what_is_inferred() -> None:
    table = mixed_table()
    kinds = {"x": "categorical", "gaps": "ignore"}
    schema = schema_of(table, label="colour", ignore=["label"], kinds=kinds)
    assert (schema.label, dict(schema.kinds)) == ("colour", {"x": "categorical"})


@pytest.mark.parametrize("name", ["label", "target", "class", "y"])
def test_the_label_is_found_by_its_usual_names(name: str) -> None:
    assert schema_of(pa.table({"x": X, name: LABEL})).label == name


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["a", "b"] * 50, "classification"),
        (LABEL == 1, "classification"),
        (LABEL, "classification"),
        (LABEL.astype(float), "classification"),
        (np.arange(N), "regression"),
        (X, "regression"),
        (LABEL / 2, "regression"),
    ],
)
def test_the_task_follows_from_the_label(values: Any, task: str) -> None:
    assert schema_of(pa.table({"x": X, "label": pa.array(values)})).task == task


def test_a_declared_task_is_taken() -> None:
    table = pa.table({"x": X, "label": LABEL})
    assert schema_of(table, task="regression").task == "regression"


def test_a_fitting_split_column_is_found_whatever_its_case_and_encoding() -> None:
    values = pa.array(["Train", "TEST", "val", "train"] * 25)
    for column in (values, values.dictionary_encode()):
        table = pa.table({"x": X, "split": column, "label": LABEL})
        assert schema_of(table).split == "split"
    assert schema_of(replaced(table, "split", ["left", "right"] * 50)).split is None
    assert schema_of(replaced(table, "split", X)).split is None


@pytest.mark.parametrize(
    "values", [np.full(N, np.nan), pa.nulls(N), pa.nulls(N, pa.string()), np.full(N, np.inf)]
)
@pytest.mark.parametrize("kinds", [{}, {"z": "numeric"}, {"z": "categorical"}])
def test_a_column_without_values_is_left_out_with_a_warning(values: Any, kinds: Any) -> None:
    schema, warnings = infer_schema(with_column(values), kinds=kinds)
    assert list(schema.kinds) == ["x"]
    assert warnings == ["column 'z' is missing in every row: left out"]


def test_a_constant_column_is_left_out_with_a_warning_unless_it_is_declared() -> None:
    table = with_column(["same"] * N)
    schema, warnings = infer_schema(table)
    assert (list(schema.kinds), len(warnings)) == (["x"], 1)
    assert "column 'z' has the same value in every row" in warnings[0]
    assert list(schema_of(table, kinds={"z": "categorical"}).kinds) == ["x", "z"]


@pytest.mark.parametrize("given", ["label", "split", "ignore", "kinds"])
def test_a_named_column_that_is_not_there_is_refused_with_a_close_one(given: str) -> None:
    value: Any = {"ignore": ["colours"], "kinds": {"colours": "numeric"}}.get(given, "colours")
    with refused("no column 'colours'", "did you mean 'colour'?"):
        schema_of(mixed_table(), **{given: value})


def test_data_without_a_usual_label_name_the_columns_to_choose_from() -> None:
    with refused("give --label, one of: x, colour"):
        schema_of(mixed_table().select(["x", "colour"]))


@pytest.mark.parametrize(
    "values",
    [
        ["a", None] * 50,
        pa.array(["a", None] * 50).dictionary_encode(),
        np.where(LABEL, np.nan, X),
        np.where(LABEL, -np.inf, X),
        pa.nulls(N),
    ],
)
def test_a_label_with_missing_values_is_refused_with_their_number(values: Any) -> None:
    column = pa.array(values)
    missing = N if column.null_count == N else 50
    with refused(f"'label' is missing in {missing} of 100 rows", "leave those rows out"):
        schema_of(pa.table({"x": X, "label": column}))


def test_a_label_of_one_value_is_refused() -> None:
    with refused("label 'label' has one value only"):
        schema_of(classes_table([50]))


@pytest.mark.parametrize(
    "values",
    [
        [[1, 2]] * N,
        [b"a", b"b"] * 50,
        [datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)] * 50,
        [Decimal(1), Decimal(2)] * 50,
    ],
)
def test_a_label_of_another_type_is_refused(values: Any) -> None:
    column = pa.array(values)
    with refused(f"label 'label' is of type {column.type}", "make it numbers or strings"):
        schema_of(pa.table({"x": X, "label": column}))


def test_words_have_no_regression() -> None:
    with refused("label 'label' is of type", "string", "no regression", "leave out the task"):
        schema_of(classes_table([50, 50]), task="regression")


def test_free_text_is_refused_with_what_to_do() -> None:
    table = with_column([f"some words and then number {n}" for n in range(N)])
    with refused("column 'z' is text", "data.ignore", "data.kinds"):
        schema_of(table)
    assert schema_of(table, ignore=["z"]).of_kind("numeric") == ["x"]
    assert schema_of(table, kinds={"z": "categorical"}).of_kind("categorical") == ["z"]


@pytest.mark.parametrize("values", [[[1, 2]] * N, [b"a", b"b"] * 50])
def test_a_column_of_another_type_is_refused(values: Any) -> None:
    with refused("column 'z' is of type", "isn't supported", "data.ignore"):
        schema_of(with_column(values))
    with refused("column 'z' is of type", "can't be numeric", "data.ignore"):
        schema_of(with_column(values), kinds={"z": "numeric"})


def test_data_without_features_are_refused() -> None:
    with refused("no feature column is left", "check label, ignore and kinds"):
        schema_of(mixed_table(), ignore=["x", "gaps", "colour"])


@pytest.mark.parametrize(
    ("size", "declared", "words"),
    [
        (12, (1, 3, 3), ["'z' has 12 values", "not [1, 3, 3]", "[channels, height, width]"]),
        (10, None, ["'z' has 10 values", "no square image", "give data.image_shape"]),
    ],
)
def test_a_wrong_image_shape_is_refused(size: int, declared: Any, words: list[str]) -> None:
    with refused(*words):
        schema_of(with_column(images(N, size)), image_shape=declared)


def test_an_image_shape_may_be_declared() -> None:
    schema = schema_of(with_column(images(N, 10)), ignore=["x"], image_shape=(1, 2, 5))
    assert schema.image_shape == (1, 2, 5)


def test_numbers_are_no_image_and_two_images_are_one_too_many() -> None:
    with refused("column 'z' is double", "an image is a fixed-size list of uint8"):
        schema_of(with_column(X), kinds={"z": "image"})
    table = pa.table({"i": images(N, 4), "j": images(N, 4), "label": LABEL})
    with refused("2 image columns (i, j)", "leave all but one out"):
        schema_of(table)
