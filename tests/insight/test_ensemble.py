"""An ensemble is chosen on validation, seed by seed, and compared on test."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.events import Ending, Evaluation, Trial
from search.insight import resample
from search.insight.ensemble import Ensemble, choose_ensemble
from search.insight.result import Confirmed
from search.insight.selection import MIN_GAIN, NoEnsemble, greedy_weights
from search.insight.truth import Truth
from search.training.predictions import Predictions, answers_of, decided
from search.trials import Record

NUM_ROWS, NUM_CLASSES, TEST = 600, 4, np.arange(400, 600)
VALIDATION = (np.arange(0, 200), np.arange(200, 400))
"""Each seed's own: the other seed was trained on them."""
CLASSES = np.random.default_rng(0).integers(0, NUM_CLASSES, NUM_ROWS)
TRUTH = Truth(CLASSES, "classification", "accuracy")
Said = dict[tuple[str, str], Predictions]


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resample, "NUM_DRAWS", 200)


def run(name: str, seed: int, loss: float = 1.0, num_parameters: int = 10) -> Record:
    trial_id = f"x-{name}-s{seed}"
    trial = Trial(trial_id, "confirm", f"finalist:{name}", {"name": name}, seed, 9, (9,), 1 + seed)
    evaluation = Evaluation(trial_id, 1, 9, 9, loss, loss, 0.5, 0.5, 0.1, 1.0)
    ending = Ending(trial_id, "completed", "done", num_parameters=num_parameters)
    return Record(trial, [evaluation], ending=ending)


def group(name: str, seeds: tuple[int, ...] = (0, 1), **more: Any) -> Confirmed:
    return Confirmed(name, tuple(run(name, seed, **more) for seed in seeds), 0)


def logits(signal: float, seed: int) -> np.ndarray:
    """Return outputs that know the class the better the stronger the signal is."""
    noise = np.random.default_rng(seed).normal(size=(NUM_ROWS, NUM_CLASSES))
    return (signal * np.eye(NUM_CLASSES)[CLASSES] + noise).astype(np.float32)


def said(**signals: float) -> Said:
    """Return what each configuration's two runs say; their errors have nothing in common."""
    found: Said = {}
    for number, (name, signal) in enumerate(signals.items()):
        for seed in (0, 1):
            outputs = logits(signal, 10 * number + seed)
            for part, rows in (("validation", VALIDATION[seed]), ("test", TEST)):
                found[f"x-{name}-s{seed}", part] = Predictions(rows, outputs[rows])
    return found


def choose(found: Said, *groups: Confirmed, truth: Truth = TRUTH) -> Ensemble:
    return choose_ensemble(groups, groups[0], lambda run, part: found.get((run, part)), truth)


def weights(ensemble: Ensemble) -> Mapping[str, float]:
    total: dict[str, float] = {}
    for member in ensemble.members:
        total[member.configuration] = total.get(member.configuration, 0.0) + member.weight
    return total


def test_configurations_that_err_differently_are_averaged_and_better_together() -> None:
    found = choose(said(one=2.0, two=2.0), group("one"), group("two"))
    assert weights(found).keys() == {"one", "two"}
    assert sum(each.weight for each in found.members) == pytest.approx(1.0)
    assert found.validation.loss < found.winner_validation.loss
    assert found.comparison.difference > 0.05
    assert found.comparison.verdict == found.runs_comparison.verdict == "better"
    assert found.comparison.ci95[0] > 0
    assert "is better than the single winner on the test rows: +0." in found.statement
    assert "chosen on validation" in found.statement


def test_where_no_other_helps_it_is_all_the_runs_of_one() -> None:
    found = choose(said(good=4.0, noise=0.0), group("good"), group("noise"))
    assert [each.trial_id for each in found.members] == ["x-good-s0", "x-good-s1"]
    assert [each.weight for each in found.members] == [0.5, 0.5]
    assert found.validation == found.winner_validation


def test_the_test_rows_have_no_say_in_the_choice() -> None:
    known = said(one=2.0, two=2.5, three=1.0)
    groups = group("one"), group("two"), group("three")
    turned = {
        key: Predictions(each.rows, -each.outputs) if key[1] == "test" else each
        for key, each in known.items()
    }
    assert choose(turned, *groups).members == choose(known, *groups).members


def test_its_score_on_test_is_that_of_the_weighted_probabilities() -> None:
    known = said(one=2.0, two=2.5)
    found = choose(known, group("one"), group("two"))
    together = sum(
        each.weight * answers_of(known[each.trial_id, "test"].outputs, "classification")
        for each in found.members
    )
    right = decided(together, "classification") == CLASSES[TEST]
    assert found.test.metric == pytest.approx(right.mean())
    best = decided(known["x-one-s0", "test"].outputs, "classification") == CLASSES[TEST]
    assert found.comparison.difference == pytest.approx(right.mean() - best.mean())


def test_predictions_of_a_regression_are_averaged_as_they_are() -> None:
    target = np.random.default_rng(5).normal(size=NUM_ROWS).astype(np.float32)
    truth = Truth(target, "regression", "rmse", target_sd=50.0)
    found: Said = {}
    for seed, error in ((0, 0.3), (1, -0.3)):
        for part, rows in (("validation", VALIDATION[seed]), ("test", TEST)):
            found[f"x-one-s{seed}", part] = Predictions(rows, target[rows, None] + error)
    chosen = choose(found, group("one"), truth=truth)
    assert chosen.test.metric == pytest.approx(0.0, abs=1e-5)
    assert chosen.comparison.difference == pytest.approx(-15.0, rel=1e-5)
    assert chosen.comparison.verdict == "better"


def test_it_says_what_it_costs() -> None:
    known = said(one=2.0, two=2.0)
    found = choose(known, group("one"), group("two", num_parameters=40))
    assert (found.num_parameters, found.cost_factor) == (100, 10.0)
    unknown = choose(known, group("one", num_parameters=0), group("two", num_parameters=0))
    assert unknown.cost_factor == 4.0
    assert all("config" not in member for member in found.to_json()["members"])


def test_a_configuration_that_lacks_a_seed_or_a_number_doesn_t_join() -> None:
    known = said(one=2.0, two=2.0, three=2.0)
    known["x-three-s1", "validation"].outputs[0, 0] = np.nan
    found = choose(known, group("one"), group("two", seeds=(0,)), group("three"))
    assert weights(found).keys() == {"one"}


def test_without_predictions_or_with_a_single_run_there_is_none() -> None:
    with pytest.raises(NoEnsemble, match="wasn't kept; more than 256 MiB"):
        choose({}, group("one"))
    with pytest.raises(NoEnsemble, match="a single run"):
        choose(said(one=2.0), group("one", seeds=(0,)))
    known = said(one=2.0)
    known["x-one-s1", "test"].outputs[0] = np.inf
    with pytest.raises(NoEnsemble, match="isn't finite"), np.errstate(invalid="ignore"):
        choose(known, group("one"))


@settings(max_examples=25)
@given(st.lists(st.floats(0, 3), min_size=1, max_size=4), st.integers(0, 99))
def test_the_choice_is_never_worse_than_the_best_alone(signals: list[float], seed: int) -> None:
    answers = [
        [
            answers_of(logits(signal, seed + 10 * number + place)[rows], "classification")
            for place, rows in enumerate(VALIDATION)
        ]
        for number, signal in enumerate(signals)
    ]

    def loss(place: int, given: np.ndarray) -> float:
        return TRUTH.loss(given, VALIDATION[place])

    chosen = greedy_weights(answers, loss)
    assert chosen.sum() == pytest.approx(1.0)
    alone = min(np.mean([loss(p, each) for p, each in enumerate(runs)]) for runs in answers)
    averaged = [sum(w * runs[p] for w, runs in zip(chosen, answers, strict=True)) for p in (0, 1)]
    assert np.mean([loss(p, each) for p, each in enumerate(averaged)]) <= alone * (1 + MIN_GAIN)


def test_copies_of_one_configuration_are_not_worth_another_model() -> None:
    runs = [answers_of(logits(2.0, p)[rows], "classification") for p, rows in enumerate(VALIDATION)]
    chosen = greedy_weights([runs, runs], lambda p, given: TRUTH.loss(given, VALIDATION[p]))
    assert chosen.tolist() == [1.0, 0.0]
