import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.strategy.asha import Asha

losses = st.lists(st.floats(-1e6, 1e6) | st.integers(0, 3).map(float), min_size=1, max_size=80)


def report(asha: Asha, arriving: list[float], point: int) -> list[str]:
    return [asha.report(f"t{n}", point, loss).action for n, loss in enumerate(arriving)]


def promote_all(asha: Asha) -> list[tuple[str, int]]:
    """Call every trial that may go on now."""
    called = []
    while (call := asha.promotable()) is not None:
        asha.withdraw(call[0])
        called.append(call)
    return called


@given(losses, st.integers(2, 10))
def test_a_trial_goes_on_at_once_if_it_is_among_the_best_of_those_so_far(
    arriving: list[float], factor: int
) -> None:
    asha = Asha((1, factor), factor)
    for number, loss in enumerate(arriving, start=1):
        decision = asha.report(f"t{number}", 1, loss)
        rank = sum(other <= loss for other in arriving[:number])  # of equal ones the first is ahead
        assert (decision.action == "continue") == (rank <= number // factor)
        assert not decision.failed
        assert (decision.numbers["rank"], decision.numbers["of"]) == (rank, number)
        assert (decision.numbers["kept"], asha.reached(1)) == (number // factor, number)
        limit = decision.numbers["limit"]
        assert (limit is not None and loss <= limit) >= (decision.action == "continue")
        assert (limit is None) == (number < factor)


@given(losses, st.integers(2, 10))
def test_when_all_are_called_the_best_share_has_gone_on(arriving: list[float], factor: int) -> None:
    asha = Asha((1, factor), factor)
    gone = [f"t{n}" for n, a in enumerate(report(asha, arriving, 1)) if a == "continue"]
    gone += [trial for trial, rung in promote_all(asha) if rung == factor]
    order = sorted(range(len(arriving)), key=lambda n: (arriving[n], n))
    assert {f"t{n}" for n in order[: len(arriving) // factor]} <= set(gone)
    assert len(gone) == len(set(gone))


@given(losses.map(lambda found: sorted(set(found))))
def test_where_the_best_come_first_nobody_else_goes_on(arriving: list[float]) -> None:
    asha = Asha((1, 3), 3)
    at_once = report(asha, arriving, 1)
    assert "continue" not in at_once, "the best of all was there before"
    assert promote_all(asha) == [(f"t{n}", 3) for n in range(len(arriving) // 3)]


def test_what_waited_is_called_when_the_others_turn_out_worse() -> None:
    asha = Asha((1, 3, 9), 3)
    assert report(asha, [0.5, 0.9], 1) == ["pause", "pause"]
    assert asha.promotable() is None
    asha.report("t2", 1, 0.8)
    assert asha.promotable() == ("t0", 3)
    asha.withdraw("t0")
    assert asha.promotable() is None


def test_the_highest_rung_is_called_first() -> None:
    asha = Asha((1, 3, 9), 3)
    report(asha, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], 1)
    promote_all(asha)
    for trial, loss in (("t0", 0.1), ("t1", 0.2), ("t2", 0.3)):
        asha.report(trial, 3, loss)
    for n in range(6, 9):
        asha.report(f"t{n}", 1, 0.7)
    assert asha.promotable() == ("t0", 9)


def test_equal_losses_do_not_all_go_on() -> None:
    asha = Asha((1, 3), 3)
    gone = report(asha, [0.5] * 30, 1).count("continue")
    assert gone + len(promote_all(asha)) == 10


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("point", [1, 2, 3, 9])
def test_a_loss_that_is_not_finite_stops_at_once_and_everywhere(loss: float, point: int) -> None:
    asha = Asha((1, 3, 9), 3)
    decision = asha.report("bad", point, loss)
    assert (decision.action, decision.failed) == ("stop", True)
    assert str(loss) in decision.reason


def test_failures_count_as_the_worst_at_the_rung_that_they_missed() -> None:
    asha = Asha((1, 3, 9), 3)
    asha.report("good", 1, 0.5)
    assert asha.fail("x", 0) == 1
    assert asha.fail("y", 0) == 1
    assert asha.promotable() == ("good", 3)
    assert asha.fail("z", 1) == 3
    assert asha.fail("late", 9) is None
    assert [asha.reached(rung) for rung in (1, 3, 9)] == [3, 1, 0]


def test_a_trial_that_ends_early_counts_at_the_later_rungs_but_is_never_called() -> None:
    asha = Asha((1, 3, 9), 3)
    asha.complete("early", 0, 0.1)
    report(asha, [0.5, 0.6], 1)
    assert asha.promotable() is None, "the best third is the one that has ended"
    assert [asha.reached(rung) for rung in (1, 3, 9)] == [3, 1, 1]


@pytest.mark.parametrize(
    ("low", "factor", "num_rungs"), [(1, 3, 6), (1, 10, 4), (7, 3, 8), (1, 2, 20)]
)
def test_no_rung_is_lost_to_rounding(low: int, factor: int, num_rungs: int) -> None:
    rungs = tuple(low * factor**level for level in range(num_rungs))
    asha = Asha(rungs, factor)
    for level, rung in enumerate(rungs[:-1]):
        assert asha.report("a", rung, 0.5).numbers["rung"] == level
        assert asha.report("b", rung, 0.7).action == "pause"
    assert asha.report("a", rungs[-1], 0.5).action == "continue"  # it ends by itself
    assert asha.report("b", rungs[-1], 0.7).action == "continue"
    assert [asha.reached(rung) for rung in rungs] == [2] * num_rungs


def test_what_is_no_rung_decides_nothing() -> None:
    asha = Asha((10, 30), 3)
    asha.report("t", 10, 0.1)
    for point in (0, 1, 9, 11, 29, 31, 1000):
        decision = asha.report("t", point, 99.0)
        assert (decision.action, decision.reason) == ("continue", "")
    assert asha.reached(10) == 1


def test_a_decision_is_explained() -> None:
    asha = Asha((10, 30), 3)
    for loss in (0.1, 0.2, 0.3):
        decision = asha.report(f"{loss}", 10, loss)
    assert decision.reason == "rung 0 (10 samples): loss 0.3 is 3 of 3, the best 1 go on"
    assert (decision.numbers["limit"], decision.numbers["loss"]) == (0.1, 0.3)
    assert asha.report("t", 10, 0.05).reason == "rung 0 (10 samples): loss 0.05 is 1 of 4, goes on"
