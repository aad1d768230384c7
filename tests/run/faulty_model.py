"""A training loop of its own, and values with which it hangs, raises, or wants too much."""

import threading

import numpy as np

from search.space import Choice, Float, Space


def space(spec):
    kind = Choice(name="kind", values=("sound", "hangs", "raises", "greedy"))
    return Space([Float(name="rate", low=0.01, high=0.5), kind])


def defaults(spec):
    return [{"rate": 0.1, "kind": "sound", "source": "a textbook"}]


def train(config, data, budget, *, seed, state=None):
    inputs, one_hot = data.train.inputs["numeric"], np.eye(data.spec.num_outputs)
    weights = np.zeros((inputs.shape[1], data.spec.num_outputs))
    for number, point in enumerate(budget.points):
        if number == 1:
            FAULTS[config["kind"]]()
        scores = np.exp(inputs @ weights)
        error = scores / scores.sum(axis=1, keepdims=True) - one_hot[data.train.target]
        weights = weights - config["rate"] * inputs.T @ error / len(inputs)
        chosen = weights.copy()
        yield data.evaluate(lambda x, w=chosen: x["numeric"] @ w, samples_seen=point), None


def wait_for_a_lock_that_is_held():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def divide_by_nothing():
    raise ZeroDivisionError("there is nothing to divide by")


def ask_for_an_exabyte():
    return np.ones((1 << 30, 1 << 27))


FAULTS = {
    "sound": lambda: None,
    "hangs": wait_for_a_lock_that_is_held,
    "raises": divide_by_nothing,
    "greedy": ask_for_an_exabyte,
}
