"""Weak slices are found and named, and chance isn't taken for one."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import adults, features

from search.data.features import Features
from search.insight import slices
from search.insight.blocks import Block
from search.insight.cuts import Condition, cut_number, cuts_of, describe, which
from search.insight.slices import LEVEL, MIN_ROWS, Slice, worst_slices

NUM_ROWS = 2_000
SLICES = {
    "work = own": (Condition("work", value="own"),),
    "gain is missing": (Condition("gain"),),
    "gain > 0": (Condition("gain", low=0.0),),
    "age ≤ 30": (Condition("age", high=30.0),),
    "40 < age ≤ 61": (Condition("age", low=40.0, high=61.0),),
    "work = state and sex = male": (
        Condition("work", value="state"),
        Condition("sex", value="male"),
    ),
    "age > 70 and sex = female": (Condition("age", low=70.0), Condition("sex", value="female")),
}


def planted(
    table: Features, conditions: tuple[Condition, ...], seed: int = 0
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return errors: a tenth of all rows, and 45 % of those that fulfil the conditions."""
    chance = np.where(which(conditions, table), 0.45, 0.1)
    random = np.random.default_rng([seed, 1])  # another stream than the features'
    return (random.random(len(table.rows)) < chance).astype(np.float64)


@pytest.mark.parametrize("words", SLICES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_weak_slice_comes_first_under_its_name(words: str, seed: int) -> None:
    table, conditions = adults(NUM_ROWS, seed), SLICES[words]
    assert describe(conditions) == words
    first, *_ = worst_slices(table, planted(table, conditions, seed), is_share=True).slices
    assert first.is_significant
    found, wanted = which(first.conditions, table), which(conditions, table)
    assert (found & wanted).sum() >= 0.6 * (found | wanted).sum()
    assert {each.feature for each in conditions} == {each.feature for each in first.conditions}


def test_one_weakness_doesn_t_fill_the_list_under_many_names() -> None:
    table = adults(NUM_ROWS)
    found = worst_slices(table, planted(table, SLICES["work = own"]), is_share=True, most=10)
    assert [each.words for each in found.slices] == ["work = own"]


def test_two_weaknesses_come_one_after_the_other_even_where_they_overlap() -> None:
    table = adults(2 * NUM_ROWS)
    errors = planted(table, SLICES["work = own"])
    errors = np.maximum(errors, planted(table, SLICES["gain is missing"], seed=1))
    found = worst_slices(table, errors, is_share=True)
    assert {each.words for each in found.slices[:2]} == {"work = own", "gain is missing"}


def test_sizes_of_errors_are_compared_as_means() -> None:
    table = adults(NUM_ROWS)
    weak = which(SLICES["work = own"], table)
    errors = np.abs(np.random.default_rng(0).normal(0, np.where(weak, 3.0, 1.0)))
    (first, *_) = worst_slices(table, errors, is_share=False).slices
    assert first.words == "work = own"
    assert first.error == pytest.approx(errors[weak].mean())
    assert first.low < first.error - first.rest < first.high


@pytest.mark.parametrize("is_share", [True, False])
def test_chance_is_seldom_taken_for_a_weakness(is_share: bool) -> None:
    random, alarms = np.random.default_rng(0), 0
    for seed in range(100):
        table = adults(400, seed)
        errors = random.random(400) < 0.2 if is_share else np.abs(random.normal(size=400))
        found = worst_slices(table, errors.astype(np.float64), is_share=is_share)
        alarms += any(each.is_significant for each in found.slices)
    assert alarms <= 2 * 100 * LEVEL


def test_the_least_is_listed_even_if_chance_explains_it() -> None:
    table = adults(400)
    errors = (np.random.default_rng(0).random(400) < 0.2).astype(np.float64)
    assert worst_slices(table, errors, is_share=True).slices == ()
    found = worst_slices(table, errors, is_share=True, least=3).slices
    assert len(found) == 3
    assert not any(each.is_significant for each in found)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_where_all_rows_are_alike_nothing_is_weak(value: float) -> None:
    found = worst_slices(adults(400), np.full(400, value), is_share=True, least=3)
    assert found.slices == ()


@given(st.integers(0, 10_000), st.sampled_from(sorted(SLICES)))
@settings(max_examples=15)
def test_numbers_are_those_of_the_rows_that_the_words_name(seed: int, words: str) -> None:
    table = adults(600, seed)
    errors = planted(table, SLICES[words], seed)
    for each in worst_slices(table, errors, is_share=True, least=3).slices:
        mask = which(each.conditions, table)
        assert MIN_ROWS <= each.num_rows == mask.sum() <= 300
        assert each.error == pytest.approx(errors[mask].mean())
        assert each.rest == pytest.approx(errors[~mask].mean())
        assert each.low <= each.error - each.rest <= each.high
        assert Slice.from_json(json.loads(json.dumps(asdict(each)))) == each


@given(st.integers(0, 10_000))
@settings(max_examples=10)
def test_the_order_of_the_rows_doesn_t_matter(seed: int) -> None:
    table = adults(500, seed)
    errors = planted(table, SLICES["work = own"], seed)
    order = np.random.default_rng(seed).permutation(500)
    turned = Features(
        table.rows, **{k: v for k, v in table.only(order).__dict__.items() if k != "rows"}
    )
    one = worst_slices(table, errors, is_share=True)
    other = worst_slices(turned, errors[order], is_share=True)
    assert [each.words for each in one.slices] == [each.words for each in other.slices]
    assert one.num_looked_at == other.num_looked_at


def test_of_many_features_all_pairs_count_even_those_that_aren_t_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    random = np.random.default_rng(0)
    table = features({}, {f"x{n}": random.choice(["a", "b"], 1_000) for n in range(8)})
    errors = planted(table, (Condition("x5", value="a"), Condition("x6", value="b")))
    every = worst_slices(table, errors, is_share=True)
    monkeypatch.setattr(slices, "MAX_PAIRED", 3)
    few = worst_slices(table, errors, is_share=True)
    assert few.slices[0].words == every.slices[0].words == "x5 = a and x6 = b"
    # A half of each feature is too large by itself, and in no pair.
    assert every.num_looked_at <= few.num_looked_at == 8 + 28 * 4


def test_ranges_end_at_values_that_occur() -> None:
    values = np.repeat([1.0, 2.0, 5.0], [700, 200, 100])
    cut = cut_number("x", values, MIN_ROWS)
    assert [str(each) for each in cut.conditions] == [
        "x ≤ 1",
        "x ≤ 2",
        "1 < x ≤ 2",
        "x > 1",
        "x > 2",
    ]
    for group, condition in enumerate(cut.conditions):
        wanted = condition.holds(features({"x": values}))
        assert np.array_equal(Block((cut,)).mask((group,)), wanted)


def test_a_feature_without_two_sides_is_left_out() -> None:
    table = features(
        {"same": np.ones(100), "nothing": np.full(100, np.nan)},
        {"one": ["a"] * 100, "rare": [str(n) for n in range(100)]},
    )
    assert cuts_of(table, MIN_ROWS) == []


def test_a_category_that_other_rows_don_t_have_holds_none_of_them() -> None:
    table = features({}, {"work": ["a", None, "b"]})
    assert which([Condition("work", value="c")], table).tolist() == [False] * 3
    assert which([Condition("work")], table).tolist() == [False, True, False]
