"""Boosted trees as a training: rounds as the budget, exact resume, threads, what comes out."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xgboost
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trainings import (
    Small,
    each_resumed,
    finish,
    losses,
    make_job,
    numbers,
    opened,
    regression,
    resumed,
    table,
    trained,
    trained_with_saves,
    two_classes,
)

from search.space import Config
from search.task import load_model
from search.training.job import Job
from search.training.predictor import kept_file, load_predictor

XGB = load_model("models.xgb")
ROUNDS = (1, 5, 12, 20, 40)
EVERY = pytest.mark.parametrize("make_small", [table, two_classes, regression])
SAMPLED = {"subsample": 0.5, "colsample_bytree": 0.5, "colsample_bylevel": 0.5}


def config_of(small: Small, **changes: Any) -> Config:
    return {**XGB.defaults(small.spec)[0].config, **changes}


def rounds_job(small: Small, rounds: tuple[int, ...] = ROUNDS, **changes: Any) -> Job:
    points = tuple(number * len(small.rows.train) for number in rounds)
    return make_job(small, config_of(small, **changes), points=points)


@EVERY
def test_it_learns_and_counts_rounds_times_rows(make_small) -> None:
    small = make_small()
    session = trained(rounds_job(small, learning_rate=0.1), XGB, small)
    assert [each.samples_seen for each in session.evaluations] == [
        number * len(small.rows.train) for number in ROUNDS
    ]
    train = [each.train_loss for each in session.evaluations]
    assert train == sorted(train, reverse=True)
    classes = small.spec.num_outputs
    chance = math.log(classes) if small.spec.task == "classification" else 1.0
    assert min(losses(session)) < 0.8 * chance
    assert {each.learning_rate for each in session.evaluations} == {0.1}
    assert session.outcome().status == "completed"
    assert session.outcome().test is not None


@EVERY
def test_it_resumes_exactly_with_all_sampling_on(make_small, tmp_path: Path) -> None:
    small = make_small()
    job = rounds_job(small, **SAMPLED)
    whole, paths = trained_with_saves(job, XGB, small, tmp_path)
    expected = numbers(whole)
    assert all(out == expected for out in each_resumed(paths, job, XGB, small))


@EVERY
def test_what_it_leaves_predicts_the_same_bit_for_bit(make_small, tmp_path: Path) -> None:
    small = make_small()
    job = replace(rounds_job(small, **SAMPLED), keep_best=True)
    session, paths = trained_with_saves(job, XGB, small, tmp_path)
    again = finish(resumed(paths[1], job, XGB, small))
    for number, each in enumerate((session, again)):
        each.save_model(tmp_path / str(number))
        kept = kept_file(tmp_path / str(number))
        predictor = load_predictor(XGB, job.config, small.spec, kept, torch.device("cpu"))
        for part, said in session.predictions().items():
            outputs = predictor.outputs(small.data, getattr(small.rows, part))
            assert np.array_equal(outputs, said.outputs)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(0, 1), min_size=10, max_size=10), st.integers(1, 30))
def test_any_configuration_resumes_exactly(tmp_path: Path, unit: list[float], cut: int) -> None:
    small = table()
    config = XGB.space(small.spec).from_unit(unit)
    job = rounds_job(small, (cut, 31), **config)
    whole, paths = trained_with_saves(job, XGB, small, tmp_path)
    first = next(each_resumed(paths, job, XGB, small))
    assert first == numbers(whole)


def test_where_it_is_evaluated_on_the_way_hardly_matters() -> None:
    small = table()
    often = trained(rounds_job(small, tuple(range(1, 41)), **SAMPLED), XGB, small)
    once = trained(rounds_job(small, (40,), **SAMPLED), XGB, small)
    assert losses(often)[-1] == pytest.approx(losses(once)[-1], rel=0.3)


def test_its_seed_counts() -> None:
    small = table()
    job = rounds_job(small, **SAMPLED)
    first, again = (losses(trained(job, XGB, small)) for _ in range(2))
    assert first == again
    other = make_job(small, job.config, points=job.points, seed=2)
    assert losses(trained(other, XGB, small)) != first


def test_points_below_a_round_have_the_first_one() -> None:
    small = table()
    points = (10, 20, len(small.rows.train))
    session = trained(make_job(small, config_of(small), points=points), XGB, small)
    assert [each.samples_seen for each in session.evaluations] == [len(small.rows.train)] * 3
    assert len(set(losses(session))) == 1


@EVERY
def test_it_predicts_what_xgboost_alone_does(make_small) -> None:
    small = make_small()
    job = rounds_job(small)
    session = trained(job, XGB, small)
    task = {"objective": "reg:squarederror"}
    if small.spec.task == "classification":
        task = {"objective": "multi:softprob", "num_class": small.spec.num_outputs}
        if small.spec.num_outputs == 2:
            task = {"objective": "binary:logistic"}
    (x, y), (held, _) = (arrays(small, rows) for rows in (small.rows.train, small.rows.test))
    types = ["q"] * small.spec.num_numeric + ["c"] * len(small.spec.categories)
    made = [
        xgboost.DMatrix(each, label=label, feature_types=types, enable_categorical=True)
        for each, label in ((x, y), (held, None))
    ]
    parameters = {**job.config, **task, "tree_method": "hist", "nthread": 1}
    best = min(session.evaluations, key=lambda each: each.validation_loss).evaluation
    alone = xgboost.train(parameters, made[0], num_boost_round=ROUNDS[best - 1])
    expected = alone.predict(made[1])
    found = torch.from_numpy(session.predictions()["test"].outputs)
    if small.spec.task == "classification":
        found = found.softmax(dim=1)
        found = found[:, 1] if small.spec.num_outputs == 2 else found
    np.testing.assert_allclose(found.numpy().squeeze(), expected, rtol=1e-4, atol=1e-5)


def arrays(small: Small, rows: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    inputs, target = small.data.batch(rows)
    return np.hstack([each.numpy().astype(np.float32) for each in inputs]), target.numpy()


def test_it_takes_as_many_threads_as_the_trial_has() -> None:
    small = table()
    before = torch.get_num_threads()
    try:
        for threads in (2, 1):
            torch.set_num_threads(threads)
            session = opened(rounds_job(small, (1, 2)), XGB, small)
            next(session.run())
            booster = session.state()["own"][1]
            known = json.loads(booster.save_config())["learner"]["generic_param"]
            assert int(known["nthread"]) == threads
    finally:
        torch.set_num_threads(before)


def test_a_loop_without_batches_is_measured_by_whole_rounds() -> None:
    from search.training.speed import measure_speed

    small = table()
    speed = measure_speed(
        XGB, config_of(small), small.spec, small.data, small.rows, metric="accuracy", seconds=0.05
    )
    assert speed.samples_per_second > len(small.rows.train)
    assert speed.eval_seconds > 0
