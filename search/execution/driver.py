"""Drives a phase: hands its trials out, feeds reports in, and writes everything down.

Ray's searcher and scheduler classes are thin adapters around one :class:`PhaseDriver`.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from typing import Any

from search.events import (
    Ending,
    Evaluation,
    Event,
    Pause,
    Proposals,
    Status,
    Trial,
    event_from_json,
)
from search.execution.chronicle import Chronicle, Observer
from search.execution.clock import RunClock
from search.execution.shelf import Shelf
from search.execution.slot_book import SlotBook
from search.execution.slot_driver import SlotDriver
from search.rundir import RunDir
from search.space import Config
from search.strategy.asha import CONTINUE, Decision
from search.strategy.phase import TIME_UP, PhaseStrategy

MAX_LOSSES = 4
"""So often a trial's process may die before that is called the trial's own failure."""
TAKEN_AWAY = "its machine was taken away"
"""The reason of a loss that is no sign against a trial: a spot machine went where notice was given.
"""
_WAIT_S = 0.1
"""A free slot waits so long for a model's answer, then it takes what there is without one."""


@dataclass(frozen=True)
class Handout:
    """A trial to run.

    Attributes:
        trial: The trial.
        reported: How many of its evaluations are known already, from an earlier session.
        slot: Where it runs, from 0.
    """

    trial: Trial
    reported: int
    slot: int

    @property
    def name(self) -> str:
        """The trial's id."""
        return self.trial.trial_id

    @property
    def config(self) -> Config:
        """The trial's hyperparameters."""
        return self.trial.config


class PhaseDriver(SlotDriver):
    """One phase of one run.

    Args:
        strategy: The phase; the events of earlier sessions are applied to it here.
        run: Where events and decisions are written.
        clock: The run's time.
        slots: How many trials may run now; it raises :class:`RunFailed` where the machines end the
            run.
        ends_at: When no more trials are started and running ones are stopped, in run time.
        stop_requested: Whether somebody asked the run to stop.
        observer: Who is told.
        repair: Accept a damaged event log, keeping what stands before the damage.
        shelf: Where the trials keep their states; None: nowhere.
        book: Of the session's slots; None: this phase's own.
    """

    def __init__(
        self,
        strategy: PhaseStrategy,
        run: RunDir,
        *,
        clock: RunClock,
        slots: Callable[[], int],
        ends_at: Callable[[], float],
        stop_requested: Callable[[], bool],
        observer: Observer,
        repair: bool = False,
        shelf: Shelf | None = None,
        book: SlotBook | None = None,
    ) -> None:
        super().__init__(slots, stop_requested, book)
        self.strategy = strategy
        self._shelf = shelf or Shelf(None)
        self._run = run
        self._clock = clock
        self._ends_at = ends_at
        self._chronicle = Chronicle(strategy, run, clock, observer)
        self._losses: Counter[str] = Counter()
        self._unheard: set[str] = set()  # since they were given to a process that had waited
        self._thinker = ThreadPoolExecutor(1, thread_name_prefix="sieve-model")
        self._answer: Future[Proposals] | None = None
        strategy.restore(run.events(strategy.phase, repair=repair))
        self._chronicle.show_restored()
        self._carry_out_decided()
        self._again = list(strategy.running.values())

    def _carry_out_decided(self) -> None:
        """Carry out the stops and pauses that a crash kept from the log."""
        for trial_id in list(self.strategy.running):
            decision = self.strategy.pending(trial_id)
            if decision is not None:
                self._carry_out(trial_id, decision, {})

    @property
    def finished(self) -> bool:
        """Whether nothing is left to start."""
        return self.interrupted or (not self._again and (self.time_up or self.strategy.exhausted))

    @property
    def done(self) -> bool:
        """Whether nothing is left to start, and nothing runs."""
        return self.finished and not self._live

    @property
    def time_up(self) -> bool:
        """Whether the phase's time has ended and enough is known to end it."""
        return self._clock.elapsed() >= self._ends_at() and self.strategy.has_enough

    @property
    def num_wanted(self) -> float:
        """How many trials may run side by side from now on, at most; infinite where time decides.

        They are those that run or are to be taken up again, and those that may still be started.
        """
        return len(self._live) + len(self._again) + self._num_startable()

    def _num_startable(self) -> float:
        most, history = self.strategy.num_trials, self.strategy.history
        if self.time_up:
            return 0
        if most is None:
            return math.inf
        new = max(most - len(history), 0)
        if not new and self.strategy.ask() is None:
            return 0  # what is called later finds the slot of the trial by which it is called
        return max(new + len(history.paused), 1)

    def next_trial(self) -> Handout | None:
        """Return a trial to start now; None while no slot is free, or when none is left."""
        if self._is_full or self.finished:
            return None
        trial = self._again.pop(0) if self._again else self._ask()
        if trial is None:
            return None
        if self._book.has_idle:
            self._unheard.add(trial.trial_id)
        reported = len(self.strategy.history[trial.trial_id].evaluations)
        return Handout(trial, reported, self._enter(trial.trial_id))

    def _ask(self) -> Trial | None:
        self._think(0.0 if self.strategy.has_proposals else _WAIT_S)
        job = self.strategy.ask()
        if job is None:
            return None
        self._apply(job)
        self._think(0.0)
        return self.strategy.running[job.trial_id]

    def _think(self, wait_s: float) -> None:
        """Do what the phase wants, put its question to the thinker, and take up its answer."""
        if self._answer is None:
            wanted = self.strategy.wants()
            if wanted is not None:
                self._apply(wanted)
            if self.strategy.question is None:
                return
            self._answer = self._thinker.submit(self.strategy.question)
        try:
            proposals = self._answer.result(timeout=wait_s)
        except NotYet:
            return
        self._answer = None
        self._apply(proposals)

    def close(self) -> None:
        """End the phase: what still waits at a rung when it is finished is stopped there."""
        self._thinker.shutdown(wait=True, cancel_futures=True)
        if self.interrupted:
            return
        for record in self.strategy.history.paused:
            self._apply(record.not_called_again())

    def after_events(self, do: Callable[[], None]) -> None:
        """Do something when the events so far are safe where the run is kept."""
        self._run.after_events(do)

    def report(self, trial_id: str, events: str) -> Decision:
        """Take in what a trial sent, and decide on it.

        Args:
            trial_id: The trial.
            events: JSON: its evaluations and, when it ended, its ending (``events``);
                ``vitals``, which an ending that is decided here needs; a ``note`` to the user;
                ``stop_run``, why the run can't go on; ``state_bytes`` of its state on disk.
        """
        decision = CONTINUE
        self._unheard.discard(trial_id)
        received = json.loads(events)
        if received.get("stop_run"):
            self.cant_go_on = received["stop_run"]
            return CONTINUE
        self._shelf.hold(trial_id, received.get("state_bytes", 0))
        if received["note"]:
            self._chronicle.say("note", f"{trial_id}: {received['note']}")
        for values in received["events"]:
            decision = self._apply(event_from_json(values))
            if decision.action != "continue":
                break  # what a resumed trial sends after it is of no account
        record = self.strategy.history[trial_id]
        if record.ending is not None:
            if trial_id in self._live and record.ending.status == "stopped":
                self._chronicle.explain(record.ending, Decision("stop", record.ending.reason))
            self._leave(trial_id)
            self._shelf.clear(trial_id)
            return Decision("stop", record.ending.reason)
        if decision.action == "continue" and self.time_up:
            decision = Decision("stop", TIME_UP)
        self._carry_out(trial_id, decision, received["vitals"])
        return decision

    def _carry_out(self, trial_id: str, decision: Decision, vitals: dict[str, Any]) -> None:
        status: Status = "failed" if decision.failed else "stopped"
        match decision.action:
            case "continue":
                return
            case "pause":
                self._apply(Pause(trial_id, decision.reason, vitals))
                self._keep_to_the_budget()
            case "stop":
                self._apply(Ending(trial_id, status, decision.reason, **vitals))
                self._shelf.clear(trial_id)
        self._leave(trial_id)

    def _keep_to_the_budget(self) -> None:
        """Let go of states that have no room; their trials would begin again."""
        if not self._shelf.is_too_full:
            return
        for trial_id in self._shelf.make_room(self.strategy.history.paused):
            why = f"its state is deleted, {self._shelf.describe()}; it would begin again"
            self._chronicle.say("no room", f"{trial_id}: {why}")

    def lost(self, trial_id: str, reason: str) -> None:
        """Take up a trial again whose process died, elsewhere; the fourth time it is a failure.

        A process that had waited and was never heard of since may have gone before: that is no sign
        against the trial.
        """
        self._lose(trial_id)
        record = self.strategy.history[trial_id]
        if record.ending is not None:
            return
        if trial_id not in self._unheard and reason != TAKEN_AWAY:
            self._losses[trial_id] += 1
        self._unheard.discard(trial_id)
        if self._losses[trial_id] < MAX_LOSSES:
            self._chronicle.say("lost", f"{trial_id}: {reason}; it is taken up again")
            self._again.append(record.trial)
            return
        reason = f"{reason}, {MAX_LOSSES} times"
        self._apply(Ending(trial_id, "failed", reason))
        self._chronicle.say("lost", f"{trial_id}: {reason}")

    def _apply(self, event: Event) -> Decision:
        is_new = not isinstance(event, Evaluation) or event.evaluation > len(
            self.strategy.history[event.trial_id].evaluations
        )
        if not is_new:
            return CONTINUE
        self._chronicle.write(event)
        decision = self.strategy.apply(event)
        self._chronicle.explain(event, decision)
        self._chronicle.tell(event)
        return decision
