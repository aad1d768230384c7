"""sieve's own search on simulated workers: the very phases that run on Ray."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmarks.search.peer import MAX_REJECTED, Trace
from benchmarks.search.tasks import FACTOR, Task
from search.events import Ending, Evaluation, Trial
from search.execution.simulator import Happening, Simulator
from search.space import Config
from search.strategy.budget import Ladder
from search.strategy.coarse import CoarsePhase
from search.strategy.fine import FinePhase
from search.strategy.method import Method
from search.strategy.phase import TIME_UP
from search.strategy.ranking import name_of
from search.study import FineSection, Study
from search.task import Default

ENOUGH_IN_FULL = 10
GIVEN_BEFORE = "its row was given before"


class SurrogateWorld:
    """A task's surrogate as the simulator's world.

    Args:
        task: The task.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._rows: set[int] = set()
        self._trained: set[str] = set()
        self._rejected = 0

    def evaluate(self, trial: Trial, number: int) -> tuple[float, Evaluation | Ending]:
        """Return what the surrogate says at the trial's ``number``-th point."""
        if number == 1 and self._was_given(trial):
            return 0.0, Ending(trial.trial_id, "stopped", GIVEN_BEFORE)
        done, point = (0, *trial.points)[number - 1 : number + 1]
        loss = float(self._task.curve(trial.config)[point - 1])
        seconds = self._task.seconds(trial.config, done, point)
        spent = self._task.seconds(trial.config, 0, point)
        measured = Evaluation(trial.trial_id, number, point, point, loss, loss, 0, 0, 0, spent)
        return seconds, measured

    def _was_given(self, trial: Trial) -> bool:
        name = name_of(trial.config)
        if self._task.row is None or name in self._trained:  # its own row, trained anew
            return False
        row = self._task.row(trial.config)
        is_known = row in self._rows and self._rejected < MAX_REJECTED
        self._rejected = self._rejected + 1 if is_known else 0
        self._rows.add(row)
        if not is_known:
            self._trained.add(name)
        return is_known

    def resume_seconds(self, trial: Trial, number: int) -> float:  # noqa: ARG002
        """Nothing: the peers aren't charged for it either."""
        return 0.0


class _Recorder:
    """Follows the recommendation: as for finalists, the lowest loss however long the training.

    A surrogate's training is worth its last loss, since it keeps no best checkpoint; of a
    configuration that is trained again in fine, the longer training counts. For the same reason
    a short training isn't named for a loss that the rest would spoil once there are trainings
    enough in full to choose from.
    """

    def __init__(self, rungs: tuple[int, ...]) -> None:
        self.trace = Trace()
        self._rungs = rungs
        self._configs: dict[str, Config] = {}
        self._measured: dict[str, tuple[int, float, Config]] = {}
        self._named = ""

    def __call__(self, happening: Happening) -> None:
        event = happening.event
        if isinstance(event, Trial):
            self._configs[event.trial_id] = event.config
            self._reach(event.trial_id, 0)
        if isinstance(event, Ending) and event.reason == GIVEN_BEFORE:
            self.trace.reached.pop(name_of(self._configs[event.trial_id]), None)
        if isinstance(event, Evaluation):
            self.trace.see(happening.at, event.validation_loss)
        if not isinstance(event, Evaluation) or event.point not in self._rungs:
            return
        self._reach(event.trial_id, event.point)
        config = self._configs[event.trial_id]
        name = name_of(config)
        if name not in self._measured or event.point >= self._measured[name][0]:
            self._measured[name] = event.point, event.validation_loss, config
        full = [n for n, (point, _, _) in self._measured.items() if point == self._rungs[-1]]
        among = full if len(full) >= ENOUGH_IN_FULL else self._measured
        best = min(among, key=lambda each: self._measured[each][1])
        if best != self._named:
            self._named = best
            self.trace.note(happening.at, self._measured[best][2])

    def _reach(self, trial_id: str, fidelity: int) -> None:
        self.trace.reach(self._configs[trial_id], fidelity)


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes:
        trace: What it recommended and trained.
        coarse: The phase, as it ended.
        fine: Likewise.
    """

    trace: Trace
    coarse: CoarsePhase
    fine: FinePhase


def search(
    task: Task,
    seed: int,
    num_workers: int,
    seconds: float,
    *,
    prior: Config | None = None,
    searcher: Literal["gp", "tpe"] = "gp",
) -> Found:
    """Run coarse, narrow and fine on a task.

    Args:
        task: The task.
        seed: Of the run.
        num_workers: Trials at a time.
        seconds: The budget, in simulated wall time.
        prior: A published default to begin with, as a run on Ray does.
        searcher: Who proposes in fine.
    """
    ladder = Ladder(task.rungs, FACTOR, spacing=task.rungs[-1])
    defaults = [Default(prior, "prior")] if prior else []
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
    recorder.trace.unfinished = {
        name_of(record.trial.config)
        for record in fine.history
        if record.ending is not None and record.ending.reason == TIME_UP
    }
    recorder.trace.cpu_seconds = time.process_time() - began
    assert isinstance(coarse, CoarsePhase)
    assert isinstance(fine, FinePhase)
    return Found(recorder.trace, coarse, fine)


def run_sieve(
    task: Task,
    seed: int,
    num_workers: int,
    seconds: float,
    *,
    prior: Literal["none", "published", "wrong"] = "none",
    searcher: Literal["gp", "tpe"] = "gp",
) -> Trace:
    """Search, with or without a default to begin with.

    Args:
        task: The task.
        seed: Of the run.
        num_workers: Trials at a time.
        seconds: The budget, in simulated wall time.
        prior: ``published`` begins with the task's own default, ``wrong`` with the worst of 200
            random configurations.
        searcher: Who proposes in fine.
    """
    begin = {"none": None, "published": task.prior, "wrong": None}[prior]
    if prior == "wrong":
        generator = np.random.default_rng([seed, 200])
        drawn = generator.random((200, len(task.space.searched)))
        begin = max(map(task.space.from_unit, drawn), key=task.regret_of)
    return search(task, seed, num_workers, seconds, prior=begin, searcher=searcher).trace
