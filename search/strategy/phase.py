"""A phase as a pure object: ask it for work, tell it events, it answers with decisions.

Its whole state follows from its arguments and the events applied to it. Applying a log of
events to a fresh phase restores it; whoever drives it (Ray, a simulator, a test) is of no
matter to it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

import numpy as np

from search.events import (
    Asked,
    Ending,
    Evaluation,
    Event,
    Growth,
    Pause,
    Phase,
    Promotion,
    Proposals,
    Trial,
)
from search.strategy.asha import CONTINUE, Decision
from search.strategy.budget import Ladder
from search.trials import History, Record

TIME_UP = "the phase's time is up"
"""Why a trial was stopped that ran when its phase ended."""


class PhaseStrategy(ABC):
    """What a driver needs of a phase.

    Attributes:
        phase: Its name.
        ladder: The rungs, and with them the evaluation points.
        history: What has happened so far.
        running: The trials that are being trained, by id.
        rungs: Where it decides on a trial beyond whether it has failed; none by default.
    """

    rungs: tuple[int, ...] = ()

    def __init__(self, phase: Phase, ladder: Ladder) -> None:
        self.phase = phase
        self.ladder = ladder
        self.history = History()
        self.running: dict[str, Trial] = {}
        self._pending: dict[str, Decision] = {}

    @abstractmethod
    def ask(self) -> Trial | Promotion | None:
        """Return what a free slot does next, to be applied as an event when it starts.

        None: nothing now; more may come when running trials have reported.
        """

    def wants(self) -> Asked | Growth | None:
        """Return what should happen before the next trial, to be applied as an event.

        A model should be asked, or the subsample should grow; None: nothing.
        """
        return None

    @property
    def question(self) -> Callable[[], Proposals] | None:
        """What is to be thought about beside the training; None: nothing.

        The answer is to be applied as an event. It follows from what was known when the question
        was asked, so that it may be worked out in a thread of its own, and again after a crash.
        """
        return None

    @property
    def has_proposals(self) -> bool:
        """Whether some of the last answer's are left, so that nobody waits for the next one."""
        return False

    def apply(self, event: Event) -> Decision:
        """Take in an event and decide on the trial that it belongs to.

        A stop or a pause stands until the event that carries it out comes in: where a crash came
        between the two, it is carried out at the next that is heard of the trial.
        """
        if not self.history.apply(event):
            return CONTINUE
        if isinstance(event, Evaluation):
            return self._decide(event)
        if isinstance(event, Asked):
            self.ask_model()
        elif isinstance(event, Proposals):
            self.take(event)
        elif isinstance(event, Growth):
            self.grow(event)
        else:
            self._move(event)
        return CONTINUE

    def _decide(self, event: Evaluation) -> Decision:
        pending = self._pending.get(event.trial_id)
        decision = pending or self.decide(self.history[event.trial_id], event)
        if decision.action != "continue":
            self._pending[event.trial_id] = decision
        return decision

    def _move(self, event: Trial | Pause | Promotion | Ending) -> None:
        """Keep who is running, and tell the phase what it has a use for."""
        record = self.history[event.trial_id]
        decided = self._pending.pop(event.trial_id, None)
        match event:
            case Trial() | Promotion():
                self.running[event.trial_id] = record.trial
                self.started(event)
            case Pause() | Ending():
                self.running.pop(event.trial_id, None)
        if isinstance(event, Ending) and (decided is None or decided.action != "stop"):
            self.settle(record)
        if isinstance(event, Pause | Ending):
            self.left(record)

    def decide(self, record: Record, evaluation: Evaluation) -> Decision:  # noqa: ARG002
        """Decide on a running trial after a new evaluation; by default it goes on."""
        return CONTINUE

    def ask_model(self) -> None:  # noqa: B027 - few have one
        """Put the question."""

    def take(self, proposals: Proposals) -> None:  # noqa: B027 - few have a use for it
        """Take up the answer to a question."""

    def started(self, event: Trial | Promotion) -> None:  # noqa: B027 - few have a use for it
        """Take note of a trial that starts, or goes on after a pause."""

    def settle(self, record: Record) -> None:  # noqa: B027 - few have a use for it
        """Take note of a trial that ended by itself."""

    def left(self, record: Record) -> None:  # noqa: B027 - few have a use for it
        """Take note of a trial whose slot is free again, since it pauses or has ended."""

    def grow(self, growth: Growth) -> None:  # noqa: B027 - few have a subsample
        """Let what starts from now on train on more rows."""

    def pending(self, trial_id: str) -> Decision | None:
        """Return the decision on a trial that hasn't been carried out yet; None without one."""
        return self._pending.get(trial_id)

    def restore(self, events: Iterable[Event]) -> None:
        """Apply the events of an earlier session."""
        for event in events:
            self.apply(event)

    @property
    def num_trials(self) -> int | None:
        """How many trials there will be; None where time decides."""
        return None

    @property
    def exhausted(self) -> bool:
        """Whether nothing is left to do: all trials were started, none runs, none may go on."""
        started = self.num_trials is not None and len(self.history) >= self.num_trials
        return started and not self.running and self.ask() is None

    @property
    def has_enough(self) -> bool:
        """Whether the phase may end when its time is up."""
        return True


def trial_seed(seed: int, number: int) -> int:
    """Return the training seed of trial ``number`` of a run seeded with ``seed``."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0] >> 1)
