import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.events import Evaluation, Trial
from search.strategy.asha import Decision
from search.strategy.coarse import CoarsePhase
from search.strategy.second_look import KINDS, MAX_SHARE, SecondLook
from tests.strategy.simulation import LADDER, SPACE


def looks(kinds: str, *, spent: int = 1000) -> SecondLook:
    made = SecondLook(cost=10, seed=0)
    names = {kind[0]: kind for kind in KINDS}
    for number, letter in enumerate(kinds):
        made.pause(f"t{number}", names[letter])  # type: ignore[arg-type]
    made.spend("other", spent)
    for loss in np.linspace(0.5, 1.5, 10):
        made.end("other", float(loss))
    return made


def look_at(made: SecondLook, number: int, loss: float, samples: int = 10) -> str | None:
    drawn = made.draw(number)
    if drawn is not None:
        made.look(drawn)
        made.spend(drawn, samples)
        made.end(drawn, loss)
    return drawn


def test_nothing_is_drawn_before_anything_was_spent_or_paused() -> None:
    assert SecondLook(cost=10, seed=0).draw(0) is None
    assert looks("").draw(0) is None


def test_a_look_costs_no_more_than_the_share() -> None:
    made = looks("f" * 50, spent=99)
    assert made.draw(0) is None, "a tenth of what was spent doesn't pay for one"
    made.spend("other", 901)
    drawn = [look_at(made, number, loss=9.0) for number in range(50)]
    assert 1 <= sum(each is not None for each in drawn) <= 10


def test_where_looks_find_nothing_the_share_withers_and_where_they_do_it_grows() -> None:
    shares = {}
    for name, loss in (("in vain", 9.0), ("found", 0.1)):
        made = looks("f" * 50, spent=10**6)
        assert made.share == pytest.approx(0.1)
        for number in range(20):
            look_at(made, number, loss)
        shares[name] = made.share
    assert shares["in vain"] < 0.03
    assert shares["found"] == MAX_SHARE


def test_lots_go_to_the_kind_that_has_bloomed() -> None:
    made = looks("fs" * 60, spent=10**6)
    kinds = []
    for number in range(60):
        drawn = made.draw(number)
        assert drawn is not None
        kinds.append(made.kind_of(drawn))
        made.look(drawn)
        made.end(drawn, 0.1 if kinds[-1] == "flat" else 9.0)
    assert kinds[-20:].count("flat") >= 18


def test_a_failure_is_no_success() -> None:
    made = looks("f")
    drawn = made.draw(0)
    assert drawn is not None
    made.look(drawn)
    made.end(drawn, math.inf)
    assert made.share == 0.0
    made.pause("new", "flat")
    assert 0.0 < made.share < 0.1


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(KINDS)), max_size=40))
def test_who_left_is_never_drawn_and_who_waits_can_be(moves: list[tuple[int, str]]) -> None:
    made, waiting = SecondLook(cost=10, seed=0), set[str]()
    made.spend("other", 10**9)
    for number, kind in moves:
        trial = f"t{number}"
        if trial in waiting:
            made.leave(trial)
            waiting.remove(trial)
        else:
            made.pause(trial, kind)  # type: ignore[arg-type]
            waiting.add(trial)
        made.leave("unknown")
        assert {made.draw(each) for each in range(20)} <= (waiting or {None})
        if waiting:
            assert {made.draw(each) for each in range(200)} >= set(list(waiting)[:1])


def test_draws_are_seeded() -> None:
    drawn = [[seeded(seed).draw(n) for n in range(20)] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def seeded(seed: int) -> SecondLook:
    made = SecondLook(10, seed)
    made.spend("other", 1000)
    for number in range(30):
        made.pause(f"t{number}", "settled")
    return made


def test_what_a_watch_gave_up_is_no_measure_for_a_look() -> None:
    phase = CoarsePhase(SPACE, [], LADDER, num_trials=None, seed=0)
    trial = phase.ask()
    assert isinstance(trial, Trial)
    phase.apply(trial)
    last = Evaluation(trial.trial_id, 1, 4, 4, 0.5, 0.5, 0.5, 0.5, 0.1, 1.0)
    phase.apply(last)
    given_up = phase._give_up(phase.history[trial.trial_id], Decision("stop", "dead"))
    assert given_up.action == "stop"
    assert not phase._looks._is_good(0.0, 1.0), "nothing was trained in full yet"
