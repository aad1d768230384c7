"""Gradient-boosted trees for tables: XGBoost (Chen & Guestrin, 2016), on the CPU.

The boosting rounds are the fidelity: a round is a pass over the training rows. Categorical
columns are split by XGBoost's own partitions; numeric ones come as they are prepared for
networks, since the order of the values is all that a tree sees of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from search.space import Choice, Dimension, Float, Integer, Space

if TYPE_CHECKING:
    from search.space import Config
    from search.task import Inputs, Predict, Spec
    from search.training.own_data import TrainingBudget, TrainingData

FULL_EPOCHS = 1_000
"""Rounds of a full training where time allows, as in Grinsztajn et al. (2022)."""
USES_GPU = False


def space(spec: Spec) -> Space:
    """Return the search space; the names are XGBoost's.

    Learning rates begin where a thousand rounds are enough for them: with smaller ones the first
    rungs would only compare learning rates. They widen downwards where the best lie at the edge.
    What is a sum over rows (``min_child_weight``, ``gamma``, the penalties) and the depth don't
    transfer from a subsample: fine searches them in full again.

    Raises:
        ValueError: The data have an image column, or xgboost isn't installed.
    """
    if spec.image is not None:
        raise ValueError(
            "models.xgb is for tables; for images take models.cnn or models.mlp, "
            "or leave the image column out (data.ignore)"
        )
    _xgboost()
    return Space(
        [
            Float(name="learning_rate", low=0.03, high=0.5, log=True, limits=(1e-3, 1.0), group=1),
            Integer(name="max_depth", low=1, high=11, group=2, reopen=True),
            Float(name="min_child_weight", low=1e-6, high=1e2, log=True, group=2, reopen=True),
            Choice(name="max_bin", values=(64, 128, 256, 512), ordered=True, group=2),
            *(
                Float(name=name, low=0.4, high=1.0, group=3)
                for name in ("subsample", "colsample_bytree", "colsample_bylevel")
            ),
            _penalty("reg_lambda", 0.0, 0.01, 0.1, 1.0, 10.0, 100.0),
            _penalty("reg_alpha", 0.0, 0.01, 0.1, 1.0, 10.0),
            _penalty("gamma", 0.0, 0.01, 0.1, 1.0, 10.0),
        ]
    )


def _penalty(name: str, *values: float) -> Dimension:
    return Choice(name=name, values=values, ordered=True, group=3, reopen=True)


def defaults(spec: Spec) -> list[dict[str, Any]]:
    """Return published configurations with their sources."""
    common: dict[str, Any] = {
        "max_bin": 256,
        "colsample_bytree": 1.0,
        "reg_alpha": 0.0,
        "gamma": 0.0,
    }
    own = {
        "source": "XGBoost's own (its documentation; Chen & Guestrin 2016): eta .3, depth 6, "
        "lambda 1",
        "learning_rate": 0.3,
        "max_depth": 6,
        "min_child_weight": 1.0,
        "subsample": 1.0,
        "colsample_bylevel": 1.0,
        "reg_lambda": 1.0,
    }
    return [{**common, **own}, {**common, **_tuned(spec)}]


def _tuned(spec: Spec) -> dict[str, Any]:
    if spec.task == "classification":
        return {
            "source": "Holzmüller et al. 2024 (Better by Default), XGB-TD for classification: "
            "eta .08, depth 6, subsample .65, no lambda",
            "learning_rate": 0.08,
            "max_depth": 6,
            "min_child_weight": 5e-6,
            "subsample": 0.65,
            "colsample_bylevel": 0.9,
            "reg_lambda": 0.0,
        }
    return {
        "source": "Holzmüller et al. 2024 (Better by Default), XGB-TD for regression: "
        "eta .05, depth 9, subsample .7, no lambda",
        "learning_rate": 0.05,
        "max_depth": 9,
        "min_child_weight": 2.0,
        "subsample": 0.7,
        "colsample_bylevel": 1.0,
        "reg_lambda": 0.0,
    }


def train(
    config: Config,
    data: TrainingData,
    budget: TrainingBudget,
    *,
    seed: int,
    state: Any = None,
) -> Iterator[tuple[dict[str, float], Any]]:
    """Yield ``(metrics, state)`` at each of the budget's points; torch's threads are XGBoost's.

    Args:
        config: A point of :func:`space`.
        data: The rows.
        budget: Its samples are rounds times rows; a first round there is always.
        seed: Of what rows and columns a tree sees.
        state: How many points were passed, and the booster.
    """
    matrices = _Matrices(data.spec, int(config["max_bin"]))
    training = matrices.to_train_on(data.train.inputs, data.train.target)
    passed, booster = state or (
        0,
        _xgboost().Booster(_parameters(config, data.spec, seed), [training]),
    )
    booster.set_param({"nthread": torch.get_num_threads()})

    def predict(inputs: Inputs) -> NDArray[np.float32]:
        return _outputs(booster.predict(matrices.of(inputs), output_margin=True), data.spec)

    for number, point in enumerate(budget.points[passed:], start=passed + 1):
        rounds = max(1, round(point / len(data.train)))
        _draw_afresh(booster)
        for each in range(booster.num_boosted_rounds(), rounds):
            booster.update(training, each)
        metrics = data.evaluate(predict, samples_seen=rounds * len(data.train))
        yield {**metrics, "learning_rate": float(config["learning_rate"])}, (number, booster)


def save_predictor(state: Any) -> bytes:
    """Return the booster of a state in XGBoost's UBJSON, which any later version reads."""
    _, booster = state
    return bytes(booster.save_raw("ubj"))


def load_predictor(saved: bytes, config: Config, spec: Spec) -> Predict:
    """Return what predicts as the saved booster did; torch's threads are XGBoost's."""
    booster = _xgboost().Booster()
    booster.load_model(bytearray(saved))
    booster.set_param({"nthread": torch.get_num_threads()})

    def predict(inputs: Inputs) -> NDArray[np.float32]:
        # Rows to predict come once: their matrix isn't worth keeping.
        matrix = _Matrices(spec, int(config["max_bin"])).of(inputs)
        return _outputs(booster.predict(matrix, output_margin=True), spec)

    return predict


class _Matrices:
    """Inputs as XGBoost's matrices, each made once: it then predicts new rounds alone."""

    def __init__(self, spec: Spec, max_bin: int) -> None:
        self._max_bin = max_bin
        # What a matrix was made of is kept, so that its id stays its own.
        self._made: dict[int, tuple[Inputs, Any]] = {}
        self._options = {
            "feature_types": ["q"] * spec.num_numeric + ["c"] * len(spec.categories),
            "enable_categorical": True,
            "nthread": torch.get_num_threads(),
        }

    def to_train_on(self, inputs: Inputs, target: NDArray[Any]) -> Any:
        """Return rows in bins, with their target."""
        return _xgboost().QuantileDMatrix(
            _table(inputs), label=target, max_bin=self._max_bin, **self._options
        )

    def of(self, inputs: Inputs) -> Any:
        """Return rows to predict."""
        if id(inputs) not in self._made:
            made = _xgboost().DMatrix(_table(inputs), **self._options)
            self._made[id(inputs)] = (inputs, made)
        return self._made[id(inputs)][1]


def _table(inputs: Inputs) -> NDArray[np.float32]:
    """Return (rows, columns); codes of categories stay exact in float32."""
    return np.hstack([values.astype(np.float32) for values in inputs.values()])


def _parameters(config: Config, spec: Spec, seed: int) -> dict[str, Any]:
    return {
        **config,
        **_objective(spec),
        "tree_method": "hist",
        "seed": seed,
        "seed_per_iteration": True,
        "disable_default_eval_metric": True,
        "verbosity": 0,
    }


def _objective(spec: Spec) -> dict[str, Any]:
    if spec.task == "regression":
        return {"objective": "reg:squarederror"}
    if _is_binary(spec):
        return {"objective": "binary:logistic"}
    return {"objective": "multi:softprob", "num_class": spec.num_outputs}


def _is_binary(spec: Spec) -> bool:
    return spec.task == "classification" and spec.num_outputs == 2


def _draw_afresh(booster: Any) -> None:
    """Let the draws of columns depend on the seed and the round alone.

    Their generator lives on from round to round and isn't saved: a booster that was saved and
    loaded would draw other columns. Loading the own configuration makes a new one.
    """
    booster.load_config(booster.save_config())


def _outputs(margins: NDArray[np.float32], spec: Spec) -> NDArray[np.float32]:
    """Return (rows, outputs): logits, or the standardised prediction."""
    if _is_binary(spec):
        return np.column_stack([np.zeros_like(margins), margins])
    return margins.reshape(len(margins), spec.num_outputs)


def _xgboost() -> Any:
    try:
        import xgboost
    except ModuleNotFoundError as error:
        raise ValueError(
            "models.xgb needs xgboost, which isn't installed; scripts/install .venv trees"
        ) from error
    return xgboost
