"""A training that was interrupted gives the same numbers as one that ran through, bit for bit."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trainings import (
    CNN,
    MLP,
    Small,
    each_resumed,
    few_rows,
    finish,
    images,
    make_job,
    narrow_space,
    numbers,
    opened,
    regression,
    resumed,
    small_config,
    table,
    trained,
    trained_with_saves,
)

from search.space import Config
from search.task import ModelModule
from search.training.sessions import save_state

ON_TABLES = [
    {"optimizer": "sgd", "momentum": 0.9, "schedule": "constant", "normalization": "batch"},
    {"optimizer": "sgd", "momentum": 0.0, "schedule": "plateau", "plateau_factor": 5},
    {"optimizer": "adam", "schedule": "step", "dropout": 0.5, "pruning_rate": 0.5},
    {"optimizer": "adam", "schedule": "one_cycle", "l1": 1e-4, "gradient_clip": 0.5},
    {"optimizer": "adamw", "schedule": "cosine", "dropout": 0.3, "normalization": "layer"},
    {"optimizer": "adamw", "schedule": "exponential", "input_noise": 0.4, "pruning_rate": 0.8},
    {"optimizer": "rmsprop", "momentum": 0.5, "schedule": "one_cycle", "dropout": 0.7},
    {"optimizer": "rmsprop", "momentum": 0.0, "schedule": "plateau", "normalization": "batch"},
]
ON_IMAGES = [
    {"optimizer": "sgd", "schedule": "cosine", "normalization": "batch", "pruning_rate": 0.5},
    {"optimizer": "adam", "schedule": "plateau", "normalization": "layer", "flip": "horizontal"},
    {"optimizer": "adamw", "schedule": "one_cycle", "dropout": 0.5, "dense_units": 16},
    {"optimizer": "rmsprop", "schedule": "step", "flip": "horizontal", "pruning_rate": 0.8},
]


def name(given: Config) -> str:
    return "-".join(str(value) for value in given.values())


FEW_POINTS = (96, 192, 288)


def assert_resumes_exactly(config: Config, model: ModelModule, small: Small, folder: Path) -> None:
    job = make_job(small, config, points=FEW_POINTS)
    whole, paths = trained_with_saves(job, model, small, folder)
    expected = numbers(whole)
    for evaluation, came_out in enumerate(each_resumed(paths, job, model, small), start=1):
        assert came_out == expected, f"resumed after evaluation {evaluation}"


@pytest.mark.parametrize("given", ON_TABLES, ids=name)
def test_an_mlp_on_a_table_resumes_exactly_after_every_evaluation(
    given: Config, tmp_path: Path
) -> None:
    small = table()
    assert_resumes_exactly(small_config(MLP, small, **given), MLP, small, tmp_path)


@pytest.mark.parametrize("given", ON_IMAGES, ids=name)
def test_a_cnn_on_images_resumes_exactly_after_every_evaluation(
    given: Config, tmp_path: Path
) -> None:
    small = images()
    assert_resumes_exactly(small_config(CNN, small, **given), CNN, small, tmp_path)


def test_an_mlp_on_a_regression_resumes_exactly(tmp_path: Path) -> None:
    small = regression()
    given = {"schedule": "one_cycle", "dropout": 0.3, "pruning_rate": 0.3}
    assert_resumes_exactly(small_config(MLP, small, **given), MLP, small, tmp_path)


@pytest.mark.parametrize(
    ("model", "make_small"), [(MLP, table), (MLP, images), (MLP, regression), (CNN, images)]
)
@settings(max_examples=6)
@given(data=st.data())
def test_any_point_of_a_models_space_resumes_exactly(model, make_small, data) -> None:
    small = make_small()
    space = narrow_space(model, small.spec)
    axes = len(space.searched)
    config = space.from_unit(data.draw(st.lists(st.floats(0, 1), min_size=axes, max_size=axes)))
    with TemporaryDirectory() as folder:
        assert_resumes_exactly(config, model, small, Path(folder))


def test_a_training_that_is_interrupted_after_each_evaluation_is_the_same(tmp_path: Path) -> None:
    small, path = table(), tmp_path / "state.pt"
    config = small_config(MLP, small, optimizer="adam", schedule="cosine", dropout=0.5)
    job = make_job(small, config)
    session = opened(job, MLP, small)
    while not session.has_ended:
        next(session.run())
        save_state(path, session.state())
        session = resumed(path, job, MLP, small)
    assert numbers(session) == numbers(trained(job, MLP, small))


def test_a_batch_that_crosses_a_point_is_not_trained_twice(tmp_path: Path) -> None:
    small = table()
    config = small_config(MLP, small, batch_size=64, dropout=0.5)
    job = make_job(small, config, points=(10, 20, 100, 130, 333))
    whole, paths = trained_with_saves(job, MLP, small, tmp_path)
    assert [each.samples_seen for each in whole.evaluations] == [64, 64, 128, 192, 384]
    expected = numbers(whole)
    assert all(out == expected for out in each_resumed(paths, job, MLP, small))


def test_a_training_that_had_ended_has_nothing_left_to_do(tmp_path: Path) -> None:
    small = table()
    job = make_job(small, small_config(MLP, small))
    whole, paths = trained_with_saves(job, MLP, small, tmp_path)
    session = resumed(paths[-1], job, MLP, small)
    assert session.has_ended
    assert list(session.run()) == []
    assert numbers(session) == numbers(whole)


def test_the_clock_goes_on_where_it_stood(tmp_path: Path) -> None:
    small = table()
    job = make_job(small, small_config(MLP, small))
    whole, paths = trained_with_saves(job, MLP, small, tmp_path)
    session = resumed(paths[2], job, MLP, small)
    assert session.evaluations == whole.evaluations[:3]
    seconds = [each.seconds for each in finish(session).evaluations]
    assert seconds == sorted(seconds)


def test_early_stopping_remembers_how_long_it_has_waited(tmp_path: Path) -> None:
    small = few_rows(table(), 60)
    points = tuple(range(100, 3001, 100))
    # It learns sixty rows and their noise.
    config = small_config(MLP, small, optimizer="adam", learning_rate_adam=0.005, num_units=24)
    job = replace(make_job(small, config, points=points), early_stopping=True)
    whole, paths = trained_with_saves(job, MLP, small, tmp_path)
    assert len(whole.evaluations) < len(points)
    expected = numbers(whole)
    assert all(out == expected for out in each_resumed(paths[-3:], job, MLP, small))


def test_a_plateau_remembers_how_long_it_has_waited(tmp_path: Path) -> None:
    small = table()
    # So low a learning rate that no evaluation is better by enough.
    config = small_config(MLP, small, schedule="plateau", learning_rate_sgd=1e-5)
    job = make_job(small, config, points=tuple(range(32, 321, 32)))
    whole, paths = trained_with_saves(job, MLP, small, tmp_path)
    rates = {each.learning_rate for each in whole.evaluations}
    assert rates == {1e-5, 5e-6, 2.5e-6}
    expected = numbers(whole)
    assert all(out == expected for out in each_resumed(paths, job, MLP, small))
