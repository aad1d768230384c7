"""Differences on the test rows, with the interval that other rows would give."""

import numpy as np
import pytest
import torch

from search.insight import resample
from search.insight.resample import resample as resampled
from search.insight.truth import Truth
from search.training.predictions import answers_of
from search.training.scoring import METRICS, measure, score

ROWS = 400
GENERATOR = np.random.default_rng(3)
CLASSES = GENERATOR.integers(0, 5, ROWS)


def classifier(accuracy: float) -> np.ndarray:
    right = GENERATOR.random(ROWS) < accuracy
    return np.where(right, CLASSES, (CLASSES + 1) % 5)


def judge(metric: str, sd: float = 1.0) -> Truth:
    return Truth(CLASSES, METRICS[metric].task, metric, sd)


def test_an_accuracy_s_interval_is_as_wide_as_its_paired_standard_error() -> None:
    one, two = classifier(0.9), classifier(0.8)
    difference, (low, high) = resampled(judge("accuracy"), CLASSES, [one, two]).difference(0, [1])
    paired = (one == CLASSES).astype(float) - (two == CLASSES)
    assert difference == pytest.approx(paired.mean())
    error = paired.std() / np.sqrt(ROWS)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.15)
    assert (high + low) / 2 == pytest.approx(difference, abs=error / 2)


def test_the_same_seed_is_the_same_interval_and_equal_models_have_none() -> None:
    models = [classifier(0.9), classifier(0.8)]
    first, again = (
        resampled(judge("accuracy"), CLASSES, models).difference(0, [1]) for _ in range(2)
    )
    assert first == again
    same = resampled(judge("accuracy"), CLASSES, [models[0], models[0]])
    assert same.difference(0, [1]) == (0.0, (0.0, 0.0))
    assert same.difference(0, [0, 1])[0] == 0.0


def test_few_rows_that_stand_for_many_give_the_many_s_interval(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resample, "NUM_DRAWS", 400)
    truth = GENERATOR.normal(size=4_000)
    models = [truth + GENERATOR.normal(size=4_000) * scale for scale in (1.0, 1.1)]

    full = resampled(judge("rmse"), truth, models).difference(0, [1])
    monkeypatch.setattr(resample, "MAX_ROWS", 800)
    part = resampled(judge("rmse"), truth, models).difference(0, [1])
    assert part[0] == full[0]
    assert np.ptp(part[1]) == pytest.approx(np.ptp(full[1]), rel=0.2)


@pytest.mark.parametrize("metric", METRICS)
def test_a_row_that_counts_twice_is_two_rows(metric: str) -> None:
    one, counts = classifier(0.7), GENERATOR.integers(1, 4, ROWS)
    twice = measure(metric, CLASSES.repeat(counts), one.repeat(counts), target_sd=3.0)
    assert measure(metric, CLASSES, one, counts, target_sd=3.0) == pytest.approx(twice)


@pytest.mark.parametrize("metric", [name for name, each in METRICS.items() if each.by_row])
def test_a_mean_over_rows_is_drawn_as_any_metric_is(
    metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resample, "NUM_DRAWS", 50)
    models = [classifier(0.9), classifier(0.7)]
    quick = resampled(judge(metric, 3.0), CLASSES, models).draws
    monkeypatch.setattr(Truth, "by_row", lambda *_: None)
    assert resampled(judge(metric, 3.0), CLASSES, models).draws == pytest.approx(quick)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_answers_are_scored_as_training_scores_outputs(task) -> None:
    regression = task == "regression"
    outputs = GENERATOR.normal(size=(ROWS, 1 if regression else 5)).astype(np.float32)
    values = GENERATOR.normal(size=ROWS).astype(np.float32) if regression else CLASSES
    metric = "mae" if regression else "balanced_accuracy"
    found = Truth(values, task, metric, 2.0).score(answers_of(outputs, task), np.arange(ROWS))
    wanted = score(
        torch.from_numpy(outputs), torch.from_numpy(values), task=task, metric=metric, target_sd=2.0
    )
    assert (found.loss, found.metric) == pytest.approx(wanted, rel=1e-5)
