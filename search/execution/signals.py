"""SIGINT and SIGTERM ask the run to stop; a second one ends it at once."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Self

from search.errors import Interrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """A context in which the first signal sets a flag and the second raises.

    Every event is on disk as soon as it happened, so that nothing is lost either way.
    """

    def __init__(self) -> None:
        self._requested = False
        self._previous: dict[int, object] = {}

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            self._previous[number] = signal.getsignal(number)
        self.arm()
        return self

    def arm(self) -> None:
        """Take the signals over, again where somebody else has taken them."""
        for number in _SIGNALS:
            signal.signal(number, self._on_signal)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self._requested:
            raise Interrupted
        self._requested = True

    def requested(self) -> bool:
        """Whether a signal came."""
        return self._requested

    def check(self) -> None:
        """Raise :class:`Interrupted` if a signal came."""
        if self._requested:
            raise Interrupted
