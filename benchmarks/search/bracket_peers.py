"""Methods that hand out (configuration, fidelity) jobs: DEHB, SMAC, NePS."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.search.peer import Job, Peer
from benchmarks.search.tasks import FACTOR, Task
from search.space import Config, Dimension, Float, Integer


class BracketPeer(Peer):
    """A method whose jobs are whole trainings up to a fidelity.

    A configuration that comes again at a higher fidelity goes on from where it was. What is
    recommended is the lowest loss at the highest fidelity that has been reached.
    """

    def __init__(self, task: Task, seed: int) -> None:
        super().__init__(task, seed)
        self._trained: dict[str, int] = {}
        self._best: tuple[int, float, Config | None] = (0, np.inf, None)
        self._folder = tempfile.TemporaryDirectory(prefix="sieve-benchmark-")

    def _job(self, config: Config, fidelity: float, handle: Any) -> Job:
        until = min(max(round(fidelity), 1), self.task.rungs[-1])
        done = self._trained.get(repr(config), 0)
        return Job(config, until, done if done < until else 0, handle)

    def finish(self, job: Job, fidelity: int, loss: float) -> None:
        """Tell the method."""
        self._trained[repr(job.config)] = fidelity
        if (-fidelity, loss) < (-self._best[0], self._best[1]):
            self._best = (fidelity, loss, job.config)
        self._tell(job, loss)

    def _tell(self, job: Job, loss: float) -> None:
        raise NotImplementedError

    def reject(self, job: Job) -> None:
        """Tell the method that it failed: none of them can take a job back."""
        self._tell(job, float("inf"))

    def recommend(self) -> Config | None:
        """Return the incumbent."""
        return self._best[2]


class Dehb(BracketPeer):
    """DEHB (Awad et al., 2021) on the unit cube."""

    def __init__(self, task: Task, seed: int) -> None:
        from dehb import DEHB
        from loguru import logger

        super().__init__(task, seed)
        logger.remove()
        self._dehb = DEHB(
            f=lambda *_: None,
            dimensions=len(task.space.searched),
            min_fidelity=task.rungs[0],
            max_fidelity=task.rungs[-1],
            eta=FACTOR,
            seed=seed,
            n_workers=1,
            configspace=False,
            save_freq="end",
            output_path=self._folder.name,
        )

    def ask(self) -> Job:
        """Return its next job."""
        info = self._dehb.ask()
        return self._job(self.task.space.from_unit(info["config"]), info["fidelity"], info)

    def _tell(self, job: Job, loss: float) -> None:
        self._dehb.tell(job.handle, {"fitness": loss, "cost": float(job.until)})


class SmacMultiFidelity(BracketPeer):
    """SMAC's multi-fidelity facade: Hyperband with a random forest."""

    def __init__(self, task: Task, seed: int) -> None:
        from ConfigSpace import ConfigurationSpace
        from smac import MultiFidelityFacade, Scenario

        super().__init__(task, seed)
        space = ConfigurationSpace(seed=seed)
        space.add([_hyperparameter(dimension) for dimension in task.space.searched])
        scenario = Scenario(
            space,
            deterministic=True,
            min_budget=task.rungs[0],
            max_budget=task.rungs[-1],
            n_trials=1_000_000,
            seed=seed,
            output_directory=Path(self._folder.name),
        )
        intensifier = MultiFidelityFacade.get_intensifier(scenario, eta=FACTOR)
        self._facade = MultiFidelityFacade(
            scenario,
            lambda config, seed, budget: 0.0,  # noqa: ARG005 - it is only asked and told
            intensifier=intensifier,
            logging_level=logging.ERROR,
            overwrite=True,
        )

    def ask(self) -> Job:
        """Return its next job."""
        info = self._facade.ask()
        return self._job(dict(info.config), info.budget, info)

    def _tell(self, job: Job, loss: float) -> None:
        from smac.runhistory.dataclasses import TrialValue

        self._facade.tell(job.handle, TrialValue(cost=min(loss, 1e6)), save=False)


class Neps(BracketPeer):
    """One of NePS' algorithms, with the task's default as its prior where there is one.

    Args:
        task: What to search.
        seed: Of the global generators, which NePS draws from.
        algorithm: Its name in ``neps.algorithms``.
    """

    def __init__(self, task: Task, seed: int, algorithm: str) -> None:
        import neps
        import torch
        from neps.space import SearchSpace

        super().__init__(task, seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        space = SearchSpace(
            {
                **{d.name: _parameter(d, task.prior) for d in task.space.searched},
                "epoch": neps.HPOInteger(task.rungs[0], task.rungs[-1], is_fidelity=True),
            }
        )
        self._neps = neps.AskAndTell(_neps_algorithm(algorithm, task)(space))

    def ask(self) -> Job:
        """Return its next job."""
        trial = self._neps.ask()
        config = {name: trial.config[name] for name in self.task.space.names}
        return self._job(config, trial.config["epoch"], trial)

    def _tell(self, job: Job, loss: float) -> None:
        self._neps.tell(job.handle, loss)


def _neps_algorithm(name: str, task: Task) -> Callable[..., Any]:
    """Return an algorithm that takes the space.

    Raises:
        ImportError: ifBO's network can't be had; its package downloads the weights.
    """
    import neps

    algorithm: Callable[..., Any] = getattr(neps.algorithms, name)
    if name != "ifbo":
        return algorithm
    from ifbo.surrogate import FTPFN

    try:
        FTPFN()
    except (OSError, ValueError) as error:
        raise ImportError(f"ifBO's network can't be downloaded ({type(error).__name__})") from error
    return partial(algorithm, use_priors=task.prior is not None)


def _hyperparameter(dimension: Dimension) -> Any:
    from ConfigSpace import UniformFloatHyperparameter, UniformIntegerHyperparameter

    assert isinstance(dimension, Float | Integer)
    is_float = isinstance(dimension, Float)
    kind = UniformFloatHyperparameter if is_float else UniformIntegerHyperparameter
    return kind(dimension.name, dimension.low, dimension.high, log=dimension.log)


def _parameter(dimension: Dimension, prior: Config | None) -> Any:
    import neps

    assert isinstance(dimension, Float | Integer)
    kind = neps.HPOFloat if isinstance(dimension, Float) else neps.HPOInteger
    more = {} if prior is None else {"prior": prior[dimension.name], "prior_confidence": "medium"}
    return kind(dimension.low, dimension.high, log=dimension.log, **more)
