"""Measures training speed on the cluster, with every slot busy."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import ray
import torch

from search.data import Dataset
from search.data.batches import Resident
from search.errors import DataError, ModelError, RunFailed, SieveError, one_line
from search.execution.cluster import TrialResources
from search.execution.context import PhaseContext, import_model
from search.findings import Finding
from search.space import Space
from search.speed import Speed
from search.training.job import Rows, device_for
from search.training.preflight import Bench, preflight
from search.training.speed import measure_speed
from search.training.threads import use_threads

_LOOK_S = 0.2
"""For a request to stop."""


def measure_cluster_speed(
    dataset: Any, context: PhaseContext, resources: TrialResources, go_on: Callable[[], None]
) -> Speed:
    """Train the first published default for two seconds on every slot at once.

    Args:
        dataset: Reference to the data set in the object store.
        context: The coarse phase's; its rungs don't matter yet.
        resources: What a trial gets.
        go_on: Called meanwhile; it raises to break it off.

    Returns:
        The median over the slots.
    """
    task = ray.remote(**_one_slot(resources))(_measure)
    reference = ray.put(context)
    tasks = [task.remote(dataset, reference) for _ in range(resources.slots)]
    speeds: list[Speed] = _results(tasks, context, go_on)
    return Speed(
        samples_per_second=statistics.median(each.samples_per_second for each in speeds),
        eval_seconds=statistics.median(each.eval_seconds for each in speeds),
    )


def preflight_on_cluster(
    dataset: Any,
    context: PhaseContext,
    space: Space,
    resources: TrialResources,
    seconds: float,
    go_on: Callable[[], None],
) -> list[Finding]:
    """Look at the model with what a trial gets.

    Meanwhile the other slots' processes get ready for what is measured next.

    Args:
        dataset: Reference to the data set in the object store.
        context: The coarse phase's; its rungs don't matter yet.
        space: What is searched.
        resources: What a trial gets.
        seconds: What it may take.
        go_on: Called meanwhile; it raises to break it off.
    """
    one_slot = _one_slot(resources)
    looking = ray.remote(**one_slot)(_look).remote(dataset, ray.put(context), space, seconds)
    ready = ray.remote(**one_slot, max_calls=0)(_get_ready)
    for _ in range(resources.slots - 1):
        ready.remote()
    import search.execution.experiment  # noqa: F401 - Ray Tune, while there is nothing to do

    (found,) = _results([looking], context, go_on)
    return list(found)


def _results(tasks: list[Any], context: PhaseContext, go_on: Callable[[], None]) -> list[Any]:
    """Return what tasks return.

    Raises:
        SieveError: One has raised it, or something else, as a model may; or its process died.
    """
    while len(ray.wait(tasks, num_returns=len(tasks), timeout=_LOOK_S)[0]) < len(tasks):
        go_on()
    try:
        return list(ray.get(tasks))
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, SieveError):
            raise cause from None
        raise ModelError(f"model {context.model_path}: {one_line(cause)}") from error
    except ray.exceptions.RayError as error:
        raise RunFailed(f"the process that looked at the model died: {one_line(error)}") from error


def _one_slot(resources: TrialResources) -> dict[str, float]:
    """Return a task's options; given here, not later, Ray ends a process that has used a GPU.

    It would keep the memory that it has taken, or a context that is broken.
    """
    return {"num_cpus": resources.num_cpus, "num_gpus": resources.num_gpus, "max_retries": 2}


def _get_ready() -> None:
    """Import what this module imports, which takes a new process some seconds."""


def _resident(dataset: Dataset, context: PhaseContext) -> Resident:
    try:
        return Resident(dataset, device_for(context.num_gpus))
    except torch.OutOfMemoryError as error:
        raise DataError(
            f"the prepared data take {dataset.inputs.nbytes / 2**30:.1f} GiB, more than a GPU has "
            "room for; give fewer rows, a larger GPU, or resources.gpus_per_trial=0"
        ) from error


def _look(dataset: Dataset, context: PhaseContext, space: Space, seconds: float) -> list[Finding]:
    use_threads(context.num_cpus)
    model = import_model(context)
    data = _resident(dataset, context)
    config = model.defaults(dataset.spec)[0].config
    rows = Rows.of(context.rows[0])
    return preflight(Bench(model, config, dataset.spec, data, rows, seconds, space=space))


def _measure(dataset: Dataset, context: PhaseContext) -> Speed:
    use_threads(context.num_cpus)
    model = import_model(context)
    data = _resident(dataset, context)
    rows = Rows.of(context.rows[0])
    config = model.defaults(dataset.spec)[0].config
    return measure_speed(model, config, dataset.spec, data, rows, metric=context.metric)
