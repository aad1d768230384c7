import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.strategy.asha import Asha

losses = st.lists(st.floats(-1e6, 1e6) | st.integers(0, 3).map(float), min_size=1, max_size=80)


@given(losses, st.integers(2, 10))
def test_a_trial_goes_on_if_it_is_among_the_best_of_those_that_came_before(
    arriving: list[float], factor: int
) -> None:
    asha = Asha((1, factor), factor)
    for number, loss in enumerate(arriving, start=1):
        decision = asha.report(1, loss)
        kept = max(1, number // factor)
        rank = sum(other <= loss for other in arriving[:number])  # ties count as worse
        assert (decision.action == "continue") == (rank <= kept)
        assert not decision.failed
        assert decision.numbers["of"] == asha.reached(1) == number
        assert (decision.numbers["rank"], decision.numbers["kept"]) == (rank, kept)


@given(losses.map(sorted), st.integers(2, 10))
def test_where_the_best_come_first_no_more_than_their_share_go_on(
    arriving: list[float], factor: int
) -> None:
    asha = Asha((1, factor), factor)
    kept = [asha.report(1, loss).action for loss in arriving].count("continue")
    assert kept <= max(1, len(arriving) // factor)


def test_equal_losses_do_not_all_go_on() -> None:
    asha = Asha((1, 3), 3)
    assert [asha.report(1, 0.5).action for _ in range(30)] == ["continue"] + ["stop"] * 29


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("point", [1, 2, 3, 9])
def test_a_loss_that_is_not_finite_stops_at_once_and_everywhere(loss: float, point: int) -> None:
    asha = Asha((1, 3, 9), 3)
    decision = asha.report(point, loss)
    assert (decision.action, decision.failed) == ("stop", True)
    assert str(loss) in decision.reason
    # It says nothing of the others.
    assert asha.report(1, 0.5).action == "continue"
    assert asha.reached(1) == 1


@pytest.mark.parametrize(
    ("low", "factor", "num_rungs"), [(1, 3, 6), (1, 10, 4), (7, 3, 8), (1, 2, 20)]
)
def test_no_rung_is_lost_to_rounding(low: int, factor: int, num_rungs: int) -> None:
    rungs = tuple(low * factor**level for level in range(num_rungs))
    asha = Asha(rungs, factor)
    for level, rung in enumerate(rungs[:-1]):
        decision = asha.report(rung, 0.5)
        assert decision.numbers["rung"] == level
        assert asha.report(rung, 0.7).action == "stop"
    assert asha.report(rungs[-1], 0.5).action == "continue"
    assert asha.report(rungs[-1], 0.7).action == "continue"  # it ends by itself
    assert [asha.reached(rung) for rung in rungs] == [2] * num_rungs


def test_what_is_no_rung_decides_nothing() -> None:
    asha = Asha((10, 30), 3)
    asha.report(10, 0.1)
    for point in (0, 1, 9, 11, 29, 31, 1000):
        decision = asha.report(point, 99.0)
        assert (decision.action, decision.reason) == ("continue", "")
    assert asha.reached(10) == 1


def test_a_decision_is_explained() -> None:
    asha = Asha((10, 30), 3)
    for loss in (0.1, 0.2, 0.3):
        decision = asha.report(10, loss)
    assert decision.reason == "rung 0 (10 samples): loss 0.3 is 3 of 3, the best 1 go on"
    assert asha.report(10, 0.05).reason == "rung 0 (10 samples): loss 0.05 is 1 of 4, goes on"
