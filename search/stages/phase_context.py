"""What the trials of a phase are given."""

from __future__ import annotations

from collections.abc import Sequence

from search.data.phase_rows import Rows
from search.events import Phase
from search.execution.cluster import TrialResources
from search.execution.context import PhaseContext
from search.speed import SpeedLimit
from search.stages.material import Material
from search.stages.run_context import RunContext


def make_phase_context(
    run: RunContext,
    material: Material,
    resources: TrialResources,
    phase: Phase,
    rows: Sequence[dict[str, Rows]],
    rungs: tuple[int, ...] = (),
    speed_limit: SpeedLimit | None = None,
) -> PhaseContext:
    """Return what all trials of a phase share.

    Args:
        run: The run.
        material: Its data and model.
        resources: What a trial gets.
        phase: The phase.
        rows: Row numbers of the parts, once for each division of the data.
        rungs: Points at which a trial waits for a decision.
        speed_limit: Ends what is too slow to be proven.
    """
    training, confirm = run.study.training, phase == "confirm"
    return PhaseContext(
        model_path=material.model.path,
        search_path=run.search_path,
        rows=list(rows),
        metric=material.metric,
        trial_folder=run.dir.trial_folder(phase),
        storage=run.dir.trial_storage(phase),
        num_workers=num_workers(run, phase),
        checkpoint_interval_s=training.checkpoint_interval_s,
        early_stopping=training.early_stopping and not confirm,
        num_cpus=resources.num_cpus,
        num_gpus=resources.num_gpus,
        keep_best=confirm,
        rungs=rungs,
        speed_limit=speed_limit,
        promote_by=run.study.promote_by,
        max_silence_s=training.max_silence_s,
    )


def num_workers(run: RunContext, phase: Phase) -> int:
    """Return how many processes share a training of a phase."""
    return run.study.confirm.workers_per_run if phase == "confirm" else 1
