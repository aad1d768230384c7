import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from search.errors import StudyError
from search.training.scoring import METRICS, loss_function, resolve_metric, score

CLASSES, SD = 4, 7.5
OF_CLASSES = {
    "accuracy": metrics.accuracy_score,
    "balanced_accuracy": metrics.balanced_accuracy_score,
    "f1_macro": lambda truth, guess: metrics.f1_score(truth, guess, average="macro"),
}
OF_NUMBERS = {
    "rmse": metrics.root_mean_squared_error,
    "mae": metrics.mean_absolute_error,
    "r2": metrics.r2_score,
}


def test_every_metric_is_tested_here() -> None:
    assert set(METRICS) == set(OF_CLASSES) | set(OF_NUMBERS)


@pytest.mark.parametrize("metric", OF_CLASSES)
@given(seed=st.integers(0, 1000), size=st.integers(1, 60))
def test_a_classification_is_scored_as_scikit_learn_does(metric: str, seed: int, size: int) -> None:
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(size, CLASSES)).astype(np.float32)
    truth = generator.integers(CLASSES, size=size)
    loss, value = score(
        torch.from_numpy(logits), torch.from_numpy(truth), task="classification", metric=metric
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = OF_CLASSES[metric](truth, logits.argmax(axis=1))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert value == pytest.approx(expected)
    assert loss == pytest.approx(
        metrics.log_loss(truth, probabilities, labels=range(CLASSES)), rel=1e-4
    )


@pytest.mark.parametrize("metric", OF_NUMBERS)
@given(seed=st.integers(0, 1000), size=st.integers(2, 60))
def test_a_regression_is_scored_in_the_targets_own_unit(metric: str, seed: int, size: int) -> None:
    generator = np.random.default_rng(seed)
    outputs = generator.normal(size=(size, 1)).astype(np.float32)
    truth = generator.normal(size=size).astype(np.float32)
    loss, value = score(
        torch.from_numpy(outputs),
        torch.from_numpy(truth),
        task="regression",
        metric=metric,
        target_sd=SD,
    )
    # Whatever the mean is that the standardisation took away.
    exact, guess = truth.astype(np.float64), outputs[:, 0].astype(np.float64)
    expected = OF_NUMBERS[metric](exact * SD + 100.0, guess * SD + 100.0)
    assert value == pytest.approx(expected, rel=1e-6)
    assert loss == pytest.approx(metrics.mean_squared_error(truth, outputs[:, 0]), rel=1e-4)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("metric", METRICS)
def test_the_metric_of_outputs_that_are_not_finite_is_nan(metric: str, bad: float) -> None:
    task = METRICS[metric].task
    width = CLASSES if task == "classification" else 1
    outputs, target = torch.zeros(5, width), torch.zeros(5)
    outputs[2, 0] = bad
    target = target.long() if task == "classification" else target
    loss, value = score(outputs, target, task=task, metric=metric)
    assert math.isnan(value)
    assert not math.isfinite(loss)


@pytest.mark.parametrize("metric", OF_NUMBERS)
def test_huge_outputs_that_are_finite_have_a_finite_metric(metric: str) -> None:
    outputs, target = torch.full((5, 1), 1e30), torch.arange(5.0)
    loss, value = score(outputs, target, task="regression", metric=metric)
    assert loss == math.inf
    expected = {"rmse": 1e30, "mae": 1e30, "r2": -5e60 / 10}
    assert value == pytest.approx(expected[metric], rel=1e-4)


@pytest.mark.parametrize("metric", OF_CLASSES)
@pytest.mark.parametrize("guess", [0, 1])
def test_a_slice_of_a_single_class_is_scored_without_a_warning(metric: str, guess: int) -> None:
    outputs = torch.eye(CLASSES)[[guess] * 30]
    target = torch.zeros(30, dtype=torch.long)
    _, value = score(outputs, target, task="classification", metric=metric)
    assert value == (1.0 if guess == 0 else 0.0)


@pytest.mark.parametrize("metric", OF_CLASSES)
def test_a_few_rows_of_many_classes_are_scored_without_a_warning(metric: str) -> None:
    _, value = score(torch.eye(40), torch.arange(40), task="classification", metric=metric)
    assert value == 1.0


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_says_which_way_is_better(name: str) -> None:
    metric = METRICS[name]
    truth = np.array([0, 1, 2, 1, 0])
    perfect, poor = metric.score(truth, truth), metric.score(truth, np.array([1, 0, 1, 2, 2]))
    assert (perfect > poor) == (metric.mode == "max")
    assert metric.scales == (name in ("rmse", "mae"))


def test_each_task_has_its_usual_metric() -> None:
    assert resolve_metric(None, "classification") == "accuracy"
    assert resolve_metric(None, "regression") == "rmse"
    assert resolve_metric("f1_macro", "classification") == "f1_macro"


@pytest.mark.parametrize(
    ("name", "task", "says"),
    [
        ("acuracy", "classification", "did you mean 'accuracy'"),
        ("rmse", "classification", "metric 'rmse' isn't one for classification"),
        ("accuracy", "regression", "known: rmse, mae, r2"),
    ],
)
def test_a_metric_that_does_not_fit_names_those_that_do(name: str, task, says: str) -> None:
    with pytest.raises(StudyError, match=says):
        resolve_metric(name, task)


def test_the_training_losses_are_torchs() -> None:
    logits, target = torch.randn(8, 3), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    expected = torch.nn.functional.cross_entropy(logits, target)
    assert torch.equal(loss_function("classification")(logits, target), expected)
    outputs, numbers = torch.randn(8, 1), torch.randn(8)
    # (8, 1) against (8,) would quietly spread out to (8, 8).
    expected = ((outputs[:, 0] - numbers) ** 2).mean()
    torch.testing.assert_close(loss_function("regression")(outputs, numbers), expected)
