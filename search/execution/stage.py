"""Which phase is on: one experiment of Ray Tune serves them one after the other, and errands."""

from __future__ import annotations

import threading
from typing import Any, ClassVar, Protocol

from search.space import Config
from search.strategy.asha import Decision


class Handout(Protocol):
    """What a process is to do, a dataclass: a trial to train, or an errand."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def name(self) -> str:
        """Tells it from others."""

    @property
    def slot(self) -> int:
        """Where, from 0."""

    @property
    def config(self) -> Config:
        """The hyperparameters."""


class Driver(Protocol):
    """Who hands out what is to be done and is told of it: a phase's, or of errands."""

    cant_go_on: str | None

    @property
    def done(self) -> bool:
        """Whether nothing is left to start, and nothing runs."""

    @property
    def interrupted(self) -> bool:
        """Whether the run was asked to stop, or can't go on."""

    def next_trial(self) -> Handout | None:
        """Return what is to be started now."""

    def report(self, name: str, message: str, /) -> Decision:
        """Take in what a process sent, and decide on it."""

    def lost(self, name: str, reason: str, /) -> None:
        """Take note that a process has died."""

    def has_spare_slots(self) -> bool:
        """Say whether an idle process is to go."""

    def let_go(self, slot: int) -> None:
        """Take note that a slot's idle process has been let go."""


class Stage:
    """Hands phases from the run's thread to Tune's, and tells back when one has ended.

    Attributes:
        shared: Reference to what all processes share in the phase that is on.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._driver: Driver | None = None
        self.shared: Any = None
        self._is_idle = True
        self._is_closed = False
        self._why_lost = ""

    @property
    def driver(self) -> Driver:
        """The phase's that is on, or was last; there is one before Tune starts."""
        assert self._driver is not None
        return self._driver

    @property
    def is_over(self) -> bool:
        """Whether no phase will come any more: closed, or the run was asked to stop."""
        return self._is_closed or self.driver.interrupted

    def lose(self, why: str) -> None:
        """Take note of why the process has died of which the searcher will be told next."""
        self._why_lost = why

    def take_why_lost(self) -> str:
        """Return why the process has died of which the searcher has been told."""
        why, self._why_lost = self._why_lost, ""
        return why or "its process died, or raised outside of training"

    def begin(self, driver: Driver, shared: Any) -> None:
        """Let a phase begin; called by the run."""
        with self._condition:
            self._driver, self.shared = driver, shared
            self._is_idle = False
            self._condition.notify_all()

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait, at most so long, until the phase has ended; called by the run."""
        with self._condition:
            return self._condition.wait_for(lambda: self._is_idle, seconds)

    def close(self) -> None:
        """Say that no phase will come any more; called by the run."""
        with self._condition:
            self._is_closed = True
            self._condition.notify_all()

    def wait_for_phase(self, seconds: float) -> bool:
        """Say whether a phase is on; wait, at most so long, for one; called by Tune.

        A phase that has once been found done is over, also where it could go on by now: the run
        concludes it already.
        """
        driver, is_done = self._driver, self.driver.done
        with self._condition:
            if is_done and self._driver is driver:
                self._is_idle = True
                self._condition.notify_all()
            self._condition.wait_for(lambda: self._is_closed or not self._is_idle, seconds)
            return not self._is_idle
