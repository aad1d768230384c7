"""Writes down what happens in a phase, and why, and tells it to whoever watches."""

from __future__ import annotations

import time
from typing import Any, Protocol

from search.events import (
    Asked,
    Ending,
    Evaluation,
    Event,
    Growth,
    Pause,
    Promotion,
    Proposals,
    Trial,
)
from search.execution.clock import RunClock
from search.rundir import RunDir
from search.strategy.asha import Decision
from search.strategy.phase import PhaseStrategy


class Observer(Protocol):
    """Who is told what happens, for a display."""

    def trial_started(self, trial_id: str, config: dict[str, Any], source: str, at: float) -> None:
        """A trial was handed out."""

    def trial_reported(
        self,
        trial_id: str,
        samples_seen: int,
        budget_samples: int,
        train_loss: float,
        validation_loss: float,
        validation_metric: float,
        at: float,
    ) -> None:
        """An evaluation came in."""

    def trial_paused(self, trial_id: str, reason: str, at: float) -> None:
        """A trial waits at a rung, its slot free."""

    def trial_ended(self, trial_id: str, status: str, reason: str, at: float) -> None:
        """A trial ended."""

    def message(self, text: str, phase: str, at: float) -> None:
        """Something else is worth a line."""


class Chronicle:
    """A phase's events, their reasons, and its observer.

    Args:
        strategy: The phase.
        run: Where events and journal are written.
        clock: The run's time.
        observer: Who is told.
    """

    def __init__(
        self, strategy: PhaseStrategy, run: RunDir, clock: RunClock, observer: Observer
    ) -> None:
        self._strategy = strategy
        self._run = run
        self._clock = clock
        self._observer = observer

    def show_restored(self) -> None:
        """Tell the observer what earlier sessions have done."""
        for record in self._strategy.history:
            self.tell(record.trial)
            for event in (*record.evaluations, record.pause, record.ending):
                if event is not None:
                    self.tell(event)

    def write(self, event: Event) -> None:
        """Append an event to the phase's log."""
        self._run.append_event(self._strategy.phase, event, elapsed=self._clock.elapsed())

    def say(self, event: str, text: str, **numbers: Any) -> None:
        """Enter something in the journal and show it."""
        phase = self._strategy.phase
        self._run.journal(phase, event, text, elapsed=self._clock.elapsed(), **numbers)
        self._observer.message(text, phase, time.time())

    def explain(self, event: Event, decision: Decision) -> None:
        """Enter why in the journal: a trial's decision at a rung, or its call from a pause."""
        match event:
            case Asked():
                return
            case Proposals():
                for change in event.changes:
                    text = f"{change['dimension']}: {change['why']}"
                    self.say(change["change"], text, after=change["after"])
                return
            case Growth():
                self.say("grow", event.reason, **event.numbers)
                return
            case Promotion():
                decision = Decision("continue", event.reason, {"samples": event.rung})
        if decision.reason:
            self._run.journal(
                self._strategy.phase,
                "promote" if decision.action == "continue" else decision.action,
                f"{event.trial_id}: {decision.reason}",
                elapsed=self._clock.elapsed(),
                **decision.numbers,
            )

    def tell(self, event: Event) -> None:
        """Tell the observer of an event that has been applied to the phase."""
        at, observer, history = time.time(), self._observer, self._strategy.history
        match event:
            case Trial():
                observer.trial_started(event.trial_id, event.config, event.source, at)
            case Promotion():
                trial = history[event.trial_id].trial
                observer.trial_started(trial.trial_id, trial.config, trial.source, at)
            case Pause():
                observer.trial_paused(event.trial_id, event.reason, at)
            case Ending():
                observer.trial_ended(event.trial_id, event.status, event.reason, at)
            case Evaluation():
                observer.trial_reported(
                    event.trial_id,
                    event.samples_seen,
                    history[event.trial_id].trial.budget_samples,
                    event.train_loss,
                    event.validation_loss,
                    event.validation_metric,
                    at,
                )
