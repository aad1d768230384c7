"""What is measured before a search, in the processes that train later: the model, its speed."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch

from search.data import Dataset
from search.data.batches import Resident
from search.errors import DataError
from search.execution.context import PhaseContext, import_model
from search.space import Space
from search.speed import Speed
from search.training.job import Rows
from search.training.preflight import Bench, preflight
from search.training.speed import measure_speed
from search.training.threads import use_threads


@dataclass(frozen=True)
class Look:
    """Looks for what is wrong with the model; finds findings as JSON.

    Attributes:
        context: The coarse phase's; its rungs don't matter yet.
        space: What is searched.
        seconds: What it may take.
    """

    context: PhaseContext
    space: Space
    seconds: float

    def do(self, dataset: Dataset, data: Callable[[], Resident]) -> list[dict[str, Any]]:
        """Look with what a trial gets."""
        context = self.context
        use_threads(context.num_cpus)
        model = import_model(context)
        config = model.defaults(dataset.spec)[0].config
        rows, held = Rows.of(context.rows[0]), _held(dataset, data)
        bench = Bench(model, config, dataset.spec, held, rows, self.seconds, space=self.space)
        return [finding.to_json() for finding in preflight(bench)]


@dataclass(frozen=True)
class GetReady:
    """Starts a process, and imports what this module imports: that takes some seconds."""

    def do(self, dataset: Dataset, data: Callable[[], Resident]) -> None:
        """Nothing is left to do."""


@dataclass(frozen=True)
class SpeedTest:
    """Trains the first published default for two seconds; finds the speed as JSON.

    Attributes:
        context: The coarse phase's; its rungs don't matter yet.
    """

    context: PhaseContext

    def do(self, dataset: Dataset, data: Callable[[], Resident]) -> dict[str, float]:
        """Train with what a trial gets."""
        context = self.context
        use_threads(context.num_cpus)
        model = import_model(context)
        config, rows = model.defaults(dataset.spec)[0].config, Rows.of(context.rows[0])
        held = _held(dataset, data)
        speed = measure_speed(model, config, dataset.spec, held, rows, metric=context.metric)
        return speed.to_json()


def median_speed(found: Iterable[dict[str, float]]) -> Speed:
    """Return the median of what speed tests have found that ran side by side."""
    speeds = [Speed(**each) for each in found]
    return Speed(
        samples_per_second=statistics.median(each.samples_per_second for each in speeds),
        eval_seconds=statistics.median(each.eval_seconds for each in speeds),
    )


def _held(dataset: Dataset, data: Callable[[], Resident]) -> Resident:
    try:
        return data()
    except torch.OutOfMemoryError as error:
        raise DataError(
            f"the prepared data take {dataset.inputs.nbytes / 2**30:.1f} GiB, more than a GPU has "
            "room for; give fewer rows, a larger GPU, or resources.gpus_per_trial=0"
        ) from error
