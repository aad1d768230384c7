"""Planted tasks: late bloomers, and an optimum outside of the first range.

``bloom:N``: curves that are flat for a third to two thirds of the budget, then the best, in a
region of the space whose place and size N seeds. ``decade:N``: a bowl whose optimum lies a decade
beyond the range's end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.search.tasks import Task
from search.space import Config, Float, Space

FIDELITIES = 50
RUNGS = (1, 3, 9, 27, 50)
WIDTH = 5


@dataclass(frozen=True)
class Blooming:
    """Losses fall exponentially to a bowl's value; in a slab of the space they do so late.

    Attributes:
        seed: Of everything.
    """

    seed: int

    def _generator(self, *more: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *more])

    def curve(self, config: Config) -> NDArray[np.float64]:
        """Return the losses at fidelity 1 … 50."""
        point = np.array([float(config[f"x{n}"]) for n in range(WIDTH)])
        drawn = self._generator()
        centre, width = drawn.random(WIDTH), drawn.uniform(0.05, 0.15)
        slab = drawn.uniform(0.0, 1.0 - width)
        own = self._generator(*(int(x * 2**31) for x in point))
        final = 0.1 + 0.6 * float(((point - centre) ** 2).mean()) ** 0.5
        time = np.arange(1, FIDELITIES + 1) / FIDELITIES
        speed = own.uniform(6.0, 20.0)
        if slab <= point[0] < slab + width:
            begins = own.uniform(1 / 3, 2 / 3)
            time = np.maximum(time - begins, 0.0) * 1.5
            speed, final = 20.0, 0.5 * final
        noise = 0.005 * own.standard_normal(FIDELITIES)
        result: NDArray[np.float64] = final + (1.0 - final) * np.exp(-speed * time) + noise
        return result


def blooming_task(seed: int) -> Task:
    """Return the planted task with late bloomers of a seed."""
    world = Blooming(seed)
    space = Space([Float(name=f"x{n}", low=0.0, high=1.0) for n in range(WIDTH)])
    points = np.random.default_rng(0).random((4000, WIDTH))
    finals = np.sort([world.curve(space.from_unit(point))[-1] for point in points])
    best, median = finals[0], float(np.median(finals))
    return Task(
        name=f"bloom:{seed}",
        space=space,
        rungs=RUNGS,
        mean_full_seconds=float(FIDELITIES),
        curve=world.curve,
        seconds=lambda _, done, until: float(until - done),
        regret=lambda loss: (loss - best) / (median - best),
        prior=None,
        row=None,
    )
