import pytest
from proofs import confirmed

from search.events import Ending, Evaluation, Trial
from search.insight.failures import explain_nothing_converged, explain_nothing_learnt
from search.insight.result import count_trials, group_confirmed, in_order, phase_cost, prove
from search.trials import History


def test_the_winner_is_chosen_on_validation_and_compared_on_test() -> None:
    history = confirmed(
        f1=[(0.90, 0.99), (0.91, 0.98)],
        f2=[(0.95, 0.91), (0.96, 0.92)],
        baseline=[(0.80, 0.85), (0.81, 0.87)],
    )
    proof = prove(group_confirmed(history), metric="accuracy", mode="max")
    assert proof is not None
    assert proof.winner.name == "f2"
    assert [each.name for each in proof.finalists] == ["f2", "f1"]
    values = proof.to_json()
    assert values["winner"]["test"]["per_seed"] == (0.91, 0.92)
    assert values["baseline"]["source"] == "a paper"
    assert proof.winner.best_run == "x-f2-s1"


@pytest.mark.parametrize(("loss", "winner"), [({"f1": 0.04}, "f1"), ({"f2": 0.04}, "f2")])
def test_where_the_metric_is_the_same_the_lower_loss_wins(
    loss: dict[str, float], winner: str
) -> None:
    history = confirmed(loss=loss, f1=[(0.95, 0.9)], f2=[(0.95, 0.9)], baseline=[(0.8, 0.8)])
    proof = prove(group_confirmed(history), metric="accuracy", mode="max")
    assert proof is not None
    assert proof.winner.name == winner


def test_among_those_that_the_seeds_cannot_tell_apart_the_lower_loss_wins() -> None:
    steady = [(0.97, 0.9), (0.96, 0.9), (0.97, 0.9)]
    for ahead, first in (([0.99, 0.95, 0.98], "f2"), ([0.99, 0.98, 0.99], "f1")):
        history = confirmed(
            loss={"f1": 0.09, "f2": 0.04},
            f1=[(value, 0.9) for value in ahead],
            f2=steady,
            baseline=[(0.8, 0.8)] * 3,
        )
        ordered = in_order(group_confirmed(history), "max")
        assert ordered[0].name == first
        assert ordered[-1].name == "baseline"


def test_the_baseline_itself_may_win() -> None:
    history = confirmed(f1=[(0.8, 0.8), (0.82, 0.81)], baseline=[(0.9, 0.9), (0.92, 0.91)])
    proof = prove(group_confirmed(history), metric="accuracy", mode="max")
    assert proof is not None
    assert proof.winner.name == "baseline"
    assert proof.comparison.verdict == "worse"


def test_a_failed_run_is_counted_and_left_out() -> None:
    history = confirmed(f1=[(0.9, 0.9), (0.9, 0.9)], baseline=[(0.8, 0.8), (0.8, 0.8)])
    history.apply(Trial("x-f1-s2", "confirm", "finalist:f1", {}, 2, 100, (50, 100)))
    history.apply(Ending("x-f1-s2", "failed", "diverged"))
    (first, _) = group_confirmed(history)
    assert (len(first.records), first.failed) == (2, 1)


def test_one_lucky_run_beside_failures_comes_after_what_never_failed() -> None:
    history = confirmed(f1=[(0.99, 0.99)], f2=[(0.9, 0.9)] * 3, baseline=[(0.8, 0.8)] * 3)
    for seed in (1, 2):
        history.apply(Trial(f"x-f1-s{seed}", "confirm", "finalist:f1", {}, seed, 100, (50, 100)))
        history.apply(Ending(f"x-f1-s{seed}", "failed", "diverged"))
    proof = prove(group_confirmed(history), metric="accuracy", mode="max")
    assert proof is not None
    assert proof.winner.name == "f2"
    assert [each.name for each in proof.finalists] == ["f2", "f1"]


def test_nothing_completed_is_no_proof() -> None:
    history = History()
    history.apply(Trial("x-f1-s0", "confirm", "finalist:f1", {}, 0, 100, (50, 100)))
    history.apply(Ending("x-f1-s0", "failed", "diverged: train loss is nan"))
    assert prove(group_confirmed(history), metric="accuracy", mode="max") is None
    said = explain_nothing_converged(history)
    assert said.startswith("nothing converged in confirm: 1 x diverged")
    assert "learning rates" in said


def test_a_phase_s_cost_is_counted_in_samples_and_slot_seconds() -> None:
    history = confirmed(f1=[(0.9, 0.9), (0.9, 0.9)])
    cost = phase_cost(history, wall_seconds=4.0, full=100, slots=2)
    assert cost["samples_seen"] == 200
    assert cost["full_run_equivalents"] == 2.0
    assert cost["trial_seconds"] == 4.0
    assert cost["training_share"] == 0.5
    assert cost["trial_start_seconds"] == 0.1
    assert count_trials({"confirm": history}) == {"confirm": 2, "stopped": 0, "failed": 0}


def test_trials_that_are_too_slow_are_counted_together_and_ask_for_time() -> None:
    history = History()
    for number in range(5):
        name = f"c{number:04d}"
        history.apply(Trial(name, "coarse", "sobol", {}, number, 100, (50, 100)))
        reason = f"too slow: a full run would take {100 + number} s, and confirmation has room for"
        history.apply(Ending(name, "stopped", reason))
    said = explain_nothing_converged(history)
    assert said == (
        "nothing converged in coarse: 5 x too slow; give more time, or a space of smaller networks"
    )


@pytest.mark.parametrize(("loss", "is_told"), [(0.5, False), (0.6915, True), (0.8, True)])
def test_trials_that_know_no_more_than_chance_are_told_of(loss: float, is_told: bool) -> None:
    (history := History()).apply(Trial("c0000", "coarse", "sobol", {}, 0, 100, (100,)))
    history.apply(Evaluation("c0000", 1, 100, 100, loss, loss, 0.5, 0.5, 0.1, 1.0))
    said = explain_nothing_learnt(history, 0.693)
    assert said.startswith("no trial of coarse came clearly below 0.693, the loss of no") == is_told
    assert bool(said) == is_told
    assert not explain_nothing_learnt(history, None)
