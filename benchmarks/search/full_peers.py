"""Methods that train everything in full: random search, and HyperOpt's TPE."""

from __future__ import annotations

import hyperopt
import numpy as np
from hyperopt import hp, tpe
from hyperopt.base import JOB_STATE_DONE, JOB_STATE_ERROR, STATUS_OK, Domain

from benchmarks.search.peer import Job, Peer
from benchmarks.search.tasks import Task
from search.space import Config


class RandomSearch(Peer):
    """Uniformly random configurations, trained in full."""

    def __init__(self, task: Task, seed: int) -> None:
        super().__init__(task, seed)
        self._generator = np.random.default_rng(seed)
        self._best: tuple[float, Config | None] = (np.inf, None)

    def ask(self) -> Job:
        """Return a random configuration."""
        width = len(self.task.space.searched)
        return Job(self.task.space.from_unit(self._generator.random(width)), self.task.rungs[-1])

    def finish(self, job: Job, fidelity: int, loss: float) -> None:  # noqa: ARG002
        """Keep the best."""
        if loss < self._best[0]:
            self._best = (loss, job.config)

    def reject(self, job: Job) -> None:
        """Forget it."""

    def recommend(self) -> Config | None:
        """Return the best."""
        return self._best[1]


class HyperoptTpe(RandomSearch):
    """HyperOpt's TPE as it ships, on the unit cube; running trials count as new."""

    def __init__(self, task: Task, seed: int) -> None:
        super().__init__(task, seed)
        self._names = [d.name for d in task.space.searched]
        space = {name: hp.uniform(name, 0.0, 1.0) for name in self._names}
        self._domain = Domain(lambda config: config, space, pass_expr_memo_ctrl=False)
        self._trials = hyperopt.Trials()

    def ask(self) -> Job:
        """Return what TPE suggests."""
        ids = self._trials.new_trial_ids(1)
        self._trials.refresh()
        seed = int(self._generator.integers(2**31 - 1))
        (document,) = tpe.suggest(ids, self._domain, self._trials, seed)
        self._trials.insert_trial_docs([document])
        self._trials.refresh()
        stored = next(t for t in self._trials._dynamic_trials if t["tid"] == ids[0])
        unit = [stored["misc"]["vals"][name][0] for name in self._names]
        return Job(self.task.space.from_unit(unit), self.task.rungs[-1], handle=stored)

    def finish(self, job: Job, fidelity: int, loss: float) -> None:
        """Tell it the loss."""
        super().finish(job, fidelity, loss)
        job.handle["state"] = JOB_STATE_DONE
        job.handle["result"] = {"loss": loss, "status": STATUS_OK}
        self._trials.refresh()

    def reject(self, job: Job) -> None:
        """Mark it as an error, which TPE leaves out."""
        job.handle["state"] = JOB_STATE_ERROR
        self._trials.refresh()
