"""A moment that moves with what is known, asked for often and worked out seldom."""

from __future__ import annotations

import math
from collections.abc import Callable

_SHARE, _LEAST = 0.01, 1e-4


class Deadline:
    """When something must end.

    Working it out may take as long as there are trials. It is done again when a hundredth of the
    time that was left has passed, so more and more often towards the end.

    Args:
        compute: Works it out, in seconds.
    """

    def __init__(self, compute: Callable[[], float]) -> None:
        self._compute = compute
        self._known = -math.inf
        self._valid_until = -math.inf

    def at(self, now: float) -> float:
        """Return the deadline as it is known at ``now``."""
        if now >= self._valid_until:
            self._known = self._compute()
            left = self._known - now
            self._valid_until = now + max(_SHARE * left, _LEAST * abs(self._known))
        return self._known
