"""What most survivors' curves say moves where fine looks first, and nothing else does."""

from collections import Counter

import pytest
from planted_curves import BEST, CHANCE, learning, record

from search.space import Choice, Float, Integer, Space
from search.strategy.advice import advise, agreement
from search.strategy.budget import Ladder
from search.strategy.method import Method
from search.study import BudgetSection, Study
from search.trials import Ending, History, Record

SPACE = Space(
    [
        Float(name="weight_decay", low=1e-6, high=1e-1, log=True, limits=(1e-8, 10.0), group=3),
        Choice(name="dropout", values=(0.0, 0.3, 0.5), ordered=True, group=3),
        Choice(name="batch_size", values=(32, 64, 128), ordered=True, group=2),
        Integer(name="num_units", low=16, high=1024, log=True, group=2),
    ]
)


def moved(**counts: int) -> dict[str, object]:
    names = {name.replace("_", "-"): count for name, count in counts.items()}
    space, changes = advise(SPACE, SPACE, Counter(names))  # type: ignore[arg-type]
    assert {change.change for change in changes} <= {"moved"}
    return {change.dimension: space[change.dimension] for change in changes}


def test_overfitting_asks_for_more_regularisation() -> None:
    found = moved(overfitting=3, healthy=1)
    decay, dropout = found.pop("weight_decay"), found.pop("dropout")
    assert (decay.low, decay.high) == pytest.approx((1e-5, 1.0))  # type: ignore[attr-defined]
    assert dropout.values == (0.3, 0.5)  # type: ignore[attr-defined]
    assert not found


@pytest.mark.parametrize("high", [1.5e-4, 1e-3, 5e-3])
def test_a_range_of_a_decade_without_room_above_keeps_its_upper_half(high: float) -> None:
    space = Space([Float(name="weight_decay", low=1e-4, high=high, log=True, group=3)])
    moved, (change,) = advise(space, space, Counter({"overfitting": 3}))
    after = moved["weight_decay"]
    assert isinstance(after, Float)
    assert after.low == pytest.approx(min(1e-3, (1e-4 * high) ** 0.5))
    assert after.high == high
    assert change.dimension == "weight_decay"


def test_underfitting_asks_for_more_capacity() -> None:
    (units,) = moved(underfitting=4).values()
    assert (units.low, units.high) == (126, 1024)  # type: ignore[attr-defined]


def test_capacity_that_narrowing_left_out_above_comes_back() -> None:
    whole = Space(
        [
            Integer(name="num_layers", low=1, high=5, group=2),
            Choice(name="dense_units", values=(0, 64, 128, 256), ordered=True, group=2),
            Choice(name="shape", values=("constant", "cone"), group=2),
        ]
    )
    narrowed = whole.replace(Integer(name="num_layers", low=1, high=2, group=2))
    few = Choice(name="dense_units", values=(0, 64), ordered=True, group=2)
    space, changes = advise(narrowed.replace(few), whole, Counter({"underfitting": 3}))
    layers, units = space["num_layers"], space["dense_units"]
    assert isinstance(layers, Integer)
    assert (layers.low, layers.high) == (2, 5)
    assert isinstance(units, Choice)
    assert units.values == (64, 128, 256)
    assert {each.dimension for each in changes} == {"num_layers", "dense_units"}


def test_a_linear_range_of_regularisation_keeps_its_upper_half() -> None:
    space = Space([Float(name="drop_path", low=0.0, high=0.4, group=3)])
    moved, _ = advise(space, space, Counter({"overfitting": 3}))
    assert isinstance(after := moved["drop_path"], Float)
    assert (after.low, after.high) == pytest.approx((0.2, 0.4))


def test_a_swinging_loss_asks_for_larger_batches() -> None:
    (batch,) = moved(noisy=4).values()
    assert batch.values == (64, 128)  # type: ignore[attr-defined]


def test_half_of_the_voices_or_too_few_move_nothing() -> None:
    assert not moved(overfitting=2, healthy=2)
    assert not moved(overfitting=2)


def test_a_choice_of_two_keeps_both() -> None:
    space = Space([Choice(name="dropout", values=(0.0, 0.5), ordered=True, group=3)])
    assert advise(space, space, Counter({"overfitting": 3})) == (space, [])


def test_survivors_are_judged_on_the_scale_of_the_best_of_them() -> None:
    best, small = record(learning(1.0, 6)), record(learning(0.5, 8), trial_id="c0001")
    assert agreement([best, small], CHANCE) == Counter({"healthy": 1, "underfitting": 1})
    assert agreement([best, small], None) == Counter()
    assert BEST < CHANCE


LADDER = Ladder((222, 666, 2000, 6000), 3)
OVER_SOON = [0.95, *[0.96] * 19]


def after(
    courses: list[list[float]], *, sizes: tuple[int, ...] = (800,), **study: object
) -> Ladder:
    """Return the rungs after a coarse phase of trials with these courses."""
    records = [record(each, trial_id=f"c{number:04d}") for number, each in enumerate(courses)]
    coarse = History([event for each in records for event in _events(each)])
    made = Method(Study(**study), SPACE, [], LADDER, chance=CHANCE, sizes=sizes)  # type: ignore[arg-type]
    method, why = made.after(coarse)
    assert (why is not None) == (method.ladder != LADDER)
    return method.ladder


def _events(each: Record) -> list:
    return [each.trial, *each.evaluations, Ending(each.trial.trial_id, "completed", "trained")]


def test_where_all_was_learnt_soon_what_follows_is_a_rung_shorter() -> None:
    late = learning(1.0, 3)
    assert after([OVER_SOON] * 4 + [late]).rungs == (222, 666, 2000)
    assert after([OVER_SOON] * 2 + [late] * 3) == LADDER


def test_few_rows_or_the_study_s_own_length_shorten_nothing() -> None:
    assert after([OVER_SOON] * 5, sizes=(800, 2400)) == LADDER
    assert after([OVER_SOON] * 5, budget=BudgetSection(full_epochs=5)) == LADDER
