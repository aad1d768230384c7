"""Optuna: TPE, TPE with its Hyperband pruner, and its Gaussian process sampler."""

from __future__ import annotations

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from benchmarks.search.peer import Job, Peer
from benchmarks.search.tasks import FACTOR, Task
from search.space import Choice, Config, Dimension, Float, Integer


class OptunaPeer(Peer):
    """A study with a sampler and a pruner; without a pruner every trial is trained in full.

    Args:
        task: What to search.
        seed: Of the sampler.
        sampler: Of Optuna's.
        pruner: Of Optuna's.
    """

    def __init__(
        self,
        task: Task,
        seed: int,
        sampler: optuna.samplers.BaseSampler,
        pruner: optuna.pruners.BasePruner | None = None,
    ) -> None:
        super().__init__(task, seed)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._prunes = pruner is not None
        pruner = pruner or optuna.pruners.NopPruner()
        self._study = optuna.create_study(sampler=sampler, pruner=pruner)
        self._distributions = {d.name: _distribution(d) for d in task.space.searched}

    def ask(self) -> Job:
        """Return a new trial."""
        trial = self._study.ask(self._distributions)
        return Job(dict(trial.params), self.task.rungs[-1], handle=trial)

    def report(self, job: Job, fidelity: int, loss: float) -> bool:
        """Ask the pruner."""
        if not self._prunes:
            return True
        job.handle.report(loss, fidelity)
        return not job.handle.should_prune()

    def finish(self, job: Job, fidelity: int, loss: float) -> None:
        """Tell the study: a pruned trial as pruned."""
        if fidelity == job.until:
            self._study.tell(job.handle, loss)
        else:
            self._study.tell(job.handle, state=optuna.trial.TrialState.PRUNED)

    def reject(self, job: Job) -> None:
        """Tell the study that the trial failed, which samplers leave out."""
        self._study.tell(job.handle, state=optuna.trial.TrialState.FAIL)

    def recommend(self) -> Config | None:
        """Return ``Study.best_params``."""
        try:
            return dict(self._study.best_trial.params)
        except ValueError:  # none is complete yet
            return None


def optuna_tpe(task: Task, seed: int) -> OptunaPeer:
    """TPE as Optuna ships it."""
    return OptunaPeer(task, seed, optuna.samplers.TPESampler(seed=seed))


def optuna_tpe_hyperband(task: Task, seed: int) -> OptunaPeer:
    """TPE with the Hyperband pruner, as Optuna's documentation advises."""
    pruner = optuna.pruners.HyperbandPruner(task.rungs[0], task.rungs[-1], FACTOR)
    return OptunaPeer(task, seed, optuna.samplers.TPESampler(seed=seed), pruner)


def optuna_gp(task: Task, seed: int) -> OptunaPeer:
    """The Gaussian process sampler."""
    return OptunaPeer(task, seed, optuna.samplers.GPSampler(seed=seed))


def _distribution(dimension: Dimension) -> BaseDistribution:
    match dimension:
        case Float():
            return FloatDistribution(dimension.low, dimension.high, log=dimension.log)
        case Integer():
            return IntDistribution(dimension.low, dimension.high, log=dimension.log)
        case Choice():
            return CategoricalDistribution(dimension.values)
    raise AssertionError(f"no task has a dimension like {dimension}")
