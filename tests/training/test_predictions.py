"""What a trained model says of rows that it hasn't seen is what its evaluations scored."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from trainings import (
    MLP,
    Small,
    finish,
    make_job,
    regression,
    resumed,
    small_config,
    table,
    trained,
)

from search.task import ModelModule, load_model
from search.training import predictions
from search.training.predictions import Predictions, read_predictions, save_predictions
from search.training.scoring import score
from search.training.sessions import Session, open_session, save_state

BOOSTING = load_model(str(Path(__file__).with_name("own_boosting.py")))
BOOSTED: dict[str, Any] = {"learning_rate": 0.1, "max_depth": 2, "subsample": 0.5}


def config_of(model: ModelModule, small: Small) -> dict[str, Any]:
    return BOOSTED if model is BOOSTING else small_config(model, small)


def scored(small: Small, said: Predictions) -> tuple[float, float]:
    target = small.data.batch(torch.from_numpy(said.rows))[1]
    job = make_job(small, {})
    return score(
        torch.from_numpy(said.outputs),
        target,
        task=small.spec.task,
        metric=job.metric,
        target_sd=job.target_sd,
    )


def best_of(session: Session) -> tuple[float, float]:
    best = min(session.evaluations, key=lambda each: each.validation_loss)
    return best.validation_loss, best.validation_metric


@pytest.mark.parametrize("model", [MLP, BOOSTING], ids=["network", "own loop"])
@pytest.mark.parametrize("small", [table(), regression()], ids=["classes", "regression"])
def test_they_score_as_the_best_evaluation_and_the_test_did(
    model: ModelModule, small: Small
) -> None:
    session = trained(make_job(small, config_of(model, small)), model, small)
    test = session.outcome().test
    said = session.predictions()
    assert scored(small, said["validation"]) == pytest.approx(best_of(session))
    assert test is not None
    assert scored(small, said["test"]) == pytest.approx(test)


def test_an_own_loop_that_is_resumed_keeps_what_its_best_evaluation_said(tmp_path: Path) -> None:
    small = table()
    job = make_job(small, BOOSTED)
    session = open_session(job, BOOSTING, small.data, small.rows)
    next(session.run())
    save_state(tmp_path / "state.pt", session.state())
    later = finish(resumed(tmp_path / "state.pt", job, BOOSTING, small))
    through = trained(job, BOOSTING, small)
    for part, said in through.predictions().items():
        assert np.array_equal(later.predictions()[part].outputs, said.outputs)


def test_a_file_gives_back_what_was_saved(tmp_path: Path) -> None:
    said = Predictions(np.arange(3), np.arange(6, dtype=np.float32).reshape(3, 2))
    assert save_predictions(tmp_path / "c1", {"validation": said})
    (part, found), *others = read_predictions(tmp_path / "c1").items()
    assert (part, others) == ("validation", [])
    assert np.array_equal(found.rows, said.rows)
    assert np.array_equal(found.outputs, said.outputs)


def test_none_are_kept_where_there_are_none_or_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictions, "MAX_BYTES", 23)
    said = Predictions(np.arange(3), np.zeros((3, 2), np.float32))
    assert not save_predictions(tmp_path, {"validation": said})
    assert not save_predictions(tmp_path, {})
    assert read_predictions(tmp_path) == {}
