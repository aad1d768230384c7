"""What all trials of a phase share beside the data, and what one of them trains."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from search.data import Dataset
from search.events import Trial
from search.speed import SpeedLimit
from search.storage import Storage
from search.task import ModelModule, load_model
from search.training.job import Job
from search.training.smoke import SmokeRung


@dataclass(frozen=True)
class PhaseContext:
    """What all trials of a phase share beside the data.

    Attributes:
        model_path: Import path or file of the model module.
        search_path: Folders to import it from.
        rows: Row numbers of the parts: ``train``, ``validation``, ``probe`` and, in confirm,
            ``test``; once for each division of the data.
        metric: Name of the metric.
        trial_folder: Where the trials keep their state, a folder each.
        storage: The same in an object storage, where that is what counts: what is written is sent
            there, and the folder is each machine's own; None: the folder is what counts.
        num_workers: Processes that share a training.
        checkpoint_interval_s: Longest training time that a crash may cost.
        early_stopping: Whether trials may end early.
        num_cpus: CPUs of a trial.
        num_gpus: GPUs of a trial.
        keep_best: Write what the best checkpoint predicts, and with what, when a trial completes.
        rungs: Points at which a trial waits for a decision.
        speed_limit: Ends what is too slow to be proven, published defaults excepted.
        smoke_rung: What a configuration has to pass first, published defaults excepted.
        promote_by: What trials are ranked by: the validation ``loss`` or ``metric``.
        max_silence_s: Seconds without a report after which a trial is ended; None: by what
            reports have taken.
    """

    model_path: str
    search_path: tuple[str, ...]
    rows: list[dict[str, NDArray[np.int64]]]
    metric: str
    trial_folder: Path
    checkpoint_interval_s: float
    early_stopping: bool
    num_cpus: int
    num_gpus: float
    keep_best: bool
    rungs: tuple[int, ...]
    speed_limit: SpeedLimit | None
    smoke_rung: SmokeRung | None = None
    promote_by: Literal["loss", "metric"] = "loss"
    max_silence_s: float | None = None
    storage: Storage | None = None
    num_workers: int = 1


def import_model(context: PhaseContext) -> ModelModule:
    """Load the phase's model module in this process."""
    sys.path[:0] = [folder for folder in context.search_path if folder not in sys.path]
    return load_model(context.model_path)


def make_job(trial: Trial, context: PhaseContext, dataset: Dataset) -> Job:
    """Return what a trial trains."""
    return Job(
        trial_id=trial.trial_id,
        config=trial.config,
        spec=dataset.spec,
        seed=trial.seed,
        budget_samples=trial.budget_samples,
        points=trial.points,
        metric=context.metric,
        target_sd=dataset.preparation.target_scale[1],
        early_stopping=context.early_stopping,
        speed_limit=None if trial.is_default else context.speed_limit,
        keep_best=context.keep_best,
        promote_by=context.promote_by,
    )
