from collections import Counter

import numpy as np
import pyarrow as pa
from example_tables import schema_of
from hypothesis import given
from hypothesis import strategies as st

from search.data.split import make_strata
from search.data.subsample import FLOOR, nested_order, sampling_rates, subsample

SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.lists(st.integers(1, 200), min_size=1, max_size=6)


def shuffled_strata(sizes: list[int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Strata of these sizes in random order, and random hashes."""
    random = np.random.default_rng(seed)
    strata = random.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return strata, random.integers(0, 2**64, len(strata), dtype=np.uint64)


@given(SIZES, SEEDS, st.data())
def test_a_smaller_subsample_is_part_of_a_larger(
    sizes: list[int], seed: int, data: st.DataObject
) -> None:
    strata, hashes = shuffled_strata(sizes, seed)
    rows = np.flatnonzero(hashes % np.uint64(3) > 0)
    order = nested_order(strata, hashes, rows, seed=seed)
    small, large = sorted(data.draw(st.lists(st.integers(0, len(rows)), min_size=2, max_size=2)))
    assert set(subsample(order, small)) <= set(subsample(order, large)) <= set(rows)
    assert len(subsample(order, small)) == small
    assert list(subsample(order, len(rows))) == list(rows)


@given(SIZES, SEEDS, st.floats(0, 1))
def test_each_stratum_has_its_share(sizes: list[int], seed: int, share: float) -> None:
    strata, hashes = shuffled_strata(sizes, seed)
    order = nested_order(strata, hashes, np.arange(len(strata)), floor=0, seed=seed)
    num_rows = round(share * len(strata))
    taken = np.bincount(strata[subsample(order, num_rows)], minlength=len(sizes))
    expected = num_rows * np.array(sizes) / len(strata)
    # Each stratum is rounded, and the rounding of the others moves the cut.
    assert np.all(np.abs(taken - expected) <= 1 + len(sizes) / 2)


@given(SIZES, SEEDS)
def test_rare_strata_are_in_from_the_floor_on(sizes: list[int], seed: int) -> None:
    strata, hashes = shuffled_strata(sizes, seed)
    order = nested_order(strata, hashes, np.arange(len(strata)), seed=seed)
    floors = np.minimum(sizes, FLOOR)
    first = np.bincount(strata[subsample(order, floors.sum())], minlength=len(sizes))
    assert list(first) == list(floors)


def test_a_rare_class_keeps_its_floor_in_a_small_subsample() -> None:
    strata, hashes = shuffled_strata([9900, 90, 10], 0)
    order = nested_order(strata, hashes, np.arange(10_000))
    assert Counter(strata[subsample(order, 200)].tolist()) == {0: 190, 1: 5, 2: 5}


@given(st.integers(200, 1000), SEEDS)
def test_a_subsample_for_regression_has_each_decile(num_rows: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    table = pa.table({"x": random.normal(size=num_rows), "label": random.lognormal(size=num_rows)})
    strata = make_strata(table, schema_of(table))
    hashes = random.integers(0, 2**64, num_rows, dtype=np.uint64)
    taken = subsample(nested_order(strata, hashes, np.arange(num_rows), seed=seed), 100)
    assert np.ptp(np.bincount(strata[taken], minlength=10)) <= 2


@given(SIZES, SEEDS)
def test_the_order_follows_from_content_and_seed_not_from_storage(
    sizes: list[int], seed: int
) -> None:
    strata, hashes = shuffled_strata(sizes, seed)
    stored = np.random.default_rng(seed).permutation(len(strata))
    here = nested_order(strata, hashes, np.arange(len(strata)), seed=seed)
    there = nested_order(strata[stored], hashes[stored], np.arange(len(strata)), seed=seed)
    assert list(hashes[here]) == list(hashes[stored][there])


def test_another_seed_is_another_order() -> None:
    strata, hashes = shuffled_strata([50, 50], 0)
    rows = np.arange(100)
    assert list(nested_order(strata, hashes, rows, seed=1)) != list(
        nested_order(strata, hashes, rows, seed=2)
    )


def test_a_subsample_is_not_the_order_of_the_splits() -> None:
    """Else the rows next to the cut would always come last."""
    strata, hashes = shuffled_strata([1000], 0)
    order = nested_order(strata, hashes, np.arange(1000))
    assert abs(np.corrcoef(np.arange(1000), hashes[order].astype(float))[0, 1]) < 0.15


def test_sampling_rates_are_the_shares_of_each_stratum() -> None:
    strata = np.array([0, 0, 0, 0, 2, 2])
    rates = sampling_rates(strata, np.arange(6), np.array([0, 4, 5]))
    assert rates == {"0": 0.25, "2": 1.0}
