from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from example_tables import classes_table, images, refused, replaced, schema_of, split
from hypothesis import given
from hypothesis import strategies as st

from search.data.split import (
    VALIDATION_ROWS,
    Splits,
    fingerprint,
    fresh_divisions,
    make_strata,
    row_hashes,
)

SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.lists(st.integers(3, 80), min_size=2, max_size=5)


def assert_a_partition(splits: Splits, num_rows: int) -> None:
    parts = splits.parts().values()
    assert all(len(rows) and np.all(np.diff(rows) > 0) for rows in parts)
    assert sorted(np.concatenate(list(parts))) == list(range(num_rows))


def contents(table: pa.Table, splits: Splits) -> dict[str, list[dict[str, object]]]:
    """Each part's rows, in an order that follows from what they contain."""
    return {
        name: sorted(table.take(pa.array(rows)).to_pylist(), key=lambda row: tuple(row.values()))
        for name, rows in splits.parts().items()
    }


def tied_targets(num_rows: int, seed: int) -> pa.Table:
    random = np.random.default_rng(seed)
    return pa.table(
        {
            "x": random.normal(size=num_rows),
            "label": random.choice([0.5, 1.25, 2.0, 7.5], num_rows, p=[0.1, 0.4, 0.4, 0.1]),
        }
    )


@given(SIZES, SEEDS)
def test_every_row_is_in_one_part(sizes: list[int], seed: int) -> None:
    table = classes_table(sizes, seed)
    assert_a_partition(split(table, seed=seed), table.num_rows)


@given(st.integers(40, 300), SEEDS)
def test_every_row_with_a_number_to_predict_is_in_one_part(num_rows: int, seed: int) -> None:
    assert_a_partition(split(tied_targets(num_rows, seed), seed=seed), num_rows)


@given(SIZES, SEEDS)
def test_every_part_has_each_class_in_proportion_within_a_row(sizes: list[int], seed: int) -> None:
    table = classes_table(sizes, seed)
    labels = table["label"].to_numpy()
    splits = split(table, seed=seed)
    counts = {name: Counter(labels[rows]) for name, rows in splits.parts().items()}
    for name, size in Counter(labels).items():
        test, validation = counts["test"][name], counts["validation"][name]
        assert abs(test - 0.2 * size) < 1
        assert abs(validation - 0.2 * (size - test)) < 1
        assert min(test, validation, counts["train"][name]) >= 1


def divided_anew(
    table: pa.Table, splits: Splits, num: int, seed: int = 0
) -> list[tuple[np.ndarray, np.ndarray]]:
    strata, hashes = make_strata(table, schema_of(table)), row_hashes(table, schema_of(table))
    return fresh_divisions(splits, strata, hashes, num=num, seed=seed)


@given(st.lists(st.integers(30, 80), min_size=2, max_size=4), st.integers(1, 6), SEEDS)
def test_a_proof_judges_by_rows_that_no_search_was_judged_by(
    sizes: list[int], num: int, seed: int
) -> None:
    table = classes_table(sizes, seed)
    splits = split(table, seed=seed)
    divisions = divided_anew(table, splits, num, seed)
    assert len(divisions) == num
    for train, validation in divisions:
        assert_a_partition(Splits(train, validation, splits.test), table.num_rows)
        assert not set(validation) & set(splits.validation)
        assert abs(len(validation) - 0.1 * (len(train) + len(validation))) <= len(sizes)
    first = [set(validation) for _, validation in divisions[:3]]
    assert len(set().union(*first)) == sum(map(len, first)), "there are rows enough for three"


@given(st.integers(3, 9), st.integers(2, 12), st.integers(1, 6), SEEDS)
def test_a_proof_on_few_rows_judges_by_some_or_as_the_search_did(
    rows_a_class: int, num_classes: int, num: int, seed: int
) -> None:
    table = classes_table([rows_a_class] * num_classes, seed)
    divisions = divided_anew(table, split(table, seed=seed), num, seed)
    assert len(divisions) in (0, num)
    assert all(len(train) and len(validation) for train, validation in divisions)


def test_copies_of_a_row_stay_together_when_rows_are_divided_anew() -> None:
    table = classes_table([60, 60])
    doubled = pa.concat_tables([table, table])
    for train, validation in divided_anew(doubled, split(doubled), 3):
        assert not set(train % 120) & set(validation % 120)


def test_rows_that_the_data_name_or_that_are_many_stay_the_validation_rows() -> None:
    small = classes_table([60, 60])
    given = small.append_column("split", pa.array(["train", "validation", "test"] * 40))
    assert split(given, split="split").validation_is_given
    assert divided_anew(small, split(given, split="split"), 3) == []
    rows = np.arange(2 * VALIDATION_ROWS)
    large = Splits(rows[VALIDATION_ROWS:], rows[:VALIDATION_ROWS], rows[:1])
    assert divided_anew(small, large, 3) == []


def test_large_data_spend_a_tenth_on_validation() -> None:
    splits = split(classes_table([40_000, 40_000]))
    assert {name: len(rows) for name, rows in splits.parts().items()} == {
        "train": 57_600,
        "validation": 6_400,
        "test": 16_000,
    }


def test_numbers_are_spread_over_the_parts_by_decile() -> None:
    table = tied_targets(1000, 0)
    table = replaced(table, "label", np.random.default_rng(0).exponential(size=1000))
    strata = make_strata(table, schema_of(table))
    assert list(np.bincount(strata)) == [100] * 10
    for part, expected in zip(split(table).parts().values(), (64, 16, 20), strict=True):
        assert list(np.bincount(strata[part])) == [expected] * 10


@given(SIZES, SEEDS)
def test_the_parts_stay_when_rows_are_stored_in_another_order(sizes: list[int], seed: int) -> None:
    for table in (classes_table(sizes, seed), tied_targets(sum(sizes) + 50, seed)):
        shuffled = table.take(pa.array(np.random.default_rng(seed).permutation(table.num_rows)))
        assert contents(shuffled, split(shuffled)) == contents(table, split(table))


@given(SIZES, st.integers(1, 20), SEEDS)
def test_few_rows_move_when_rows_are_appended(sizes: list[int], added: int, seed: int) -> None:
    table = classes_table(sizes, seed)
    more = pa.concat_tables([table, classes_table([10, 10], seed + 1)[:added]])
    part = np.empty((2, more.num_rows), dtype=object)
    for n, each in enumerate((table, more)):
        for name, rows in split(each).parts().items():
            part[n, rows] = name
    before, after = part[:, : table.num_rows]
    assert np.sum((before == "test") != (after == "test")) <= added
    assert np.sum(before != after) <= 3 * added


def test_appended_rows_with_gaps_leave_the_others_hashes_as_they_are() -> None:
    table = classes_table([20, 20])
    flags = pa.table({"x": table["x"], "flag": [True, False] * 20, "label": table["label"]})
    for each, gap in ((table, "count"), (flags, "flag"), (table, "x")):
        last = replaced(each[:1], gap, pa.nulls(1, each[gap].type))
        longer = pa.concat_tables([each, last])
        schema = schema_of(each)
        assert list(row_hashes(longer, schema)[:-1]) == list(row_hashes(each, schema))


def test_hashes_follow_the_content_not_its_encoding_or_chunks() -> None:
    table = classes_table([20, 20])
    same = pa.concat_tables([table[:7], table[7:]])
    encoded = same.set_column(2, "label", same["label"].dictionary_encode())
    assert list(row_hashes(encoded, schema_of(table))) == list(row_hashes(table, schema_of(table)))


def test_images_are_told_apart() -> None:
    table = pa.table({"image": images(50, 4), "label": ["a", "b"] * 25})
    assert len(set(row_hashes(table, schema_of(table)))) == 50


def test_another_seed_is_another_split() -> None:
    table = classes_table([50, 50])
    assert list(split(table, seed=1).test) != list(split(table, seed=2).test)
    assert list(split(table, seed=1).test) == list(split(table, seed=1).test)


@given(SIZES, st.integers(2, 5), SEEDS)
def test_copies_of_a_row_are_on_the_same_side(sizes: list[int], times: int, seed: int) -> None:
    table = classes_table(sizes, seed)
    copies = pa.concat_tables([table] * times)
    splits = split(copies)
    assert_a_partition(splits, copies.num_rows)
    originals = [set(rows % table.num_rows) for rows in splits.parts().values()]
    assert sum(map(len, originals)) == table.num_rows


def test_a_class_whose_rows_are_all_alike_stays_in_training() -> None:
    table = classes_table([50, 30])
    constant = np.where(table["label"].to_numpy() == "b", 0.0, table["x"].to_numpy())
    table = replaced(replaced(table, "x", constant), "count", np.zeros(80))
    splits = split(table)
    assert_a_partition(splits, 80)
    assert Counter(table["label"].to_numpy()[splits.train])["b"] == 30


@given(SIZES, SEEDS)
def test_an_existing_split_is_honoured(sizes: list[int], seed: int) -> None:
    table = classes_table(sizes, seed)
    random = np.random.default_rng(seed)
    names = random.choice(["train", "Training", "val", "dev", "test", "TEST"], table.num_rows)
    one_of_each = np.unique(table["label"].to_numpy(), return_index=True)[1]
    names[one_of_each] = "train"
    names[np.delete(np.arange(len(names)), one_of_each)[:2]] = ["valid", "test"]
    splits = split(table.append_column("split", pa.array(names)))
    train, test = np.isin(names, ["train", "Training"]), np.isin(names, ["test", "TEST"])
    assert list(splits.train) == list(np.flatnonzero(train))
    assert list(splits.test) == list(np.flatnonzero(test))
    assert list(splits.validation) == list(np.flatnonzero(~train & ~test))


@pytest.mark.parametrize(("given_part", "made"), [("test", "validation"), ("dev", "test")])
def test_a_part_that_a_split_column_lacks_is_cut_off_training(given_part: str, made: str) -> None:
    table = classes_table([50, 50])
    names = np.where(np.arange(100) < 60, "train", given_part)
    parts = split(table.append_column("part", pa.array(names)), split="part").parts()
    assert len(parts[made]) == 12
    assert set(parts["train"]) | set(parts[made]) == set(range(60))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["train", "left"], ["split column 'part' has 'left'", "it may have train, training"]),
        (["train", None], ["split column 'part' is missing in 10 rows", "give each row its part"]),
        (["val", "test"], ["split column 'part' has no training rows"]),
    ],
)
def test_a_wrong_split_column_is_refused(names: list[str], words: list[str]) -> None:
    table = classes_table([10, 10]).append_column("part", pa.array(names * 10))
    with refused(*words):
        split(table, split="part")


def test_a_class_with_fewer_rows_than_parts_is_refused_by_name() -> None:
    with refused("class 'b' has 2 rows in 3 parts", "leave it out or merge it"):
        split(classes_table([50, 2]))


def test_a_class_that_a_given_split_keeps_from_training_is_refused_by_name() -> None:
    table = classes_table([50, 5])
    names = np.where(table["label"].to_numpy() == "b", "test", "train")
    with refused("class 'b' has 0 rows"):
        split(table.append_column("split", pa.array(names)))


@pytest.mark.parametrize("num_rows", [2, 10])
def test_too_few_rows_are_refused(num_rows: int) -> None:
    table = pa.table({"x": np.arange(num_rows) / 3, "label": np.arange(num_rows) / 7})
    with refused(f"{num_rows} rows are too few", "give more data, or a split column"):
        split(table)


def test_the_fingerprint_tells_rows_their_order_and_columns() -> None:
    hashes = np.arange(5, dtype=np.uint64)
    known = fingerprint(hashes, ["label", "x"])
    assert len(known) == 16
    assert known == fingerprint(hashes.copy(), ["label", "x"])
    assert known != fingerprint(hashes[::-1], ["label", "x"])
    assert known != fingerprint(hashes, ["label", "z"])
