"""Planted tasks: late bloomers, and an optimum outside of the first range.

``bloom:N``: curves that are flat for a third to two thirds of the budget, then the best, in a
region of the space whose place and size N seeds. ``decade:N``: a bowl whose optimum lies a decade
beyond the range's end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.search.tasks import Task
from search.space import Config, Float, Space

FIDELITIES = 50
RUNGS = (1, 3, 9, 27, 50)
WIDTH = 5

Curve = Callable[[Config], NDArray[np.float64]]


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


@dataclass(frozen=True)
class Decade:
    """A bowl in five dimensions whose optimum lies a decade beyond the first one's range.

    Attributes:
        seed: Of the place, the noise and the speeds.
        beyond: False: it lies inside of the range.
    """

    seed: int
    beyond: bool = True

    @property
    def centre(self) -> NDArray[np.float64]:
        """The optimum; the first coordinate in decades above the range's lower end."""
        drawn = np.random.default_rng([self.seed, 1])
        first = 4.0 if drawn.random() < 0.5 else -1.0
        inside = 3.0 * drawn.random()
        return np.array([first if self.beyond else inside, *drawn.random(WIDTH - 1)])

    def curve(self, config: Config) -> NDArray[np.float64]:
        """Return the losses at fidelity 1 … 50."""
        away = [math.log10(float(config["x0"])) + 4.0]
        away += [float(config[f"x{n}"]) for n in range(1, WIDTH)]
        scaled = (np.array(away) - self.centre) / np.array([2.0, *[1.0] * (WIDTH - 1)])
        final = 0.1 + float((scaled**2).sum()) ** 0.5
        own = np.random.default_rng([self.seed, *(int(abs(x) * 2**31) for x in away)])
        time = np.arange(1, FIDELITIES + 1) / FIDELITIES
        noise = 0.01 * own.standard_normal(FIDELITIES)
        fall = np.exp(-own.uniform(5.0, 15.0) * time)
        result: NDArray[np.float64] = final + fall + noise
        return result


def blooming_task(seed: int) -> Task:
    """Return the planted task with late bloomers of a seed."""
    space = Space([Float(name=f"x{n}", low=0.0, high=1.0) for n in range(WIDTH)])
    return _planted(f"bloom:{seed}", space, Blooming(seed).curve)


def decade_task(seed: int, *, beyond: bool = True) -> Task:
    """Return the planted task whose optimum lies outside of the first range, or inside."""
    first = Float(name="x0", low=1e-4, high=1e-1, log=True, limits=(1e-9, 1e4))
    rest = [Float(name=f"x{n}", low=0.0, high=1.0) for n in range(1, WIDTH)]
    name = f"{'decade' if beyond else 'inside'}:{seed}"
    return _planted(name, Space([first, *rest]), Decade(seed, beyond).curve)


def _planted(name: str, space: Space, curve: Curve) -> Task:
    points = np.random.default_rng(0).random((4000, WIDTH))
    finals = np.sort([curve(space.from_unit(point))[-1] for point in points])
    best, median = finals[0], float(np.median(finals))
    return Task(
        name=name,
        space=space,
        rungs=RUNGS,
        mean_full_seconds=float(FIDELITIES),
        curve=curve,
        seconds=lambda _, done, until: float(until - done),
        regret=lambda loss: (loss - best) / (median - best),
        prior=None,
        row=None,
    )


PLANTED: dict[str, Callable[[int], Task]] = {
    "bloom": blooming_task,
    "decade": decade_task,
    "inside": partial(decade_task, beyond=False),
}
