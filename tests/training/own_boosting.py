"""A model with a training loop of its own: scikit-learn's boosting, tree by tree."""

import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

from search.space import Config, Float, Integer, Space
from search.task import Inputs, Predict, Spec
from search.training.own_data import TrainingBudget, TrainingData


def space(spec: Spec) -> Space:
    return Space(
        [
            Float(name="learning_rate", low=0.01, high=1.0, log=True, group=1),
            Integer(name="max_depth", low=1, high=3),
            Float(name="subsample", low=0.5, high=1.0, group=3),
        ]
    )


def defaults(spec: Spec) -> list[dict[str, Any]]:
    source = "Friedman 2001, with his shrinkage of .1"
    return [{"source": source, "learning_rate": 0.1, "max_depth": 3, "subsample": 0.5}]


def train(
    config: Config,
    data: TrainingData,
    budget: TrainingBudget,
    *,
    seed: int,
    state: Any = None,
) -> Iterator[tuple[dict[str, float], Any]]:
    features = matrix(data.train.inputs)
    kind = (
        GradientBoostingClassifier
        if data.spec.task == "classification"
        else GradientBoostingRegressor
    )
    done, boosting = state or (0, kind(**config, warm_start=True, random_state=seed))
    predict = predict_with(boosting)

    for number, point in enumerate(budget.points[done:], start=done + 1):
        boosting.n_estimators = max(1, round(point / len(features)))
        boosting.fit(features, data.train.target)
        samples = boosting.n_estimators * len(features)
        yield data.evaluate(predict, samples_seen=samples), (number, boosting)


def save_predictor(state: Any) -> bytes:
    return pickle.dumps(state[1])


def load_predictor(saved: bytes, config: Config, spec: Spec) -> Predict:
    return predict_with(pickle.loads(saved))


def predict_with(boosting: Any) -> Predict:
    def predict(inputs: Inputs) -> np.ndarray:
        if isinstance(boosting, GradientBoostingRegressor):
            return boosting.predict(matrix(inputs))
        return np.log(boosting.predict_proba(matrix(inputs)) + 1e-9)

    return predict


def matrix(inputs: Inputs) -> np.ndarray:
    return np.hstack([values.reshape(len(values), -1) for values in inputs.values()])
