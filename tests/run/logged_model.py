"""Softmax regression with a training loop of its own.

Where a file beside it says so, an epoch takes longer and leaves a line.
"""

import time
from functools import partial
from pathlib import Path

import numpy as np

from search.space import Choice, Float, Space

PACE = Path(__file__).with_name("epoch_seconds")


def space(spec):
    return Space(
        [
            Float(name="learning_rate", low=1e-3, high=1.0, log=True),
            Float(name="decay", low=1e-5, high=1e-1, log=True),
            Choice(name="batch_size", values=(16, 32), ordered=True),
        ]
    )


def defaults(spec):
    return [{"learning_rate": 0.1, "decay": 1e-4, "batch_size": 32, "source": "a textbook"}]


def train(config, data, budget, *, seed, state=None):
    inputs, one_hot = data.train.inputs["numeric"], np.eye(data.spec.num_outputs)
    target = one_hot[data.train.target]
    weights, seen = state or (np.zeros((inputs.shape[1], target.shape[1])), 0)
    for point in (each for each in budget.points if each > seen):
        _leave_line(seed, config["learning_rate"], point)
        while seen < point:
            generator = np.random.default_rng([seed, seen])
            rows = generator.integers(len(inputs), size=config["batch_size"])
            scores = np.exp(inputs[rows] @ weights)
            error = scores / scores.sum(axis=1, keepdims=True) - target[rows]
            gradient = inputs[rows].T @ error / len(rows) + config["decay"] * weights
            weights = weights - config["learning_rate"] * gradient
            seen += len(rows)
        metrics = data.evaluate(partial(_scores, weights), samples_seen=seen)
        yield metrics, (weights, seen)


def save_predictor(state):
    return state[0].tobytes()


def load_predictor(saved, config, spec):
    return partial(_scores, np.frombuffer(saved).reshape(spec.num_numeric, spec.num_outputs))


def _scores(weights, inputs):
    return inputs["numeric"] @ weights


def _leave_line(*words):
    if PACE.exists():
        time.sleep(float(PACE.read_text()))
        with PACE.with_name("epochs.log").open("a") as log:
            print(*words, file=log)
