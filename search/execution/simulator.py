"""Runs a phase in simulated time: discrete events, any number of workers, no Ray.

The phase is the very object that runs on Ray; only the trainings are replaced by a
:class:`World` that knows what an evaluation would have said and how long it would have taken.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from search.events import Ending, Evaluation, Event, Growth, Pause, Promotion, Status, Trial
from search.strategy.asha import Decision
from search.strategy.phase import TIME_UP, PhaseStrategy


class World(Protocol):
    """What trainings would say."""

    def evaluate(self, trial: Trial, number: int) -> tuple[float, Evaluation | Ending]:
        """Return a trial's ``number``-th evaluation, from 1, and the seconds since the one before.

        An :class:`Ending` where the trial fails, or ends early, instead.
        """

    def resume_seconds(self, trial: Trial, number: int) -> float:
        """Return what it costs to take a paused trial up again before evaluation ``number``."""


@dataclass(frozen=True)
class Happening:
    """An event and its time, in seconds."""

    at: float
    event: Event


class Simulator:
    """Workers without minds of their own.

    Args:
        world: What trainings say.
        num_workers: Trials at a time.
        listen: Told each event.
        now: The time to begin with, in seconds.
        thinks: Ask the phase's model.

    Attributes:
        now: Simulated seconds.
    """

    def __init__(
        self,
        world: World,
        num_workers: int,
        listen: Callable[[Happening], None] | None = None,
        *,
        now: float = 0.0,
        thinks: bool = True,
    ) -> None:
        self.now = now
        self._thinks = thinks
        self._world = world
        self._num_workers = num_workers
        self._listen = listen

    def run(self, phase: PhaseStrategy, until: float | Callable[[], float]) -> None:
        """Run a phase until it is exhausted, or its time is up.

        Args:
            phase: The phase, fresh or restored.
            until: Simulated seconds; what runs then is stopped. A function is asked again and
                again.
        """
        ends_at = until if callable(until) else lambda: until
        self._phase = phase
        self._queue: list[tuple[float, int, str, Evaluation | Ending]] = []
        self._number = 0
        self._fill()
        while self._queue and (self._queue[0][0] <= ends_at() or not phase.has_enough):
            self.now, _, trial_id, event = heapq.heappop(self._queue)
            self._take(trial_id, event)
            self._fill()
        self.now = max(self.now, ends_at()) if self._queue else self.now
        for record in phase.history.running:
            self._apply(Ending(record.trial.trial_id, "stopped", TIME_UP))
        for record in phase.history.paused:
            self._apply(record.not_called_again())

    def _fill(self) -> None:
        """Give the free workers something to do."""
        while len(self._phase.running) < self._num_workers:
            self._think()
            job = self._phase.ask()
            if job is None:
                return
            self._apply(job)
            waited = 0.0
            trial = self._phase.running[job.trial_id]
            if isinstance(job, Promotion):
                done = len(self._phase.history[job.trial_id].evaluations)
                waited = self._world.resume_seconds(trial, done + 1)
            self._train(trial, waited)

    def _think(self) -> None:
        wanted = self._phase.wants()
        if wanted is not None and (self._thinks or isinstance(wanted, Growth)):
            self._apply(wanted)
        if self._thinks and self._phase.question is not None:
            self._apply(self._phase.question())

    def _train(self, trial: Trial, waited: float = 0.0) -> None:
        done = len(self._phase.history[trial.trial_id].evaluations)
        seconds, event = self._world.evaluate(trial, done + 1)
        self._number += 1
        entry = (self.now + waited + seconds, self._number, trial.trial_id, event)
        heapq.heappush(self._queue, entry)

    def _take(self, trial_id: str, event: Evaluation | Ending) -> None:
        trial = self._phase.running[trial_id]
        decision = self._apply(event)
        if isinstance(event, Ending):
            return
        if decision.action == "pause":
            self._apply(Pause(trial_id, decision.reason))
        elif decision.action == "stop":
            status: Status = "failed" if decision.failed else "stopped"
            self._apply(Ending(trial_id, status, decision.reason))
        elif event.point == trial.points[-1]:
            self._apply(Ending(trial_id, "completed", "its budget is used up"))
        else:
            self._train(trial)

    def _apply(self, event: Event) -> Decision:
        decision = self._phase.apply(event)
        if self._listen is not None:
            self._listen(Happening(self.now, event))
        return decision
