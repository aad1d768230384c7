"""The preflight: is the model sound, before it is tuned (after Karpathy's recipe)."""

from __future__ import annotations

from collections.abc import Callable

import torch

from search.data import Dataset
from search.data.batches import Resident
from search.data.phase_rows import RowPlan
from search.errors import SieveError
from search.findings import Finding, warn
from search.study import Study
from search.task import ModelModule
from search.training.job import Rows
from search.training.preflight.bench import NO_TIME, Bench, OutOfTime
from search.training.preflight.looks import LOOKS
from search.training.preflight.memory import check_gpu_memory
from search.training.preflight.own import check_predictions
from search.training.preflight.ranges import check_batch_size, check_learning_rate
from search.training.preflight.trials import TRIALS
from search.training.threads import use_threads

__all__ = ["CHECKS", "Bench", "preflight", "preflight_on", "preflight_seconds"]

_Checks = dict[str, tuple[Callable[[Bench], list[Finding]], str]]
_RANGES: _Checks = {
    "learning_rate": (check_learning_rate, ""),
    "batch_size": (check_batch_size, "too few rows to compare batch sizes"),
    "gpu_memory": (check_gpu_memory, "no GPU here"),
}
_CHECKS = {**LOOKS, **TRIALS, **_RANGES}
CHECKS = tuple(_CHECKS)
"""Every check, in their order."""
BUDGET_SHARE, LEAST_SECONDS = 0.02, 20.0
_ALONE = ("output_width", "gradients")
"""Where one of these fails, the others would only say the same in other words."""


def preflight_seconds(time_budget: float | None) -> float:
    """Return what a preflight may take: 2 % of the budget, or 20 s, whichever is more."""
    return max(BUDGET_SHARE * (time_budget or 0.0), LEAST_SECONDS)


def preflight_on(model: ModelModule, dataset: Dataset, study: Study) -> list[Finding]:
    """Look at a model's first published default on a data set, on the best device here.

    Raises:
        ModelError: The model breaks its contract.
    """
    use_threads(study.resources.cpus_per_trial)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    plan = RowPlan.of(dataset, seed=study.seed)
    rows = Rows.of(plan.search(len(plan.train)))
    config = model.defaults(dataset.spec)[0].config
    seconds = preflight_seconds(study.time_budget)
    return preflight(Bench(model, config, dataset.spec, Resident(dataset, device), rows, seconds))


def preflight(bench: Bench) -> list[Finding]:
    """Check a model on its way through the data.

    Args:
        bench: What is tried; of a loop of its own only what it leaves to predict with.

    Returns:
        At least one finding for each check; one that the time was too short for passes and says
        so. After one without which the others are senseless has failed, no more.
    """
    if bench.model.build is None:
        message = "the model trains by a loop of its own, which can't be looked into"
        return [Finding("gradients", "PASS", message), check_predictions(bench)]
    looks = _checked(bench, LOOKS)
    if _is_senseless(looks):
        return looks
    bench.let_go()
    return [*looks, *_checked(bench, {**TRIALS, **_RANGES})]


def _checked(bench: Bench, checks: _Checks) -> list[Finding]:
    findings: list[Finding] = []
    for name, (check, all_is_well) in checks.items():
        findings += _attempt(name, check, bench) or [Finding(name, "PASS", all_is_well)]
        if _is_senseless(findings):
            break
    return findings


def _is_senseless(findings: list[Finding]) -> bool:
    """Return whether the checks to come would only repeat what was found."""
    return any(each.check in _ALONE and each.status == "FAIL" for each in findings)


def _attempt(name: str, check: Callable[[Bench], list[Finding]], bench: Bench) -> list[Finding]:
    if bench.seconds_left <= 0:
        return [Finding(name, "PASS", NO_TIME)]
    try:
        return check(bench)
    except SieveError:
        raise
    except OutOfTime as short:
        return [Finding(name, "PASS", str(short))]
    except Exception as error:
        lines = str(error).splitlines() or [""]
        message = f"build, forward or backward raised {type(error).__name__}: {lines[0]}"
        return [warn(name, message, "run 'sieve check-model' on it", fails=True)]
