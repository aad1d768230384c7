"""Runs a phase on Ray Tune."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import ray
from ray import tune

from search.execution.adapters import (
    InterruptStopper,
    PhaseScheduler,
    PhaseSearcher,
    trial_id_of,
)
from search.execution.cluster import TrialResources
from search.execution.driver import PhaseDriver
from search.execution.trainable import PhaseContext, make_trainable, remove_state

MAX_FAILURES = 3
"""How often a trial whose process died is taken up again."""


def run_phase(
    driver: PhaseDriver, dataset: Any, context: PhaseContext, resources: TrialResources, log: Path
) -> None:
    """Run a phase's trials until it is finished or interrupted.

    Args:
        driver: The phase.
        dataset: Reference to the data set in the object store.
        context: What the trials share.
        resources: What a trial gets.
        log: Folder for Ray's own logs (TensorBoard, CSV), a new one inside for each session.
    """
    if driver.finished:
        return
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    trainable = make_trainable(dataset, ray.put(context))
    log.mkdir(parents=True, exist_ok=True)
    name = f"{driver.strategy.phase}-{len(list(log.glob(driver.strategy.phase + '-*')))}"
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": resources.num_cpus, "gpu": resources.num_gpus}),
        tune_config=tune.TuneConfig(
            metric="validation_loss",
            mode="min",
            search_alg=PhaseSearcher(driver),
            scheduler=PhaseScheduler(driver),
            num_samples=-1,
            reuse_actors=True,
            trial_dirname_creator=trial_id_of,
        ),
        run_config=tune.RunConfig(
            name=name,
            storage_path=str(log),
            stop=InterruptStopper(driver),
            failure_config=tune.FailureConfig(max_failures=MAX_FAILURES),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            verbose=0,
        ),
    )
    tuner.fit()
    driver.close()
    for record in driver.strategy.history.ended:
        remove_state(context.trial_folder / record.trial.trial_id)
