"""The run's own time: seconds of work, added up over sessions."""

from __future__ import annotations

import time


class RunClock:
    """Counts the seconds of a run.

    Args:
        before: Seconds that earlier sessions have used.
    """

    def __init__(self, before: float = 0.0) -> None:
        self._zero = time.monotonic() - before

    def elapsed(self) -> float:
        """Return the seconds of all sessions so far."""
        return time.monotonic() - self._zero
