"""Tasks that are trained: :mod:`models.mlp` with its own space on a few rows of real data.

The surrogates' spaces are numbers, eight at most. This one is what users search: seventeen or
eighteen dimensions, most of them choices, some of them active only where another has a value.
Trainings are real and go only as far as somebody asks; time is simulated, and a row costs more in
small batches, as it does. SIEVE_DATA names the folder with the data sets.
"""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.guide.ground import even_points, few_rows, open_data
from benchmarks.guide.trainings import DATA
from benchmarks.search.tasks import Task
from search.errors import StudyError
from search.space import Choice, Config, Space, apply_overrides
from search.strategy.ranking import name_of
from search.task import load_model
from search.training.job import Job
from search.training.session import NetworkSession

FILES = {"adult": "adult", "letter": "letter", "covertype": "covertype_16pct"}
"""Task to its data set."""
ROWS, VALIDATION_ROWS, PASSES = 3_000, 2_000, 18
MAX_UNITS = 256
"""Of a hidden layer: so that a training takes a second at most."""
RUNGS = (1, 3, 9, 27)
ROW_SECONDS, STEP_SECONDS = 13e-6, 2e-3
"""What training costs for each row and, beside that, for each step: fitted to what the preflight
measured of this model on one core for batches of 32 to 4,096 rows."""
KEPT_CURVES = 400
"""What is asked for again after so many others is trained again, and comes out the same."""


class Curve:
    """The validation losses of a training, which goes as far as is asked for.

    A training that breaks knows nothing from then on: its loss is ``worst``.

    Args:
        losses: Of its evaluations, in order.
        worst: The loss of whoever knows the labels' shares and nothing else.
    """

    def __init__(self, losses: Iterator[float], worst: float) -> None:
        self._rest = losses
        self._known: list[float] = []
        self._worst = worst

    def __getitem__(self, number: int | slice) -> Any:
        last = number.stop if isinstance(number, slice) else number % RUNGS[-1] + 1
        while len(self._known) < last:
            loss = next(self._rest, self._worst)
            self._known.append(loss if math.isfinite(loss) else self._worst)
        return self._known[number]


class Trainings:
    """A data set's rows and the space of configurations.

    Args:
        name: A key of :data:`FILES`.

    Raises:
        StudyError: SIEVE_DATA names no folder with the data set.
    """

    def __init__(self, name: str) -> None:
        folder = Path(os.environ.get("SIEVE_DATA", ""))
        file = FILES[name]
        if not (folder / f"{file}.parquet").is_file():
            raise StudyError(
                f"SIEVE_DATA is '{folder}'; it must name the folder with {file}.parquet"
            )
        dataset, plan, self._data = open_data(folder, file, DATA[file])
        self._model, self._spec = load_model("models.mlp"), dataset.spec
        self._rows = few_rows(plan, ROWS, VALIDATION_ROWS, VALIDATION_ROWS // 2)
        self.space: Space = apply_overrides(
            self._model.space(self._spec), {"num_units": {"high": MAX_UNITS}}
        )
        self.default: Config = self._model.defaults(self._spec)[0].config
        shares = np.bincount(dataset.strata[plan.train]) / len(plan.train)
        self.entropy = float(-(shares * np.log(shares)).sum())
        self._curve_of = lru_cache(KEPT_CURVES)(self._begin)

    def curve(self, config: Config) -> Curve:
        """Return a configuration's curve; values of inactive dimensions don't count."""
        given, active = {**self.space.fixed, **config}, Config()
        for dimension in self.space:
            if dimension.is_active(active):
                active[dimension.name] = given[dimension.name]
        return self._curve_of(tuple(sorted(active.items())))

    def cost(self, config: Config) -> float:
        """Return what a row costs in a configuration's batches, 1 on average over their sizes."""
        searched = self.space["batch_size"]
        assert isinstance(searched, Choice)
        mean = sum(_row_seconds(int(each)) for each in searched.values) / len(searched.values)
        return _row_seconds(int(config["batch_size"])) / mean

    def _begin(self, items: tuple[tuple[str, Any], ...]) -> Curve:
        return Curve(self._losses(dict(items)), self.entropy)

    def _losses(self, config: Config) -> Iterator[float]:
        full = ROWS * PASSES
        points = even_points(full, RUNGS[-1])
        seed = zlib.crc32(name_of(config).encode())
        job = Job(
            "trained", config, self._spec, seed, full, points, "accuracy", early_stopping=False
        )
        session = NetworkSession(job, self._model, self._data, self._rows)
        for each in session.run():
            yield each.validation_loss


def _row_seconds(batch_size: int) -> float:
    return ROW_SECONDS + STEP_SECONDS / batch_size


def trained_task(name: str) -> Task:
    """Return a task of real trainings; its regret is the share of the labels' entropy left.

    Args:
        name: A key of :data:`FILES`.

    Raises:
        StudyError: SIEVE_DATA names no folder with the data set, or the task is unknown.
    """
    if name not in FILES:
        raise StudyError(f"trained:{name} is no task; there are {', '.join(FILES)}")
    trainings = Trainings(name)
    return Task(
        name=f"trained:{name}",
        space=trainings.space,
        rungs=RUNGS,
        mean_full_seconds=float(RUNGS[-1]),
        curve=trainings.curve,
        seconds=lambda config, begin, end: (end - begin) * trainings.cost(config),
        regret=lambda loss: loss / trainings.entropy,
        prior=trainings.default,
        row=None,
        is_trained=True,
    )
