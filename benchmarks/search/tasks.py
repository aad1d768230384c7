"""The tasks: public surrogates of real trainings, with their space and their cost.

SIEVE_BENCH names the folder with ``surrogates.py``; see its own text for where they come from.
"""

from __future__ import annotations

import importlib
import math
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from search.errors import StudyError
from search.space import Config, Dimension, Float, Integer, Space

FACTOR = 3


@dataclass(frozen=True)
class Task:
    """A surrogate.

    Attributes:
        name: As on the command line.
        space: What to search.
        rungs: Fidelities at which methods may compare, rising; the last is a full training.
        mean_full_seconds: Of a full training of a random configuration.
        curve: Configuration to losses at fidelity 1, 2, …
        seconds: (configuration, from, to) to the seconds between two fidelities.
        regret: Full-training loss to regret, 0 at the best known, 1 at the median random.
        prior: A published default; None where there is none.
        row: Configuration to the row of a finite table that it stands for; None where every
            configuration is its own.
        is_trained: Curves are trained as far as is asked for: no question is free.
    """

    name: str
    space: Space
    rungs: tuple[int, ...]
    mean_full_seconds: float
    curve: Callable[[Config], Any]
    seconds: Callable[[Config, int, int], float]
    regret: Callable[[float], float]
    prior: Config | None
    row: Callable[[Config], int] | None
    is_trained: bool = False

    def regret_of(self, config: Config) -> float:
        """Return the regret of a configuration after a full training."""
        return self.regret(float(self.curve(config)[-1]))


def surrogate_task(name: str) -> Task:
    """Return a task of the surrogates by its name.

    Raises:
        StudyError: SIEVE_BENCH names no folder with the surrogates, or the task is unknown.
    """
    bench = _surrogates().get_bench(name)
    best, median = bench.meta["ystar"], bench.meta["ymed"]
    return Task(
        name=name,
        space=Space([_dimension(each) for each in bench.space]),
        rungs=tuple(bench.rungs),
        mean_full_seconds=float(bench.mean_full_cost),
        curve=bench.curve,
        seconds=bench.cost,
        regret=lambda loss: (loss - best) / (median - best),
        prior=bench.prior,
        row=_nearest_row(bench) if name.startswith("ts:") else None,
    )


def _surrogates() -> Any:
    folder = os.environ.get("SIEVE_BENCH", "")
    if not os.path.isfile(os.path.join(folder, "surrogates.py")):
        raise StudyError(
            f"SIEVE_BENCH is '{folder}'; it must name the folder with surrogates.py and its data"
        )
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module("surrogates")


def _dimension(given: Any) -> Dimension:
    if given.integer:
        low, high = math.ceil(given.lo), math.floor(given.hi)
        return Integer(name=given.name, low=low, high=high, log=given.log)
    return Float(name=given.name, low=float(given.lo), high=float(given.hi), log=given.log)


def _nearest_row(bench: Any) -> Callable[[Config], int]:
    def row(config: Config) -> int:
        unit = np.array([config[name] for name in bench.hp])
        return int(((bench.U - unit) ** 2).sum(1).argmin())

    return row
