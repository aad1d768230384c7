import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.metrics import accuracy_score, root_mean_squared_error
from trainings import (
    CNN,
    MLP,
    POINTS,
    Small,
    few_rows,
    images,
    losses,
    make_job,
    numbers,
    opened,
    regression,
    small_config,
    table,
    trained,
)

from search.speed import SpeedLimit
from search.task import ModelModule
from search.training import stopping
from search.training.job import NOT_ENDED, Job
from search.training.network import load_network
from search.training.session import WEIGHTS, NetworkSession
from search.training.stopping import DIVERGED, PATIENCE


def session_of(job: Job, model: ModelModule, small: Small) -> NetworkSession:
    session = trained(job, model, small)
    assert isinstance(session, NetworkSession)
    return session


def overfitting(points: tuple[int, ...], **changes: Any) -> tuple[Job, Small]:
    """A training whose validation loss soon rises: it learns sixty rows and their noise."""
    small = few_rows(table(), 60)
    config = small_config(MLP, small, optimizer="adam", learning_rate_adam=0.005, num_units=24)
    return make_job(small, config, points=points, **changes), small


@pytest.mark.parametrize(("model", "make_small"), [(MLP, table), (MLP, regression), (CNN, images)])
def test_training_lowers_the_loss(model: ModelModule, make_small) -> None:
    small = make_small()
    config = small_config(model, small, optimizer="adam", learning_rate_adam=0.01)
    first, last = session_of(make_job(small, config, points=(64, 3000)), model, small).evaluations
    assert last.train_loss < first.train_loss
    assert last.validation_loss < first.validation_loss


def test_evaluations_come_at_the_points_and_the_budget_ends_it() -> None:
    small = table()
    job = make_job(small, small_config(MLP, small, batch_size=64), points=(64, 150, 400))
    session = session_of(job, MLP, small)
    assert [each.point for each in session.evaluations] == [64, 150, 400]
    assert [each.evaluation for each in session.evaluations] == [1, 2, 3]
    assert [each.samples_seen for each in session.evaluations] == [64, 192, 448]
    assert session.outcome().status == "completed"
    assert session.outcome().reason == "trained for its whole budget"
    with pytest.raises(StopIteration):
        next(session.run())


def test_a_training_that_was_broken_off_says_so_and_has_no_test() -> None:
    small = table()
    session = opened(make_job(small, small_config(MLP, small)), MLP, small)
    next(session.run())
    assert session.outcome() == NOT_ENDED


def test_a_batch_larger_than_the_data_is_all_of_them() -> None:
    few = few_rows(table(), 20)
    session = session_of(make_job(few, small_config(MLP, few), points=(20, 60)), MLP, few)
    assert [each.samples_seen for each in session.evaluations] == [20, 60]


def test_the_best_checkpoint_by_validation_loss_is_tested_and_kept() -> None:
    job, small = overfitting(tuple(range(200, 4001, 200)))
    session = session_of(job, MLP, small)
    best = min(session.evaluations, key=lambda each: each.validation_loss)
    assert best is not session.evaluations[-1], "else this shows nothing"
    # A training that ends there ends with those weights: the schedule is constant.
    points = tuple(point for point in job.points if point <= best.point)
    until = session_of(make_job(small, job.config, points=points), MLP, small)
    assert session.outcome().test == until.outcome().test
    assert numbers(session)["weights"] == numbers(until)["weights"]


def test_the_test_outcome_is_what_scikit_learn_says_of_the_kept_weights() -> None:
    job, small = overfitting((200, 400, 3000))
    session = session_of(job, MLP, small)
    test = session.outcome().test
    network = MLP.build(job.config, small.spec)
    network.load_state_dict(session.weights())
    inputs, target = small.data.batch(small.rows.test)
    with torch.no_grad():
        outputs = network.eval()(*inputs)
    loss = float(torch.nn.functional.cross_entropy(outputs, target))
    assert test == pytest.approx((loss, accuracy_score(target, outputs.argmax(1))))


def test_without_test_rows_there_is_no_test() -> None:
    small = table()
    small = replace(small, rows=replace(small.rows, test=None))
    outcome = session_of(make_job(small, small_config(MLP, small)), MLP, small).outcome()
    assert (outcome.status, outcome.test) == ("completed", None)


def test_a_third_of_the_budget_without_a_better_loss_stops_it_early() -> None:
    job, small = overfitting(tuple(range(100, 6001, 100)), early_stopping=True)
    session = session_of(job, MLP, small)
    best = min(session.evaluations, key=lambda each: each.validation_loss)
    waited = session.evaluations[-1].point - best.point
    assert PATIENCE * 6000 <= waited < PATIENCE * 6000 + 100
    outcome = session.outcome()
    assert outcome.status == "completed"
    assert outcome.reason == f"early stop: no better validation loss since {best.point} samples"
    assert outcome.test is not None


def test_early_stopping_can_be_switched_off() -> None:
    job, small = overfitting(tuple(range(100, 6001, 100)), early_stopping=False)
    session = session_of(job, MLP, small)
    assert len(session.evaluations) == len(job.points)
    assert session.outcome().reason == "trained for its whole budget"


@pytest.mark.parametrize("make_small", [table, regression])
@pytest.mark.parametrize("rate", [1e6, 1e30])
def test_a_far_too_high_learning_rate_fails_with_its_reason(make_small, rate: float) -> None:
    small = make_small()
    config = small_config(MLP, small) | {"learning_rate_sgd": rate}
    session = session_of(make_job(small, config), MLP, small)
    outcome = session.outcome()
    assert (outcome.status, outcome.test) == ("failed", None)
    assert outcome.reason.startswith("diverged: ")
    assert "\n" not in outcome.reason
    assert len(session.evaluations) == 1


def test_a_loss_of_four_times_the_first_one_fails_before_it_is_infinite() -> None:
    small = table()
    config = small_config(MLP, small, normalization="batch") | {"learning_rate_sgd": 300.0}
    session = session_of(make_job(small, config), MLP, small)
    last = session.evaluations[-1]
    assert math.isfinite(last.train_loss)
    assert f"is above {DIVERGED:g} x the initial" in session.outcome().reason


def test_a_few_outliers_among_the_training_rows_are_no_divergence() -> None:
    """They carry the variance of a skewed target: who predicts the mean is far from all of them."""
    small = regression()
    targets = small.data.target(torch.arange(len(small.data._target)))
    order = targets.abs().argsort()
    rows = replace(small.rows, probe=order[-60:], validation=order[:80], train=order[-260:-60])
    small = replace(small, rows=rows)
    config = small_config(MLP, small) | {"learning_rate_sgd": 1e-5}
    assert session_of(make_job(small, config), MLP, small).outcome().status == "completed"


def test_a_batch_whose_loss_is_infinite_ends_the_training_at_once() -> None:
    small = regression()
    config = small_config(MLP, small, batch_size=32) | {"learning_rate_sgd": 1e30}
    session = session_of(make_job(small, config, points=(96_000,)), MLP, small)
    assert session.evaluations[0].samples_seen < 96_000
    assert session.outcome().reason.startswith("diverged: the loss of a training batch is ")


def test_a_regressions_metric_is_in_the_targets_own_unit() -> None:
    small = regression()
    config = small_config(MLP, small, optimizer="adam", learning_rate_adam=0.01)
    session = session_of(make_job(small, config, points=(1000, 3000)), MLP, small)
    mean, sd = small.dataset.preparation.target_scale
    assert 60 < sd < 90
    for each in session.evaluations:
        assert each.validation_metric == pytest.approx(sd * math.sqrt(each.validation_loss))
    outcome = session.outcome()
    predicted, target = session.predict(small.rows.test)
    error = root_mean_squared_error(target * sd + mean, predicted[:, 0] * sd + mean)
    assert outcome.test is not None
    assert outcome.test[1] == pytest.approx(error, rel=1e-5)
    assert error < sd, "it has learnt nothing"


def test_who_promotes_by_the_metric_ranks_by_it_lower_being_better() -> None:
    small, config = table(), {"optimizer": "adam", "learning_rate_adam": 0.01}
    job = make_job(small, small_config(MLP, small, **config), points=(500, 1000))
    by_loss, by_metric = (
        session_of(replace(job, promote_by=by), MLP, small).evaluations for by in ("loss", "metric")
    )
    assert [each.value for each in by_loss] == [each.validation_loss for each in by_metric]
    accuracies = [each.validation_metric for each in by_loss]
    assert [each.value for each in by_metric] == [1.0 - accuracy for accuracy in accuracies]
    error = small_config(MLP, regression(), **config)
    session = session_of(
        replace(make_job(regression(), error, points=(500,)), promote_by="metric"),
        MLP,
        regression(),
    )
    assert session.evaluations[0].value == session.evaluations[0].validation_metric


def test_dropout_and_input_noise_are_off_in_evaluations() -> None:
    small = table()
    config = small_config(MLP, small, dropout=0.7, input_noise=0.4)
    session = session_of(make_job(small, config), MLP, small)
    first, again = (session.predict(small.rows.validation)[0] for _ in range(2))
    assert torch.equal(first, again)


def test_the_vitals_count_parameters_and_seconds() -> None:
    small = table()
    job = make_job(small, small_config(MLP, small))
    session = session_of(job, MLP, small)
    expected = sum(p.numel() for p in MLP.build(job.config, small.spec).parameters())
    vitals = session.vitals()
    assert vitals.num_parameters == expected
    assert vitals.train_seconds > 0
    assert vitals.eval_seconds > 0
    seconds = [each.seconds for each in session.evaluations]
    assert seconds == sorted(seconds)
    assert len(losses(session)) == len(POINTS)


@pytest.mark.parametrize("factor", [2, 5])
def test_a_plateau_that_comes_to_its_floor_ends_the_training(factor: int) -> None:
    small = table()
    # So low a learning rate that no evaluation is better by enough.
    rates = {"learning_rate_sgd": 1e-5, "momentum": 0.0}
    config = small_config(MLP, small, schedule="plateau", plateau_factor=factor, **rates)
    session = session_of(make_job(small, config, points=tuple(range(32, 3201, 32))), MLP, small)
    assert len(session.evaluations) < 100
    assert session.outcome().status == "completed"
    assert session.outcome().reason == "the learning rate has come down to its floor"


@pytest.fixture
def looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "PACE_SECONDS", 0.0)


def test_what_is_too_slow_to_be_proven_ends_before_its_first_evaluation(looks_at_once) -> None:
    small = table()
    job = make_job(small, small_config(MLP, small), speed_limit=SpeedLimit(POINTS[-1], 1e-9))
    session = trained(job, MLP, small)
    assert session.evaluations == []
    outcome = session.outcome()
    assert outcome.status == "stopped"
    assert outcome.reason.startswith("too slow: a full run would take")
    assert session.vitals().samples_seen == 2 * job.config["batch_size"]


def test_a_speed_limit_that_is_kept_changes_nothing(looks_at_once) -> None:
    small = table()
    job = make_job(small, small_config(MLP, small))
    limited = replace(job, speed_limit=SpeedLimit(POINTS[-1], 1e9))
    assert losses(trained(limited, MLP, small)) == losses(trained(job, MLP, small))


def test_a_training_that_is_taken_up_again_isnt_asked_for_its_speed(looks_at_once) -> None:
    small = table()
    job = make_job(small, small_config(MLP, small))
    begun = opened(job, MLP, small)
    next(begun.run())
    limited = replace(job, speed_limit=SpeedLimit(POINTS[-1], 1e-9))
    again = opened(limited, MLP, small, begun.state())
    assert [each.point for each in again.run()] == list(POINTS[1:])


def test_weights_that_a_network_uses_twice_are_kept(tmp_path: Path) -> None:
    small = table()

    class Tied(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            width = small.spec.num_numeric
            self.first, self.second = torch.nn.Linear(width, width), torch.nn.Linear(width, width)
            self.second.weight = self.first.weight
            self.last = torch.nn.Linear(width, small.spec.num_outputs)

        def forward(self, numeric: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
            return self.last(self.second(torch.relu(self.first(numeric))))

    module = type(MLP.module)("tied")
    module.space, module.defaults = MLP.module.space, MLP.module.defaults
    module.build = lambda config, spec: Tied()
    model = ModelModule("tied.py", module)
    session = session_of(make_job(small, small_config(MLP, small)), model, small)
    session.save_model(tmp_path)
    job = session.job
    read = load_network(model, job.config, small.spec, tmp_path / WEIGHTS, torch.device("cpu"))
    assert torch.equal(read.first.weight, session.module.first.weight)
