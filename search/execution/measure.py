"""Measures training speed on the cluster, with every slot busy."""

from __future__ import annotations

import statistics
from typing import Any

import ray

from search.data import Dataset
from search.data.batches import Resident
from search.errors import ModelError, RunFailed, SieveError, one_line
from search.execution.cluster import TrialResources
from search.execution.context import PhaseContext, import_model
from search.findings import Finding
from search.space import Space
from search.speed import Speed
from search.training.job import Rows, device_for
from search.training.preflight import Bench, preflight
from search.training.speed import measure_speed
from search.training.threads import use_threads


def measure_cluster_speed(dataset: Any, context: PhaseContext, resources: TrialResources) -> Speed:
    """Train the first published default for two seconds on every slot at once.

    Args:
        dataset: Reference to the data set in the object store.
        context: The coarse phase's; its rungs don't matter yet.
        resources: What a trial gets.

    Returns:
        The median over the slots.
    """
    task = ray.remote(**_one_slot(resources))(_measure)
    reference = ray.put(context)
    tasks = [task.remote(dataset, reference) for _ in range(resources.slots)]
    speeds: list[Speed] = _results(tasks, context)
    return Speed(
        samples_per_second=statistics.median(each.samples_per_second for each in speeds),
        eval_seconds=statistics.median(each.eval_seconds for each in speeds),
    )


def preflight_on_cluster(
    dataset: Any, context: PhaseContext, space: Space, resources: TrialResources, seconds: float
) -> list[Finding]:
    """Look at the model with what a trial gets.

    Meanwhile the other slots' processes get ready for what is measured next.

    Args:
        dataset: Reference to the data set in the object store.
        context: The coarse phase's; its rungs don't matter yet.
        space: What is searched.
        resources: What a trial gets.
        seconds: What it may take.
    """
    one_slot = _one_slot(resources)
    looking = ray.remote(**one_slot)(_look).remote(dataset, ray.put(context), space, seconds)
    ready = ray.remote(**one_slot, max_calls=0)(_get_ready)
    for _ in range(resources.slots - 1):
        ready.remote()
    import search.execution.experiment  # noqa: F401 - Ray Tune, while there is nothing to do

    found: list[Finding] = _results(looking, context)
    return found


def _results(tasks: Any, context: PhaseContext) -> Any:
    """Return what tasks return.

    Raises:
        SieveError: One has raised it, or something else, as a model may; or its process died.
    """
    try:
        return ray.get(tasks)
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


def _look(dataset: Dataset, context: PhaseContext, space: Space, seconds: float) -> list[Finding]:
    use_threads(context.num_cpus)
    model = import_model(context)
    data = Resident(dataset, device_for(context.num_gpus))
    config = model.defaults(dataset.spec)[0].config
    rows = Rows.of(context.rows[0])
    return preflight(Bench(model, config, dataset.spec, data, rows, seconds, space=space))


def _measure(dataset: Dataset, context: PhaseContext) -> Speed:
    use_threads(context.num_cpus)
    model = import_model(context)
    data = Resident(dataset, device_for(context.num_gpus))
    rows = Rows.of(context.rows[0])
    config = model.defaults(dataset.spec)[0].config
    return measure_speed(model, config, dataset.spec, data, rows, metric=context.metric)
