import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.errors import StudyError
from search.events import Evaluation, Pause, Trial
from search.strategy.asha import Asha
from search.strategy.brackets import Brackets
from search.strategy.coarse import CoarsePhase
from search.study import resolve_study
from tests.strategy.simulation import LADDER, SPACE, Simulation

RUNGS = (1, 3, 9, 27)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60))
def test_one_bracket_is_plain_asha(losses: list[float]) -> None:
    brackets, asha = Brackets(RUNGS, 3), Asha(RUNGS, 3)
    for number, loss in enumerate(losses):
        name = f"t{number}"
        brackets.start(name)
        assert brackets.report(name, 1, loss) == asha.report(name, 1, loss)
        assert brackets.promotable() == asha.promotable()
    assert brackets.num_judged == asha.reached(1)


def test_a_bracket_compares_from_its_own_rung_on_and_among_its_own_trials() -> None:
    brackets = Brackets(RUNGS, 3, 2)
    first, second = "a", "b"
    brackets.start(first)
    brackets.start(second)
    assert brackets.report(first, 1, 0.5).action == "pause"
    assert brackets.report(second, 1, 0.1).action == "continue"
    assert not brackets.report(second, 1, 0.1).reason, "nothing is decided below its first rung"
    decision = brackets.report(second, 3, 0.1)
    assert (decision.action, decision.numbers["of"], decision.numbers["rung"]) == ("pause", 1, 1)
    assert brackets.num_judged == 2


def test_each_bracket_is_given_as_much_training() -> None:
    brackets = Brackets(RUNGS, 3, 4)
    groups = [0] * 4
    for number in range(400):
        brackets.start(f"t{number}")
        groups[brackets._brackets.index(brackets._of[f"t{number}"])] += 1
    assert groups == sorted(groups, reverse=True)
    # A trial costs 1 + 2/3 + 6/9 + 18/27, 3 + 6/3 + 18/9, 9 + 18/3, 27 samples.
    spent = [n * price for n, price in zip(groups, (3, 7, 15, 27), strict=True)]
    assert max(spent) - min(spent) <= 27


def test_a_phase_with_brackets_pauses_trials_at_the_first_rung_of_each() -> None:
    phase = CoarsePhase(SPACE, [], LADDER, num_trials=30, seed=0, num_brackets=3)
    steps = Simulation(phase, faults=False).run(5000)
    assert phase.exhausted
    reached: dict[str, int] = {}
    paused: dict[str, int] = {}
    for step in steps:
        if isinstance(step.event, Evaluation):
            reached[step.event.trial_id] = step.event.point
        if isinstance(step.event, Pause):
            paused.setdefault(step.event.trial_id, reached[step.event.trial_id])
    assert set(paused.values()) == {4, 12}, "in the third bracket trials run through"
    through = {s.event.trial_id for s in steps if isinstance(s.event, Trial)} - set(paused)
    assert any(reached[trial_id] == 36 for trial_id in through)
    pairs = itertools.pairwise(reached[f"c{n:04d}"] for n in range(30))
    assert any(low != high for low, high in pairs)


def test_more_brackets_than_coarse_has_rungs_are_refused_in_a_line() -> None:
    assert resolve_study({"budget": {"num_brackets": 3}}).budget.num_brackets == 3
    with pytest.raises(StudyError, match=r"budget\.num_brackets") as raised:
        resolve_study({"budget": {"num_brackets": 4}})
    assert "\n" not in str(raised.value)


def test_fine_has_no_more_brackets_than_rungs() -> None:
    study = resolve_study({"budget": {"num_rungs": 6, "num_brackets": 5}})
    number = study.budget.num_brackets
    few = CoarsePhase(SPACE, [], LADDER, num_trials=9, seed=0, num_brackets=number)
    Simulation(few, faults=False).run(5000)
    assert few.exhausted
