"""A model with a training loop of its own that gets stuck with one of its hyperparameters."""

import threading

import numpy as np

from search.space import Choice, Float, Space


def space(spec):
    kind = Choice(name="lock", values=("free", "open", "held"))
    return Space([Float(name="rate", low=0.01, high=0.5), kind])


def defaults(spec):
    return [{"rate": 0.1, "lock": "free", "source": "a textbook"}]


def train(config, data, budget, *, seed, state=None):
    inputs, one_hot = data.train.inputs["numeric"], np.eye(data.spec.num_outputs)
    weights = np.zeros((inputs.shape[1], data.spec.num_outputs))
    for number, point in enumerate(budget.points):
        if config["lock"] == "held" and number == 1:
            wait_for_a_lock_that_is_held()
        scores = np.exp(inputs @ weights)
        error = scores / scores.sum(axis=1, keepdims=True) - one_hot[data.train.target]
        weights = weights - config["rate"] * inputs.T @ error / len(inputs)
        chosen = weights.copy()
        yield data.evaluate(lambda x, w=chosen: x["numeric"] @ w, samples_seen=point), None


def wait_for_a_lock_that_is_held():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
