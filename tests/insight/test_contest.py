import math

import pytest
from proofs import Accuracies, confirmed

from search.events import Ending, Trial
from search.insight.contest import Contest

LOW: Accuracies = [(0.80, 0.85), (0.81, 0.87), (0.79, 0.86)]
MIDDLE: Accuracies = [(0.90, 0.91), (0.91, 0.92), (0.92, 0.93)]
HIGH: Accuracies = [(0.95, 0.91), (0.96, 0.92), (0.97, 0.90)]


def contest(*, winner: str | None, loss: dict[str, float] | None = None, **values: Accuracies):
    history = confirmed(loss=loss, **values)
    return Contest(history, metric="accuracy", mode="max", winner=winner)


def test_the_winner_comes_first_and_the_others_were_lower_on_validation() -> None:
    proof = contest(winner="f2", baseline=LOW, f1=MIDDLE, f2=HIGH)
    assert [each.name for each in proof.ranked] == ["f2", "f1", "baseline"]
    assert [each.wins for each in proof.ranked] == [True, False, False]
    first, second, baseline = proof.ranked
    assert first.why_not == ""
    assert second.why_not == "validation accuracy 0.91, lower than f2's 0.96"
    assert baseline.why_not == "validation accuracy 0.8, lower than f2's 0.96"
    assert first.against_baseline is not None
    assert first.against_baseline.verdict == "better"
    assert baseline.against_baseline is None
    assert proof.outcome("f2").startswith("the winner. Better than the published default: +0.05")
    assert proof.outcome("f1").startswith("a finalist, not taken: validation accuracy")


def test_a_difference_that_the_seeds_explain_is_said_to_be_noise() -> None:
    close: Accuracies = [(0.95, 0.9), (0.97, 0.9), (0.95, 0.9)]
    second = contest(winner="f2", baseline=LOW, f1=close, f2=HIGH).ranked[1]
    assert second.why_not.endswith("lower than f2's 0.96; the seeds' noise could explain it")


def test_the_same_metric_is_decided_by_the_loss() -> None:
    proof = contest(winner="f2", loss={"f1": 0.3, "f2": 0.2}, f1=HIGH, f2=HIGH, baseline=LOW)
    why = proof.ranked[1].why_not
    assert why == (
        "the same validation accuracy as f2, 0.96, but a validation loss of 0.3 against 0.2"
    )


def test_a_default_that_proves_better_on_test_overrules_validation() -> None:
    good: Accuracies = [(0.90, 0.97), (0.91, 0.98), (0.92, 0.975)]
    proof = contest(winner="baseline", baseline=good, f1=MIDDLE, f2=HIGH)
    default, best, other = proof.ranked
    assert default.name == "baseline"
    assert proof.outcome("baseline") == "the winner: the published default stays"
    assert best.why_not.startswith("first on validation, but on the test rows: Worse than")
    assert other.name == "f1"
    assert other.why_not.startswith("validation accuracy 0.91, lower than f2's 0.96")


def test_lower_may_be_better() -> None:
    history = confirmed(f1=HIGH, f2=LOW, baseline=MIDDLE)
    proof = Contest(history, metric="rmse", mode="min", winner="f2")
    assert [each.name for each in proof.ranked] == ["f2", "baseline", "f1"]
    assert proof.ranked[2].why_not == "validation rmse 0.96, higher than f2's 0.8"


def test_a_default_that_comes_first_on_validation_is_called_the_baseline() -> None:
    proof = contest(winner="baseline", baseline=HIGH, f1=MIDDLE)
    assert proof.ranked[1].why_not == "validation accuracy 0.91, lower than the baseline's 0.96"


def test_a_configuration_whose_runs_all_failed_says_so_and_comes_last() -> None:
    history = confirmed(f1=HIGH, baseline=LOW)
    for seed in range(2):
        trial_id = f"x-f9-s{seed}"
        history.apply(Trial(trial_id, "confirm", "finalist:f9", {"a": 1}, seed, 100, (50, 100)))
        history.apply(Ending(trial_id, "failed", "diverged"))
    proof = Contest(history, metric="accuracy", mode="max", winner="f1")
    last = proof.ranked[-1]
    assert (last.name, last.why_not) == ("f9", "none of its 2 runs was completed")
    assert math.isnan(last.validation_loss)
    assert proof.with_config({"a": 1}) == "f9"
    assert proof.with_config({"a": 2}) is None


@pytest.mark.parametrize("name", ["f1", "baseline"])
def test_before_there_is_a_winner_nothing_is_said_against_anyone(name: str) -> None:
    proof = contest(winner=None, f1=HIGH, baseline=LOW)
    assert {each.why_not for each in proof.ranked} == {""}
    assert proof.outcome(name).endswith("; the proof isn't complete")


def test_one_with_failed_runs_is_said_to_have_them_whatever_its_values() -> None:
    history = confirmed(f1=HIGH[:2], f2=LOW, baseline=LOW)
    history.apply(Trial("x-f1-s2", "confirm", "finalist:f1", {}, 2, 100, (50, 100)))
    history.apply(Ending("x-f1-s2", "failed", "diverged"))
    proof = Contest(history, metric="accuracy", mode="max", winner="f2")
    failed = proof.find("f1")
    assert failed is not None
    assert failed.why_not == "1 of its 3 runs failed, none of f2's"


def test_one_that_the_seeds_tell_from_the_best_isn_t_said_to_be_like_it() -> None:
    """Between the best and the winner, which the seeds can't tell from the best."""
    best: Accuracies = [(0.96, 0.9), (0.97, 0.9), (0.98, 0.9)]
    winner: Accuracies = [(0.99, 0.9), (0.93, 0.9), (0.97, 0.9)]
    between: Accuracies = [(0.959, 0.9), (0.969, 0.9), (0.979, 0.9)]
    losses = {"f1": 0.3, "f2": 0.1, "f10": 0.2}
    proof = contest(winner="f2", loss=losses, f1=best, f2=winner, f10=between, baseline=LOW)
    third = proof.find("f10")
    assert third is not None
    assert third.why_not == (
        "validation accuracy 0.969, which the seeds can tell from the best; f2's 0.9633 they can't"
    )
