"""Does what a training leaves predict what its best evaluation scored?"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from search.data.batches import Resident
from search.errors import ModelError, SieveError, one_line
from search.space import Config
from search.task import Inputs, ModelModule, Spec, load_model
from search.training.job import Job, Rows
from search.training.own_data import inputs_of, outputs_by
from search.training.predictor import kept_file, load_predictor, own_predict
from search.training.sessions import open_session

KEEPS_NOTHING = (
    "the model keeps nothing to predict with: its runs allow neither predictions nor an ensemble"
)
REMEDY = "give it save_predictor and load_predictor (README, 'Your own model')"
_RELATIVE, _ABSOLUTE = 1e-4, 1e-5
"""Another number of threads may add up in another order."""


def look_at_predictor(
    model: ModelModule, job: Job, data: Resident, rows: Rows, *, elsewhere: bool = False
) -> None:
    """Train, keep what the best evaluation was made with, read it back, and predict with it.

    Args:
        model: The module; it can predict.
        job: What to train; where this fails, nothing is kept, and nothing looked at.
        data: Resident tensors.
        rows: Which of its rows play which part.
        elsewhere: Let another process predict, too, where the module has a loop of its own.

    Raises:
        ModelError: It predicts something else, or can't.
    """
    session = open_session(replace(job, keep_best=True), model, data, rows)
    for _ in session.run():
        pass
    if session.outcome().status != "completed":
        return
    said = session.predictions()["validation"].outputs
    with TemporaryDirectory() as folder:
        session.save_model(Path(folder))
        kept = kept_file(Path(folder))
        assert kept is not None, "a model that can predict has left something"
        predictor = load_predictor(model, job.config, job.spec, kept, data.device)
        _same(model, said, predictor.outputs(data, rows.to(data.device).validation))
        if elsewhere and model.train is not None:
            inputs = inputs_of(data, rows.validation, job.spec)
            again = _said_elsewhere(model, job, kept.read_bytes(), inputs)
            _same(model, said, again, " in another process")


def _same(
    model: ModelModule, said: NDArray[np.float32], again: NDArray[np.float32], where: str = ""
) -> None:
    if not np.allclose(said, again, rtol=_RELATIVE, atol=_ABSOLUTE, equal_nan=True):
        off = float(np.nanmax(np.abs(said - again)))
        raise ModelError(
            f"model {model.path}: what was kept predicts otherwise{where} than the best evaluation "
            f"did, by up to {off:.3g}; it must hold all that the outputs depend on, as it was then"
        )


def _said_elsewhere(
    model: ModelModule, job: Job, saved: bytes, inputs: Inputs
) -> NDArray[np.float32]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        task = pool.submit(_say, model.path, job.config, job.spec, saved, inputs)
        try:
            return task.result()
        except Exception as error:
            what = str(error) if isinstance(error, SieveError) else one_line(error)
            raise ModelError(f"in another process: {what}") from error


def _say(
    path: str, config: Config, spec: Spec, saved: bytes, inputs: Inputs
) -> NDArray[np.float32]:
    predict = own_predict(load_model(path), config, spec, saved)
    return outputs_by(predict, inputs, (len(next(iter(inputs.values()))), spec.num_outputs))
