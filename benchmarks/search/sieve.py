"""sieve's own search on simulated workers: the very phases that run on Ray."""

from __future__ import annotations

import time
from typing import Literal

from benchmarks.search.peer import MAX_REJECTED, Trace
from benchmarks.search.tasks import FACTOR, Task
from search.execution.simulator import Happening, Simulator
from search.space import Config
from search.strategy.budget import Ladder
from search.strategy.method import Method
from search.study import FineSection, Study
from search.task import Default
from search.trials import Ending, Evaluation, Trial


class SurrogateWorld:
    """A task's surrogate as the simulator's world.

    Args:
        task: The task.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._rows: set[int] = set()
        self._rejected = 0

    def evaluate(self, trial: Trial, number: int) -> tuple[float, Evaluation | Ending]:
        """Return what the surrogate says at the trial's ``number``-th point."""
        if number == 1 and self._was_given(trial):
            return 0.0, Ending(trial.trial_id, "stopped", "its row was given before")
        done, point = (0, *trial.points)[number - 1 : number + 1]
        loss = float(self._task.curve(trial.config)[point - 1])
        seconds = self._task.seconds(trial.config, done, point)
        spent = self._task.seconds(trial.config, 0, point)
        measured = Evaluation(trial.trial_id, number, point, point, loss, loss, 0, 0, 0, spent)
        return seconds, measured

    def _was_given(self, trial: Trial) -> bool:
        if self._task.row is None or trial.source.startswith("survivor"):
            return False
        row = self._task.row(trial.config)
        is_known = row in self._rows and self._rejected < MAX_REJECTED
        self._rejected = self._rejected + 1 if is_known else 0
        self._rows.add(row)
        return is_known

    def resume_seconds(self, trial: Trial, number: int) -> float:  # noqa: ARG002
        """Nothing: the peers aren't charged for it either."""
        return 0.0


class _Recorder:
    """Follows the recommendation: the highest rung, and on it the lowest loss."""

    def __init__(self, rungs: tuple[int, ...]) -> None:
        self.trace = Trace()
        self._rungs = rungs
        self._configs: dict[str, Config] = {}
        self._best = (-1, float("inf"))

    def __call__(self, happening: Happening) -> None:
        event = happening.event
        if isinstance(event, Trial):
            self._configs[event.trial_id] = event.config
            self.trace.num_configs += 1
        if not isinstance(event, Evaluation) or event.point not in self._rungs:
            return
        level, loss = self._rungs.index(event.point), event.validation_loss
        if (-level, loss) < (-self._best[0], self._best[1]):
            self._best = (level, loss)
            self.trace.note(happening.at, self._configs[event.trial_id])


def run_sieve(
    task: Task,
    seed: int,
    num_workers: int,
    seconds: float,
    *,
    with_prior: bool = False,
    searcher: Literal["gp", "tpe"] = "gp",
) -> Trace:
    """Run coarse, narrow and fine on a task.

    Args:
        task: The task.
        seed: Of the run.
        num_workers: Trials at a time.
        seconds: The budget, in simulated wall time.
        with_prior: Begin with the task's published default, as a run on Ray does.
        searcher: Who proposes in fine.
    """
    ladder = Ladder(task.rungs, FACTOR, spacing=task.rungs[-1])
    defaults = [Default(task.prior, "prior")] if with_prior and task.prior else []
    study = Study(seed=seed, time_budget=seconds, fine=FineSection(searcher=searcher))
    method = Method(study, task.space, defaults, ladder, slots=num_workers)
    recorder, began = _Recorder(task.rungs), time.process_time()
    simulator = Simulator(SurrogateWorld(task), num_workers, recorder)
    coarse = method.coarse()
    simulator.run(coarse, study.coarse.share * seconds)
    narrowed = method.narrow(coarse.history)
    focus = narrowed.focus if narrowed is not None else task.space
    fine = method.fine(focus, coarse.history)
    simulator.run(fine, seconds)
    recorder.trace.cpu_seconds = time.process_time() - began
    return recorder.trace
