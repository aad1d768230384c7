"""A model whose trainings sleep: they cost time and no computing.

``SIEVE_SLEEP_S`` says for how long a training to its whole budget sleeps.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.space import Config, Float, Space
from search.task import Spec

Inputs = dict[str, NDArray[Any]]


def space(spec: Spec) -> Space:  # noqa: ARG001 - the contract gives it
    """Return one dimension, which says how well it learns."""
    return Space([Float(name="rate", low=0.0, high=1.0)])


def defaults(spec: Spec) -> list[dict[str, Any]]:  # noqa: ARG001
    """Return what somebody might have published."""
    return [{"rate": 0.5, "source": "nobody"}]


def train(
    config: Config,
    data: Any,
    budget: Any,
    *,
    seed: int,  # noqa: ARG001
    state: int | None = None,
) -> Iterator[tuple[dict[str, float], int]]:
    """Sleep to each of the budget's points, and know a little more there."""
    seconds = float(os.environ.get("SIEVE_SLEEP_S", "0"))
    talent = 1.0 - abs(float(config["rate"]) - 0.3)
    seen = state or 0
    for point in (each for each in budget.points if each > seen):
        time.sleep(seconds * (point - seen) / budget.samples)
        seen = point
        outputs = talent * seen / budget.samples * np.eye(data.spec.num_outputs)[0]

        def predict(inputs: Inputs, outputs: NDArray[Any] = outputs) -> NDArray[Any]:
            return np.tile(outputs, (len(next(iter(inputs.values()))), 1))

        yield data.evaluate(predict, samples_seen=seen), seen
