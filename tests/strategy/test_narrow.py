import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulation import DEFAULTS, LADDER, SPACE, Simulation, evaluation

from search.events import Ending, Trial
from search.files import finite
from search.space import Choice, Config, Fixed, Float, Integer, Space, apply_overrides
from search.strategy.coarse import CoarsePhase
from search.strategy.importance import Importance
from search.strategy.narrow import (
    Change,
    Evidence,
    choose_survivors,
    failure_boundary,
    gather_evidence,
    narrow,
)
from search.trials import Record

SHORT, LONG = 1 / 27, 1 / 3
"""What coarse's longest trial is of a full run."""


def record(config: Config, loss: float = 0.5, status: str = "stopped") -> Record:
    budget = LADDER.coarse[-1]
    trial = Trial("c0", "coarse", "sobol", config, 0, budget, LADDER.evaluation_points(budget))
    made = Record(trial, [evaluation(trial, 1, loss), evaluation(trial, 2, loss)])
    made.ending = Ending("c0", status, "x")  # type: ignore[arg-type]
    return made


def evidence(
    survivors: list[Config],
    losers: list[Config] = [],  # noqa: B006 - never changed
    failed: list[Config] = [],  # noqa: B006
    *,
    importances: list[Importance] = [],  # noqa: B006
    cost: float = LONG,
) -> Evidence:
    best = [record(config) for config in survivors]
    others = [record(config, 0.9) for config in losers]
    broken = [record(config, 0.9, "failed") for config in failed]
    return Evidence(best, [*best, *others, *broken], importances, cost)


def along(name: str, values: list[Any], **others: Any) -> list[Config]:
    return [{name: value, **others} for value in values]


def one(space: Space, found: Evidence) -> tuple[Any, Change]:
    """Narrow a space of one dimension."""
    narrowed, (change,) = narrow(space, found)
    (dimension,) = list(narrowed)
    assert change.before == next(iter(space)).to_json()
    assert change.after == dimension.to_json()
    return dimension, change


RATE = Float(name="learning_rate", low=1e-5, high=1.0, log=True, limits=(1e-7, 10.0), group=1)
RATES = Space([RATE])

# ---------------------------------------------------------------------- learning rates


@pytest.mark.parametrize(
    ("cost", "down", "up"), [(SHORT, 6.0, 1.5), (1 / 9, 6.0, 1.5), (LONG, 3.0, 3.0)]
)
def test_a_learning_rate_s_window_follows_from_how_short_coarse_was(
    cost: float, down: float, up: float
) -> None:
    found = evidence(along("learning_rate", [1e-3, 4e-3, 2e-3]), cost=cost)
    after, change = one(RATES, found)
    assert (after.low, after.high) == pytest.approx((1e-3 / down, 4e-3 * up))
    assert change.change == "narrowed"
    assert change.numbers["rates"] == [1e-3, 4e-3, 2e-3]
    assert after.limits == RATE.limits


def test_failures_above_all_survivors_cap_the_window() -> None:
    found = evidence(
        along("learning_rate", [1e-3, 2e-3]),
        along("learning_rate", [1e-2, 1e-4]),
        along("learning_rate", [3e-3, 1e-1]),
    )
    after, change = one(RATES, found)
    assert after.high == pytest.approx(3e-3)
    assert change.numbers["boundary"] == 3e-3
    assert "from 0.003 on trials failed" in change.why


@pytest.mark.parametrize(
    ("survivors", "losers", "failed", "boundary"),
    [
        ([1e-3], [], [0.1], None),  # one failure is an accident
        ([1e-3], [], [0.1, 0.2], 0.1),
        ([1e-3], [0.15, 0.3, 0.4], [0.1, 0.2], None),  # most came through
        ([1e-3], [0.01, 0.02], [0.1, 0.2], 0.1),
        ([0.3], [], [0.1, 0.2], None),  # a survivor lies above
        ([1e-2], [], [1e-3, 1e-4, 0.1, 0.2], 0.1),  # those below it are no boundary
        ([], [], [0.1, 0.2], None),
    ],
)
def test_the_failure_boundary(
    survivors: list[float], losers: list[float], failed: list[float], boundary: float | None
) -> None:
    found = evidence(*(along("learning_rate", rates) for rates in (survivors, losers, failed)))
    assert failure_boundary(RATE, found) == boundary


def test_a_window_stays_in_the_old_range_where_the_best_lie_inside() -> None:
    after, change = one(RATES, evidence(along("learning_rate", [5e-5, 0.2, 0.1, 0.1])))
    assert (after.low, after.high) == pytest.approx((5e-5 / 3, 0.6))
    after, change = one(RATES, evidence(along("learning_rate", [1.5e-5, 1e-3, 1e-2])))
    assert after.low == 1e-5  # one of three at the edge isn't half of them
    assert change.change == "narrowed"


def test_a_window_widens_where_the_best_lie_at_the_edge() -> None:
    after, change = one(RATES, evidence(along("learning_rate", [0.9, 0.8, 0.7])))
    assert after.high == pytest.approx(2.7)
    assert change.change == "widened"
    assert "reaches beyond the old range" in change.why
    after, change = one(RATES, evidence(along("learning_rate", [1.1e-5, 1.2e-5]), cost=SHORT))
    assert after.low == pytest.approx(1.1e-5 / 6)
    assert change.change == "widened"


def test_a_window_ends_at_the_limits() -> None:
    tight = Float(name="learning_rate", low=1e-5, high=1.0, log=True, limits=(1e-5, 1.2))
    after, change = one(Space([tight]), evidence(along("learning_rate", [0.9, 1.0])))
    assert after.high == 1.2
    assert change.change == "widened"
    no_limits = apply_overrides(RATES, {"learning_rate": {"high": 0.5}})
    after, change = one(no_limits, evidence(along("learning_rate", [0.5, 0.4])))
    assert after.high == 0.5
    assert change.change == "narrowed"


def test_an_optimizer_without_survivors_keeps_its_learning_rate() -> None:
    losers = along("learning_rate", [1e-2, 1e-3])
    after, change = one(RATES, evidence([], losers))
    assert (after, change.change) == (RATE, "kept")
    assert change.why == "no survivor used it: kept as it was"


rates = st.floats(1e-5, 1.0)


@given(
    st.lists(rates, min_size=1, max_size=12),
    st.lists(rates, max_size=8),
    st.lists(rates, max_size=8),
    st.sampled_from([SHORT, LONG]),
    st.sampled_from([None, (1e-5, 1.0), (1e-7, 10.0)]),
)
def test_any_survivors_give_a_range_that_has_room_for_all_of_them(
    survivors: list[float], losers: list[float], failed: list[float], cost: float, limits: Any
) -> None:
    for name in ("learning_rate", "other"):
        space = Space([Float(name=name, low=1e-5, high=1.0, log=True, limits=limits)])
        parts = [along(name, part) for part in (survivors, losers, failed)]
        after, change = one(space, evidence(*parts, cost=cost))
        bottom, top = limits or (1e-5, 1.0)
        assert bottom <= after.low <= min(survivors) <= max(survivors) <= after.high <= top
        assert (change.change == "kept") == ((after.low, after.high) == (1e-5, 1.0))
        outside = after.low < 1e-5 or after.high > 1.0
        assert (change.change == "widened") == outside


# ---------------------------------------------------------------------- other ranges

SIZE = Float(name="size", low=0.0, high=10.0, limits=(0.0, 15.0))


def test_a_range_keeps_a_margin_around_the_survivors() -> None:
    after, change = one(Space([SIZE]), evidence(along("size", [4.0, 5.0, 6.0, 5.0, 4.5])))
    assert (after.low, after.high) == pytest.approx((2.0, 8.0))
    assert change.change == "narrowed"


def test_a_range_is_kept_where_survivors_are_few_or_everywhere() -> None:
    after, change = one(Space([SIZE]), evidence(along("size", [4.0, 5.0, 6.0, 5.0])))
    assert (after, change.change) == (SIZE, "kept")
    assert "only 4 survivors" in change.why
    after, change = one(Space([SIZE]), evidence(along("size", [1.0, 2.0, 5.0, 6.0, 9.0])))
    assert (after, change.change) == (SIZE, "kept")
    assert "spread over the whole range" in change.why


def test_a_range_is_widened_up_to_its_limits_where_the_best_lie_in_the_outer_tenth() -> None:
    values = [9.5, 9.2, 9.9, 2.0, 5.0]
    after, change = one(Space([SIZE]), evidence(along("size", values)))
    assert (after.low, after.high) == pytest.approx((0.0, 12.5))
    assert change.change == "widened"
    assert change.numbers["survivors"] == values
    after, change = one(Space([SIZE]), evidence(along("size", [0.1, 0.5, 0.9, 2.0, 5.0])))
    assert after.low == 0.0  # there the limits end
    assert change.change == "narrowed"
    hard = Float(name="size", low=0.0, high=10.0)
    after, change = one(Space([hard]), evidence(along("size", values)))
    assert after.high == 10.0
    assert change.change == "kept"


def test_whole_numbers_stay_whole_and_never_vanish() -> None:
    layers = Integer(name="layers", low=1, high=9)
    after, change = one(Space([layers]), evidence(along("layers", [4, 4, 5, 4, 4])))
    assert (after.low, after.high) == (2, 7)
    assert (type(after.low), type(after.high)) == (int, int)
    pair = Integer(name="layers", low=1, high=2)
    after, change = one(Space([pair]), evidence(along("layers", [1, 1, 1, 1, 1])))
    assert (after, change.change) == (pair, "kept")
    assert "all lie at 1" in change.why


@given(st.lists(st.integers(1, 6), min_size=1, max_size=12), st.booleans())
def test_any_whole_numbers_give_a_range_that_has_room_for_them(
    values: list[int], log: bool
) -> None:
    space = Space([Integer(name="layers", low=1, high=6, log=log)])
    after, _ = one(space, evidence(along("layers", values)))
    assert 1 <= after.low <= min(values) <= max(values) <= after.high <= 6


# ---------------------------------------------------------------------- reopened

DROPOUT = Choice(name="dropout", values=(0.0, 0.3, 0.5, 0.7), ordered=True, reopen=True)
DECAY = Float(name="decay", low=1e-6, high=1e-1, log=True, limits=(1e-8, 1.0), reopen=True)
WIDTH = Integer(name="width", low=16, high=1024, log=True, reopen=True)


@pytest.mark.parametrize(
    ("dimension", "value"),
    [(DROPOUT, 0.0), (DECAY, 1e-4), (WIDTH, 64)],
    ids=["dropout", "decay", "width"],
)
def test_what_does_not_transfer_from_a_subsample_is_searched_in_full_again(
    dimension: Any, value: Any
) -> None:
    name = dimension.name
    unimportant = [Importance(name, 0.0, 0.0, 0.0)]
    other = along(name, [dimension.from_unit(0.99)] * 40)
    found = evidence(along(name, [value] * 10), other, importances=unimportant)
    after, change = one(Space([dimension]), found)
    assert (after, change.change) == (dimension, "reopened")


def test_a_reopened_range_still_widens_at_its_edge() -> None:
    after, change = one(Space([DECAY]), evidence(along("decay", [0.09, 0.08, 0.1, 1e-5, 1e-3])))
    assert (after.low, after.high) == (1e-6, 1.0)  # a quarter more, up to the limits
    assert change.change == "widened"


# ---------------------------------------------------------------------- choices

KIND = Choice(name="kind", values=("a", "b", "c"))


def test_a_choice_goes_only_where_chance_does_not_explain_its_absence() -> None:
    survivors = along("kind", ["a"] * 6 + ["b"] * 4)
    losers = along("kind", ["a"] * 8 + ["b"] * 8 + ["c"] * 14)
    after, change = one(Space([KIND]), evidence(survivors, losers))
    assert after.values == ("a", "b")
    assert change.change == "narrowed"
    assert set(change.numbers["chances"]) == {"c"}
    # None of 10 survivors among 40 trials, 14 of them c: C(26, 10) / C(40, 10).
    assert change.numbers["chances"]["c"] == pytest.approx(math.comb(26, 10) / math.comb(40, 10))
    few = along("kind", ["a"] * 13 + ["b"] * 13 + ["c"] * 4)
    after, change = one(Space([KIND]), evidence(survivors, few))
    assert (after, change.change) == (KIND, "kept")
    assert change.numbers["chances"]["c"] > 0.05


def test_a_value_that_was_never_tried_or_a_choice_without_survivors_is_kept() -> None:
    after, change = one(Space([KIND]), evidence(along("kind", ["a"] * 10), along("kind", "b" * 30)))
    assert after.values == ("a", "c")
    after, change = one(Space([KIND]), evidence([], along("kind", "c" * 30)))
    assert (after, change.change, change.why) == (KIND, "kept", "no survivor used it")


@given(
    st.lists(st.sampled_from("abc"), max_size=20),
    st.lists(st.sampled_from("abc"), max_size=40),
)
def test_survivors_values_are_never_dropped(survivors: list[str], losers: list[str]) -> None:
    found = evidence(along("kind", survivors), along("kind", losers))
    after, _ = one(Space([KIND]), found)
    assert set(survivors) <= set(after.values)
    assert after.values


PARENT = Choice(name="optimizer", values=("sgd", "adam", "rmsprop"))
FAMILY = Space(
    [
        PARENT,
        Float(name="learning_rate_sgd", low=1e-5, high=1.0, log=True, when={"optimizer": ("sgd",)}),
        Float(name="momentum", low=0.0, high=0.9, when={"optimizer": ("sgd", "rmsprop")}),
        Choice(name="nesterov", values=(True, False), when={"optimizer": ("sgd",)}),
    ]
)


def test_children_of_a_dropped_choice_go_with_it_and_every_dimension_has_its_change() -> None:
    adam: Config = {"optimizer": "adam"}
    sgd: Config = {
        "optimizer": "sgd",
        "learning_rate_sgd": 0.1,
        "momentum": 0.5,
        "nesterov": True,
    }
    rmsprop: Config = {"optimizer": "rmsprop", "momentum": 0.5}
    found = evidence([adam] * 10 + [rmsprop] * 3, [sgd] * 20 + [adam] * 5 + [rmsprop] * 5)
    narrowed, changes = narrow(FAMILY, found)
    assert narrowed.names == ("optimizer", "momentum")
    assert narrowed["momentum"].when == {"optimizer": ("rmsprop",)}
    assert [change.dimension for change in changes] == list(FAMILY.names)
    for dimension, change in zip(FAMILY, changes, strict=True):
        assert change.before == dimension.to_json()
        dropped = dimension.name not in narrowed
        assert change.after == ({} if dropped else narrowed[dimension.name].to_json())
        assert not dropped or "only goes with optimizer in ['sgd'], dropped" in change.why


# ---------------------------------------------------------------------- fixed


def test_an_unimportant_dimension_is_fixed_at_what_the_survivors_had_with_its_evidence() -> None:
    space = Space([KIND, SIZE, Integer(name="n", low=1, high=9), RATE, PARENT])
    configs = [
        {"kind": kind, "size": size, "n": n, "learning_rate": 1e-3, "optimizer": "sgd"}
        for kind, size, n in (("b", 1.0, 2), ("b", 6.0, 3), ("a", 9.0, 7))
    ]
    low = [Importance(d.name, 0.004, 0.001, 0.01) for d in space]
    narrowed, changes = narrow(space, evidence(configs, importances=low))
    assert narrowed.fixed == {"kind": "b", "size": pytest.approx(6.0), "n": 3}
    by_name = {change.dimension: change for change in changes}
    for name in ("kind", "size", "n"):
        change = by_name[name]
        assert change.change == "fixed"
        assert change.after["type"] == "fixed"
        assert change.numbers == {"importance": 0.004, "low": 0.001, "high": 0.01}
        assert "explains 0.4% of the ranking (90 % interval 0.1% to 1.0%), below 2%" in change.why
    # Whatever the forest says, these decide how a training goes.
    assert isinstance(narrowed["learning_rate"], Float)
    assert isinstance(narrowed["optimizer"], Choice)


def test_a_dimension_that_may_matter_is_not_fixed() -> None:
    wide = [Importance("size", 0.01, 0.0, 0.05)]
    values = along("size", [1.0, 3.0, 5.0, 7.0, 9.0])
    assert one(Space([SIZE]), evidence(values, importances=wide))[0] == SIZE
    # Nor where nothing was measured, or no survivor says at what.
    assert one(Space([SIZE]), evidence(values))[0] == SIZE
    sure = [Importance("size", 0.0, 0.0, 0.0)]
    assert one(Space([SIZE]), evidence([], values, importances=sure))[0] == SIZE


def test_fixing_a_parent_takes_the_children_that_no_longer_go_with_it() -> None:
    space = Space(
        [
            Choice(name="schedule", values=("constant", "step")),
            Float(name="decay", low=0.1, high=0.5, when={"schedule": ("step",)}),
        ]
    )
    low = [Importance("schedule", 0.0, 0.0, 0.0)]
    constant = evidence([{"schedule": "constant"}] * 5, importances=low)
    narrowed, changes = narrow(space, constant)
    assert narrowed.names == ("schedule",)
    assert [change.after for change in changes][1] == {}
    step = evidence([{"schedule": "step", "decay": 0.3}] * 5, importances=low)
    narrowed, _ = narrow(space, step)
    assert narrowed.from_unit([0.5]).keys() == {"schedule", "decay"}


def test_what_the_study_has_fixed_stays_as_it_is() -> None:
    space = Space([Fixed(name="kind", value="a"), SIZE])
    narrowed, changes = narrow(space, evidence(along("size", [5.0] * 5, kind="a")))
    assert narrowed.fixed == {"kind": "a"}
    assert [change.dimension for change in changes] == ["size"]


# ---------------------------------------------------------------------- the whole


@pytest.mark.parametrize(
    ("number", "share", "expected"), [(3, 0.25, 3), (8, 0.25, 5), (40, 0.25, 10), (41, 0.25, 11)]
)
def test_at_least_five_survive_where_there_are_five(
    number: int, share: float, expected: int
) -> None:
    made = [record({"size": float(each)}, 0.1 * each) for each in range(number)]
    broken = [record({"size": 0.0}, 0.0, "failed") for _ in range(5)]
    survivors = choose_survivors([*reversed(made), *broken], LADDER, share)
    assert survivors == made[:expected]


@pytest.fixture(scope="module")
def narrowed() -> tuple[Space, list[Change], Evidence]:
    phase = CoarsePhase(SPACE, DEFAULTS, LADDER, num_trials=120, seed=1)
    Simulation(phase).run(10_000)
    found = gather_evidence(SPACE, phase.history, LADDER, share=0.25, seed=0)
    return (*narrow(SPACE, found), found)


def test_a_coarse_phase_narrows_towards_what_is_good(
    narrowed: tuple[Space, list[Change], Evidence],
) -> None:
    space, changes, found = narrowed
    assert found.cost == pytest.approx(1 / 3)
    assert len(found.survivors) >= 5
    assert {each.name for each in found.importances} == set(SPACE.names)
    rate = space["learning_rate_adam"]
    assert isinstance(rate, Float)
    assert rate.contains(1e-3)
    assert math.log10(rate.high / rate.low) < 3.5  # of 4 decades
    assert space["weight_decay"].contains(1e-4)
    assert [change.dimension for change in changes] == list(SPACE.names)
    kinds = {"kept", "narrowed", "widened", "reopened", "fixed"}
    assert {change.change for change in changes} <= kinds
    assert all(change.why for change in changes)


def test_the_changes_and_the_space_survive_a_file(
    narrowed: tuple[Space, list[Change], Evidence],
) -> None:
    space, changes, _ = narrowed
    text = json.dumps(finite([change.to_json() for change in changes]), allow_nan=False)
    assert [each["dimension"] for each in json.loads(text)] == list(SPACE.names)
    assert Space.from_json(json.loads(json.dumps(space.to_json()))) == space


def test_survivors_lie_in_the_narrowed_space_but_for_what_was_fixed(
    narrowed: tuple[Space, list[Change], Evidence],
) -> None:
    space, _, found = narrowed
    for survivor in found.survivors:
        for dimension in space.searched:
            if dimension.name in survivor.trial.config:
                assert dimension.contains(survivor.trial.config[dimension.name])


def test_few_or_failed_trials_change_nothing_that_they_do_not_speak_for() -> None:
    phase = CoarsePhase(SPACE, [], LADDER, num_trials=25, seed=1)
    while (trial := phase.ask()) is not None:
        phase.apply(trial)
        phase.apply(Ending(trial.trial_id, "failed", "raised"))
    found = gather_evidence(SPACE, phase.history, LADDER, share=0.25, seed=0)
    assert (found.survivors, found.importances) == ([], [])
    space, changes = narrow(SPACE, found)
    assert space == SPACE
    assert {change.change for change in changes} <= {"kept", "reopened"}


@given(st.integers(0, 2**20), st.integers(5, 30))
def test_whatever_came_out_the_fine_space_is_sound(seed: int, number: int) -> None:
    generator = np.random.default_rng(seed)
    points = generator.random((number, len(SPACE.searched))) ** generator.choice([0.1, 1, 10])
    configs = [SPACE.from_unit(point) for point in points]
    cuts = sorted(generator.integers(0, number, 2))
    importances = [Importance(d.name, 0.0, 0.0, float(generator.choice([0.0, 0.5]))) for d in SPACE]
    found = evidence(
        configs[: cuts[0]],
        configs[cuts[0] : cuts[1]],
        configs[cuts[1] :],
        importances=importances,
        cost=float(generator.choice([SHORT, LONG])),
    )
    space, changes = narrow(SPACE, found)
    assert [change.dimension for change in changes] == list(SPACE.names)
    json.dumps(finite([change.to_json() for change in changes]), allow_nan=False)
    assert Space.from_json(space.to_json()) == space
    for point in generator.random((5, len(space.searched))):
        space.validate(space.from_unit(point))
