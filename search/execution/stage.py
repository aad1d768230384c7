"""Which phase is on: one experiment of Ray Tune serves them one after the other."""

from __future__ import annotations

import threading

from search.execution.driver import PhaseDriver


class Stage:
    """Hands phases from the run's thread to Tune's, and tells back when one has ended."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._driver: PhaseDriver | None = None
        self._is_idle = True
        self._is_closed = False
        self._why_lost = ""

    @property
    def driver(self) -> PhaseDriver:
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

    def begin(self, driver: PhaseDriver) -> None:
        """Let a phase begin; called by the run."""
        with self._condition:
            self._driver = driver
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
