import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.insight.isolation import MIN_TRIALS, expected_best, interval, isolate
from search.space import Choice, Config, Float, Integer, Space

SPACE = Space(
    [
        Float(name="rate", low=1e-5, high=1.0, log=True),
        Choice(name="kind", values=("a", "b", "c")),
        Integer(name="layers", low=1, high=3),
        Float(name="child", low=0.0, high=1.0, when={"kind": ("b",)}),
    ]
)
some = st.lists(st.floats(-10, 10), min_size=1, max_size=9)


def draws(number: int, seed: int = 0) -> list[Config]:
    generator = np.random.default_rng(seed)
    return [SPACE.from_unit(generator.random(len(SPACE.searched))) for _ in range(number)]


def found(configs: list[Config], losses: list[float]) -> dict:
    return {each.dimension.name: each for each in isolate(SPACE, configs, losses, seed=0)}


@given(some, st.data())
def test_the_expected_best_is_the_mean_over_all_ways_to_draw(
    losses: list[float], data: st.DataObject
) -> None:
    number = data.draw(st.integers(1, len(losses)))
    exact = np.mean([min(chosen) for chosen in combinations(losses, number)])
    assert expected_best(np.array(losses), number) == pytest.approx(exact, abs=1e-9)


@given(some)
def test_one_draw_gives_the_mean_and_all_of_them_the_lowest(losses: list[float]) -> None:
    values = np.array(losses)
    assert expected_best(values, 1) == pytest.approx(np.mean(losses), abs=1e-9)
    assert expected_best(values, len(losses)) == pytest.approx(min(losses), abs=1e-9)


def test_many_trials_alone_are_no_advantage() -> None:
    generator = np.random.default_rng(1)
    few = [expected_best(generator.random(12), 3) for _ in range(400)]
    many = [expected_best(generator.random(120), 3) for _ in range(400)]
    assert np.mean(few) == pytest.approx(0.25, abs=0.02)  # of three uniform draws
    assert np.mean(many) == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize(("number", "drawn"), [(8, 2), (12, 3), (24, 6)])
def test_the_interval_holds_the_true_value_about_as_often_as_it_says(
    number: int, drawn: int
) -> None:
    generator = np.random.default_rng(2)
    truth = 1 / (drawn + 1)  # of uniform draws
    ends = [interval(generator.random(number), drawn, generator) for _ in range(200)]
    assert np.mean([low <= truth <= high for low, high in ends]) > 0.8


def test_of_a_choice_each_value_is_a_bucket_in_the_choice_s_order() -> None:
    configs = draws(90)
    losses = [
        {"a": 2.0, "b": 1.0, "c": 3.0}[str(c["kind"])] + 0.1 * i / 90 for i, c in enumerate(configs)
    ]
    kind = found(configs, losses)["kind"]
    assert [bucket.first for bucket in kind.buckets] == ["a", "b", "c"]
    assert min(kind.buckets, key=lambda bucket: bucket.expected).first == "b"
    assert sum(bucket.num_trials for bucket in kind.buckets) == 90
    for bucket in kind.buckets:
        assert bucket.best <= bucket.expected
        assert bucket.low <= bucket.expected <= bucket.high


def test_numbers_are_parted_into_buckets_of_equally_many_neighbours() -> None:
    configs = draws(64)
    losses = [abs(math.log10(float(c["rate"])) + 3) for c in configs]
    rate = found(configs, losses)["rate"]
    assert {bucket.num_trials for bucket in rate.buckets} <= {12, 13}
    ends = [end for bucket in rate.buckets for end in (bucket.first, bucket.last)]
    assert ends == sorted(ends)
    best = min(rate.buckets, key=lambda bucket: bucket.expected)
    assert best.first <= 1e-3 <= best.last
    assert rate.draws == 3


def test_few_different_numbers_are_a_bucket_each() -> None:
    layers = found(draws(60), [1.0 + i for i in range(60)])["layers"]
    assert [(bucket.first, bucket.last) for bucket in layers.buckets] == [(1, 1), (2, 2), (3, 3)]


def test_a_conditional_dimension_is_judged_where_it_was_active() -> None:
    configs = draws(150)
    child = found(configs, [1.0 + i for i in range(150)])["child"]
    active = sum("child" in config for config in configs)
    assert sum(bucket.num_trials for bucket in child.buckets) == active < 150


def test_a_bucket_with_few_trials_is_counted_and_not_judged() -> None:
    kinds = ["a"] * 20 + ["b"] * 20 + ["c"] * (MIN_TRIALS - 1)
    configs: list[Config] = [{"rate": 0.1, "kind": kind, "layers": 1} for kind in kinds]
    kind = found(configs, [float(i) for i in range(len(kinds))])["kind"]
    rare = kind.buckets[-1]
    assert (rare.first, rare.num_trials, rare.best) == ("c", MIN_TRIALS - 1, 40.0)
    assert math.isnan(rare.expected)
    assert math.isnan(rare.low)
    assert kind.draws == 5, "the rare value doesn't decide how many are drawn"


def test_a_failure_is_a_bad_trial_and_no_infinite_one() -> None:
    kinds = ["a"] * 20 + ["b"] * 20
    configs: list[Config] = [{"rate": 0.1, "kind": kind, "layers": 1} for kind in kinds]
    losses = [0.5 + 0.01 * i for i in range(20)] + [0.5, *[math.inf] * 19]
    first, second = found(configs, losses)["kind"].buckets
    assert second.best == first.best == 0.5
    assert first.expected < second.expected < 0.7
    assert math.isfinite(second.high)


def test_where_there_is_nothing_to_compare_nothing_is_said() -> None:
    assert isolate(SPACE, [], [], seed=0) == []
    assert isolate(SPACE, draws(40), [math.inf] * 40, seed=0) == []
    assert isolate(SPACE, draws(4), [1.0, 2.0, 3.0, 4.0], seed=0) == []
    same: list[Config] = [{"rate": 0.1, "kind": "a", "layers": 2}] * 40
    assert isolate(SPACE, same, [float(i) for i in range(40)], seed=0) == []


def test_it_is_seeded() -> None:
    configs, losses = draws(60), np.random.default_rng(3).random(60).tolist()
    one, again, other = (isolate(SPACE, configs, losses, seed=seed) for seed in (0, 0, 1))
    assert one == again != other
