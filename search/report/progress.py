"""The state of a running search as a display needs it, kept from plain events.

Whoever runs the trials calls the event methods; displays read the properties, or subscribe to
the events themselves. Nothing here draws.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Update = dict[str, Any]
"""An event as plain values: ``event`` (the method's name) and the method's arguments."""

_ENDED = ("completed", "stopped", "failed")


@dataclass
class TrialProgress:
    """What is known of one trial.

    Attributes:
        trial_id: Its id.
        phase: The phase that it belongs to.
        config: Its configuration.
        source: Who proposed it.
        status: ``running``, ``paused`` (at a rung), ``completed``, ``stopped`` or ``failed``.
        losses: Validation losses in the order of evaluation, not finite ones included.
        samples_seen: Training samples so far.
        budget_samples: Training samples at which it would end.
        best_loss: Lowest finite validation loss; infinity without any.
        best_metric: Validation metric at that evaluation.
    """

    trial_id: str
    phase: str
    config: Mapping[str, Any]
    source: str
    status: str = "running"
    losses: list[float] = field(default_factory=list)
    samples_seen: int = 0
    budget_samples: int = 0
    best_loss: float = math.inf
    best_metric: float = math.nan


@dataclass(frozen=True)
class Happening:
    """A line of the display's recent events; ``at`` is Unix time."""

    at: float
    phase: str
    text: str


@dataclass
class PhaseProgress:
    """A phase's times; ``ends_by`` and ``ended_at`` are None while unknown."""

    name: str
    started_at: float
    ends_by: float | None
    num_trials: int | None
    ended_at: float | None = None


class Progress:
    """Keeps the state of a search from its events; safe to read from another thread.

    All times are Unix times in seconds.

    Args:
        metric: The metric's name, for people.
        mode: ``max`` or ``min``: which of its values are better, for people.
        clock: Tells the present time.
    """

    def __init__(
        self,
        metric: str,
        mode: Literal["max", "min"],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.metric = metric
        self.mode = mode
        self.lock = threading.RLock()
        self._clock = clock
        self._phases: dict[str, PhaseProgress] = {}
        self._phase: str | None = None
        self._trials: dict[str, TrialProgress] = {}
        self._recent: deque[Happening] = deque(maxlen=8)
        self._listeners: list[Callable[[Update], None]] = []

    def subscribe(self, listener: Callable[[Update], None]) -> None:
        """Call ``listener`` after each event with its plain values."""
        self._listeners.append(listener)

    def phase_started(
        self, phase: str, *, at: float, ends_by: float | None, num_trials: int | None
    ) -> None:
        """A phase began.

        Args:
            phase: Its name.
            at: When.
            ends_by: When its time budget ends; None without one.
            num_trials: How many trials it will start; None when that is open.
        """
        with self.lock:
            self._phases[phase] = PhaseProgress(phase, at, ends_by, num_trials)
            self._phase = phase
            self._tell("phase_started", phase=phase, at=at, ends_by=ends_by, num_trials=num_trials)

    def trial_started(
        self, trial_id: str, config: Mapping[str, Any], source: str, at: float
    ) -> None:
        """A trial of the present phase began, or goes on after a pause."""
        with self.lock:
            known = self._trials.get(trial_id)
            if known is None:
                phase = self._phase or ""
                self._trials[trial_id] = TrialProgress(trial_id, phase, dict(config), source)
            else:
                known.status = "running"
            self._tell(
                "trial_started", trial_id=trial_id, config=dict(config), source=source, at=at
            )

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
        """A trial was evaluated; losses that aren't finite are kept but are never the best."""
        with self.lock:
            trial = self._trial(trial_id)
            trial.losses.append(validation_loss)
            trial.samples_seen, trial.budget_samples = samples_seen, budget_samples
            if math.isfinite(validation_loss) and validation_loss < trial.best_loss:
                trial.best_loss, trial.best_metric = validation_loss, validation_metric
            self._tell(
                "trial_reported",
                trial_id=trial_id,
                samples_seen=samples_seen,
                budget_samples=budget_samples,
                train_loss=train_loss,
                validation_loss=validation_loss,
                validation_metric=validation_metric,
                at=at,
            )

    def trial_paused(self, trial_id: str, reason: str, at: float) -> None:
        """A trial waits at a rung; it may be called again."""
        with self.lock:
            self._trial(trial_id).status = "paused"
            self._tell("trial_paused", trial_id=trial_id, reason=reason, at=at)

    def trial_ended(self, trial_id: str, status: str, reason: str, at: float) -> None:
        """A trial ended; ``status`` is ``completed``, ``stopped`` or ``failed``."""
        with self.lock:
            trial = self._trial(trial_id)
            trial.status = status
            if status != "completed":
                said = f"{trial_id} {status}" + (f": {reason}" if reason else "")
                self._recent.append(Happening(at, trial.phase, said))
            self._tell("trial_ended", trial_id=trial_id, status=status, reason=reason, at=at)

    def message(self, text: str, phase: str, at: float) -> None:
        """Something notable was decided."""
        with self.lock:
            self._recent.append(Happening(at, phase, text))
            self._tell("message", text=text, phase=phase, at=at)

    def phase_ended(self, phase: str, at: float) -> None:
        """A phase ended."""
        with self.lock:
            self._phases[phase].ended_at = at
            self._tell("phase_ended", phase=phase, at=at)

    def _trial(self, trial_id: str) -> TrialProgress:
        # A resumed run reports on trials that were started by the process before.
        fresh = TrialProgress(trial_id, self._phase or "", {}, "")
        return self._trials.setdefault(trial_id, fresh)

    def _tell(self, event: str, **values: Any) -> None:
        for listener in self._listeners:
            listener({"event": event, **values})

    @property
    def phase(self) -> str | None:
        """The present phase, or the last; None before the first."""
        return self._phase

    def phase_state(self, phase: str | None = None) -> PhaseProgress | None:
        """Return a phase's times; the present phase's by default, None before it began."""
        return self._phases.get(phase or self._phase or "")

    def trials(self, phase: str | None = None) -> list[TrialProgress]:
        """Return a phase's trials as they started; the present phase's by default."""
        wanted = phase or self._phase
        return [trial for trial in self._trials.values() if trial.phase == wanted]

    def elapsed(self, phase: str | None = None) -> float:
        """Return a phase's seconds so far; of the present phase by default, 0 before it."""
        state = self.phase_state(phase)
        if state is None:
            return 0.0
        now = self._clock() if state.ended_at is None else state.ended_at
        return max(now - state.started_at, 0.0)

    @property
    def budget_used(self) -> float | None:
        """The phase's used share in [0, 1], of its time or of its trials, whichever is more.

        A running trial counts by its share of samples. None when the phase has neither limit.
        """
        shares = [share for share in (self._time_used(), self._trials_used()) if share is not None]
        return min(max(shares), 1.0) if shares else None

    def _time_used(self) -> float | None:
        state = self.phase_state()
        if state is None or state.ends_by is None:
            return None
        length = state.ends_by - state.started_at
        return self.elapsed() / length if length > 0 else 1.0

    def _trials_used(self) -> float | None:
        state = self.phase_state()
        if state is None or not state.num_trials:
            return None
        done = sum(
            1.0 if each.status in _ENDED else each.samples_seen / max(each.budget_samples, 1)
            for each in self.trials()
        )
        return done / state.num_trials

    @property
    def eta_seconds(self) -> float | None:
        """Seconds to the phase's end at the present pace; None while nothing tells it."""
        state = self.phase_state()
        if state is None or state.ended_at is not None:
            return None if state is None else 0.0
        guesses = [] if state.ends_by is None else [state.ends_by - self._clock()]
        done = self._trials_used()
        if done:
            guesses.append(self.elapsed() * (1 - done) / done)
        return max(min(guesses), 0.0) if guesses else None

    @property
    def best(self) -> TrialProgress | None:
        """The present phase's best trial by validation loss."""
        return next(iter(self.best_trials(1)), None)

    def best_trials(self, num: int = 10, phase: str | None = None) -> list[TrialProgress]:
        """Return a phase's best trials by validation loss, without the failed ones."""
        live = [t for t in self.trials(phase) if t.status != "failed" and t.best_loss < math.inf]
        return sorted(live, key=lambda trial: trial.best_loss)[:num]

    @property
    def recent(self) -> list[Happening]:
        """The last eight messages and trials that were stopped or failed, oldest first."""
        return list(self._recent)

    def counts(self, phase: str | None = None) -> dict[str, int]:
        """Return how many trials of a phase were started, and how many are in each state."""
        states = [trial.status for trial in self.trials(phase)]
        return {"started": len(states)} | {
            status: states.count(status) for status in ("running", "paused", *_ENDED)
        }
