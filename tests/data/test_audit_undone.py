"""What can't be judged is said to be so; all else is judged. What is no number is named."""

import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
from audits import about, audited, shop

from search.data import DataOptions
from search.data.audit import Finding, failures
from search.data.audit.leaks import check_leaks
from search.data.audit.view import View


def said(findings: list[Finding], check: str) -> str:
    (found,) = [each for each in findings if each.check == check]
    assert (found.status, found.num_rows, found.columns) == ("PASS", 0, ())
    return found.message


def test_a_class_of_two_rows_is_left_out_and_the_others_labels_are_judged() -> None:
    table = shop()
    kinds = np.array(table["kind"].to_pylist())
    age, income = (table[name].to_numpy() for name in ("age", "income"))
    sure = np.flatnonzero((kinds == "wood") & (age > 75) & (income > 20_000))[:20]
    kinds[sure] = "gold"
    kinds[:2] = "glass"
    (found,) = about(audited(table.set_column(3, "kind", pa.array(kinds))), "label_errors")
    assert np.isin(sure[sure > 1], found.rows[:100]).mean() > 0.7
    assert not np.isin([0, 1], found.rows).any()
    assert "2 rows of rare classes weren't judged" in found.message


def test_of_very_many_classes_no_label_is_judged_and_it_is_said_why() -> None:
    generator = np.random.default_rng(0)
    label = np.repeat([f"c{number}" for number in range(60)], 12)
    table = pa.table({"x": generator.normal(size=720), "label": label})
    assert said(audited(table, "label"), "label_errors").startswith("not done: 60 classes")


def test_thousands_of_classes_times_thousands_of_categories_do_not_fill_the_memory() -> None:
    generator = np.random.default_rng(0)
    codes, label = (generator.integers(0, 5_000, size=10_000).astype(str) for _ in range(2))
    table = pa.table({"code": codes, "label": label})
    view = View(table, DataOptions("", label="label").schema_of(table)[0])
    tracemalloc.start()
    try:
        found = check_leaks(view)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()
    assert found == []


def test_a_column_that_is_the_label_fails_however_many_classes_there_are() -> None:
    label = [f"c{number}" for number in range(100)] * 30
    table = pa.table({"x": np.arange(3_000) % 7, "copy": label, "label": label})
    (found,) = failures(audited(table, "label"))
    assert (found.check, found.columns) == ("leaking_column", ("copy",))


@pytest.mark.parametrize(
    "check", ["label_errors", "contradictory_labels", "rare_class", "imbalance"]
)
def test_what_is_said_of_classes_is_not_claimed_of_a_number(check: str) -> None:
    table = shop().drop_columns(["kind"])
    assert said(audited(table, "income"), check).startswith("not done: the label is a number")


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        ("identifier_column", "fewer than 30 rows"),
        ("missingness", "lacks 20 values"),
        ("category_variants", "no column holds words"),
        ("split_copies", "which rows are for training"),
        ("split_shift", "which rows are for training"),
        ("images", "there are none"),
        ("label_errors", "it takes 60 rows"),
    ],
)
def test_what_a_small_table_can_not_tell_is_not_claimed(check: str, reason: str) -> None:
    table = pa.table({"x": [None, 1.5, 2.5, 3.5] * 4, "label": [0, 0, 1, 1] * 4})
    message = said(audited(table, "label"), check)
    assert message.startswith("not done: ")
    assert reason in message


def test_parts_that_are_too_small_to_tell_apart_are_not_said_to_be_alike() -> None:
    table = shop(400).append_column("split", pa.array(["train"] * 350 + ["test"] * 50))
    assert said(audited(table), "split_shift") == "not done: no two parts have 100 rows each"
    whole = shop(400).append_column("split", pa.array(["train"] * 400))
    assert said(audited(whole), "split_copies") == "not done: all rows are for training"


def test_a_table_without_numbers_has_no_outliers_to_look_for() -> None:
    words = shop().select(["town", "kind"])
    assert said(audited(words), "outliers") == "not done: no column holds numbers"


def test_infinities_are_named_with_their_rows() -> None:
    table = shop()
    income = table["income"].to_numpy().copy()
    income[100:150] = np.inf
    income[150] = -np.inf
    (found,) = about(audited(table.set_column(1, "income", pa.array(income))), "outliers")
    assert (found.status, found.columns, found.value) == ("WARN", ("income",), 51)
    assert found.rows.tolist() == list(range(100, 151))
    assert "treated as missing" in found.remedy
