import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import root_mean_squared_error
from trainings import (
    Small,
    each_resumed,
    finish,
    images,
    losses,
    make_job,
    numbers,
    opened,
    regression,
    resumed,
    table,
    trained,
    trained_with_saves,
)

from search.errors import ModelError
from search.task import ModelModule, load_model
from search.training.job import Job
from search.training.own_loop import OwnLoopSession
from search.training.predictor import load_predictor
from search.training.sessions import save_state
from search.training.speed import measure_speed

BOOSTING = load_model(str(Path(__file__).with_name("own_boosting.py")))
CONFIG = {"learning_rate": 0.1, "max_depth": 2, "subsample": 0.5}
CPU = torch.device("cpu")
POINTS = (200, 1000, 2000, 4000)  # of 200 rows: 1, 5, 10 and 20 trees


def boosting_job(small: Small, **changes: Any) -> Job:
    return make_job(small, CONFIG, **{"points": POINTS, **changes})


def own_model(train: Any) -> ModelModule:
    """Return the boosting model with another loop."""
    module = type(BOOSTING.module)("own_model")
    module.train = train
    return ModelModule("own.py", module)


def metrics(loss: float, **changes: Any) -> dict[str, Any]:
    values = {
        f"{part}_{what}": loss for part in ("train", "validation") for what in ("loss", "metric")
    }
    return {"samples_seen": 200, **values, **changes}


def yielding(*yielded: Any) -> ModelModule:
    def train(config, data, budget, *, seed, state=None):
        yield from yielded

    return own_model(train)


@pytest.mark.parametrize("make_small", [table, images, regression])
def test_a_loop_of_ones_own_trains_to_its_budget(make_small) -> None:
    small = make_small()
    session = trained(boosting_job(small), BOOSTING, small)
    assert isinstance(session, OwnLoopSession)
    assert [each.point for each in session.evaluations] == list(POINTS)
    assert [each.samples_seen for each in session.evaluations] == list(POINTS)
    train = [each.train_loss for each in session.evaluations]
    assert train == sorted(train, reverse=True)
    assert session.outcome().status == "completed"
    assert session.outcome().reason == "trained for its whole budget"
    assert session.vitals().train_seconds > 0


@pytest.mark.parametrize("make_small", [table, regression])
def test_it_resumes_exactly_after_every_evaluation(make_small, tmp_path: Path) -> None:
    small = make_small()
    job = boosting_job(small)
    whole, paths = trained_with_saves(job, BOOSTING, small, tmp_path)
    expected = numbers(whole)
    assert all(out == expected for out in each_resumed(paths, job, BOOSTING, small))


def test_its_seed_counts() -> None:
    small = table()
    job = boosting_job(small)
    first, again, other = (
        losses(trained(replace(job, seed=seed), BOOSTING, small)) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_its_metric_is_in_the_targets_own_unit() -> None:
    small = regression()
    session = trained(boosting_job(small), BOOSTING, small)
    sd = small.dataset.preparation.target_scale[1]
    for each in session.evaluations:
        assert each.validation_metric == pytest.approx(sd * math.sqrt(each.validation_loss))


def test_the_test_outcome_is_that_of_the_best_evaluation() -> None:
    small, seen = regression(), []
    target = small.data.batch(small.rows.test)[1].numpy()
    sd = small.dataset.preparation.target_scale[1]

    def train(config, data, budget, *, seed, state=None):
        for guess in (1.0, 0.0, 1.2, 1.5):
            predict = lambda inputs, g=guess: np.full(len(inputs["numeric"]), g)  # noqa: E731
            found = data.evaluate(predict, samples_seen=200)
            seen.append("test_loss" in found)
            yield found, None

    session = trained(boosting_job(small), own_model(train), small)
    expected = sd * root_mean_squared_error(target, np.zeros_like(target))
    test = session.outcome().test
    assert test is not None
    assert test[1] == pytest.approx(expected, rel=1e-5)
    assert seen == [True, True, False, False], "what is no better isn't tested"


def test_a_look_in_between_does_not_cost_the_test() -> None:
    small = table()

    def train(config, data, budget, *, seed, state=None):
        for _ in budget.points:
            predict = lambda inputs: np.zeros((len(inputs["numeric"]), 3))  # noqa: E731
            data.evaluate(predict, samples_seen=200)
            yield data.evaluate(predict, samples_seen=200), None

    session = trained(boosting_job(small), own_model(train), small)
    assert session.outcome().test == pytest.approx((math.log(3), 0.5), abs=0.3)


def test_early_stopping_ends_it() -> None:
    small = table()
    model = yielding(*((metrics(loss), None) for loss in (1.0, 2.0, 3.0, 4.0)))
    job = boosting_job(small, points=(100, 200, 300, 400), early_stopping=True)
    session = trained(job, model, small)
    assert losses(session) == [1.0, 2.0, 3.0]
    assert session.outcome().reason == "early stop: no better validation loss since 100 samples"


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_fails_it_without_a_test(loss: float) -> None:
    small = table()
    good = metrics(1.0, test_loss=1.0, test_metric=0.5)
    model = yielding((good, None), (metrics(loss), None), (good, None))
    session = trained(boosting_job(small), model, small)
    outcome = session.outcome()
    assert (outcome.status, outcome.test) == ("failed", None)
    assert outcome.reason == f"diverged: train loss is {loss}"
    assert len(session.evaluations) == 2


def test_a_loop_may_end_before_its_budget() -> None:
    small = table()
    session = trained(boosting_job(small), yielding((metrics(1.0), None)), small)
    assert session.outcome().status == "completed"
    assert session.outcome().reason == "its own loop ended"
    assert session.has_ended


def test_a_loop_that_had_ended_has_nothing_left_to_do(tmp_path: Path) -> None:
    small = table()
    job = boosting_job(small)
    session = trained(job, BOOSTING, small)
    save_state(tmp_path / "state.pt", session.state())
    again = resumed(tmp_path / "state.pt", job, BOOSTING, small)
    assert again.has_ended
    assert numbers(finish(again)) == numbers(session)


@pytest.mark.parametrize(
    ("yielded", "says"),
    [
        (metrics(1.0), "yielded dict; yield (metrics, state)"),
        (None, "yielded NoneType; yield (metrics, state)"),
        ((metrics(1.0), None, 3), "yielded tuple; yield (metrics, state)"),
        ((1.0, None), "yielded tuple; yield (metrics, state)"),
        (({"samples_seen": 3}, None), "yielded no 'train_loss'"),
        (({"train_loss": 3}, None), "yielded no 'samples_seen'"),
        ((metrics(1.0, train_loss="low"), None), "yielded train_loss = 'low'"),
        ((metrics(1.0, validation_metric=None), None), "yielded validation_metric = None"),
    ],
)
def test_a_wrong_yield_is_an_error_of_one_line(yielded: Any, says: str) -> None:
    small = table()
    with pytest.raises(ModelError) as caught:
        trained(boosting_job(small), yielding(yielded), small)
    assert says in str(caught.value)
    assert str(caught.value).startswith("model own.py: train() yielded ")
    assert "\n" not in str(caught.value)


def test_a_loop_that_yields_nothing_is_an_error() -> None:
    small = table()
    with pytest.raises(ModelError, match=r"own\.py: train\(\) ended without a yield"):
        trained(boosting_job(small), yielding(), small)


def test_a_loop_that_is_no_generator_is_an_error() -> None:
    small = table()
    model = own_model(lambda config, data, budget, *, seed, state=None: [1, 2])
    with pytest.raises(ModelError, match=r"train\(\) returned list; it must be a generator"):
        opened(boosting_job(small), model, small)


@pytest.mark.parametrize("shape", [(2,), (3, 2), ()])
def test_predictions_of_the_wrong_shape_are_an_error(shape: tuple[int, ...]) -> None:
    small = table()

    def train(config, data, budget, *, seed, state=None):
        yield data.evaluate(lambda inputs: np.zeros(shape), samples_seen=1), None

    with pytest.raises(ModelError, match=r"for 60 rows; it must return \(60, 3\)"):
        trained(boosting_job(small), own_model(train), small)


def keeping(*losses: float) -> tuple[ModelModule, list[Any]]:
    """Return a loop with these losses, and what it was asked to save."""
    model, asked = yielding(*((metrics(loss), loss) for loss in losses)), []

    def save_predictor(state: Any) -> bytes:
        asked.append(state)
        return str(state).encode()

    model.module.save_predictor = save_predictor
    model.module.load_predictor = lambda saved, config, spec: None
    return model, asked


def test_what_predicts_is_kept_of_each_better_evaluation(tmp_path: Path) -> None:
    small = table()
    model, asked = keeping(2.0, 1.0, 3.0, 1.0)
    session = trained(boosting_job(small, keep_best=True), model, small)
    session.save_model(tmp_path / "x")
    assert asked == [2.0, 1.0]
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["model.bin"]
    assert (tmp_path / "x" / "model.bin").read_bytes() == b"1.0"


def test_a_search_does_not_pay_for_it(tmp_path: Path) -> None:
    small = table()
    model, asked = keeping(2.0, 1.0)
    trained(boosting_job(small), model, small).save_model(tmp_path)
    assert (asked, list(tmp_path.iterdir())) == ([], [])


def test_a_loop_without_the_means_keeps_nothing(tmp_path: Path) -> None:
    small = table()
    model = yielding((metrics(1.0), None))
    trained(boosting_job(small, keep_best=True), model, small).save_model(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make_small", [table, regression])
def test_what_predicts_is_the_same_after_a_resume(make_small, tmp_path: Path) -> None:
    small = make_small()
    job = boosting_job(small, keep_best=True)
    whole, paths = trained_with_saves(job, BOOSTING, small, tmp_path)
    whole.save_model(tmp_path / "whole")
    for number, path in enumerate(paths):
        finish(again := resumed(path, job, BOOSTING, small))
        again.save_model(tmp_path / str(number))
        predictors = [
            load_predictor(BOOSTING, CONFIG, small.spec, tmp_path / folder / "model.bin", CPU)
            for folder in ("whole", str(number))
        ]
        said, same = (each.outputs(small.data, small.rows.test) for each in predictors)
        assert np.array_equal(said, same)
        assert np.array_equal(said, whole.predictions()["test"].outputs)


def test_its_speed_is_measured() -> None:
    small = table()
    speed = measure_speed(
        BOOSTING, CONFIG, small.spec, small.data, small.rows, metric="accuracy", seconds=0.01
    )
    assert speed.samples_per_second > 0
    assert speed.eval_seconds > 0


def test_its_evaluations_are_timed_apart(tmp_path: Path) -> None:
    small = table()
    job = boosting_job(small)
    session, paths = trained_with_saves(job, BOOSTING, small, tmp_path)
    spent = [each.eval_seconds for each in session.evaluations]
    assert spent == sorted(spent)
    assert all(each.eval_seconds < each.seconds for each in session.evaluations)
    vitals = session.vitals()
    assert vitals.eval_seconds == spent[-1]
    last = session.evaluations[-1].seconds
    assert vitals.train_seconds + vitals.eval_seconds == pytest.approx(last)
    again = resumed(paths[1], job, BOOSTING, small)
    assert again.vitals().eval_seconds == spent[1]


def test_four_times_the_loss_of_even_guesses_has_diverged() -> None:
    small = table()
    far = 4.1 * math.log(small.spec.num_outputs)
    model = yielding((metrics(0.001), None), (metrics(1.0), None), (metrics(far), None))
    session = trained(boosting_job(small), model, small)
    assert session.outcome().status == "failed"
    assert "4 x the initial" in session.outcome().reason
    assert len(session.evaluations) == 3
