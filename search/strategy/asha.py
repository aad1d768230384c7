"""Asynchronous successive halving (Li et al., 2020), strict.

The stopping variant: at each rung a trial goes on if it is among the best 1/factor of all that
have reached the rung so far. Rungs are integers; a loss that isn't finite is the worst and
stops at once; nothing is ever let through for lack of a number.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right, insort
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Decision:
    """What happens to a trial next, and why.

    Attributes:
        action: ``continue`` or ``stop``.
        reason: In words; empty where nothing was decided.
        numbers: What the decision rests on.
        failed: The stop is a failure of the trial (its loss isn't finite), not a rank.
    """

    action: Literal["continue", "stop"] = "continue"
    reason: str = ""
    numbers: dict[str, Any] = field(default_factory=dict)
    failed: bool = False


CONTINUE = Decision()


class Asha:
    """The rungs of one bracket and who reached them with which loss.

    Args:
        rungs: Rising integers, in training samples. At the last one trials end by themselves.
        factor: The best 1/factor go on.
    """

    def __init__(self, rungs: tuple[int, ...], factor: int) -> None:
        assert all(low < high for low, high in itertools.pairwise(rungs))
        self.rungs = rungs
        self.factor = factor
        self._losses: dict[int, list[float]] = {rung: [] for rung in rungs}

    def report(self, point: int, loss: float) -> Decision:
        """Enter a trial's best validation loss at ``point`` samples, and decide on it.

        Args:
            point: Planned samples; a decision falls only where this is a rung.
            loss: The trial's best validation loss so far; infinite or NaN when it failed.
        """
        if not math.isfinite(loss):
            return Decision("stop", f"validation loss is {loss}", {"loss": loss}, failed=True)
        if point not in self._losses:
            return CONTINUE
        losses = self._losses[point]
        insort(losses, loss)
        if point == self.rungs[-1]:
            return CONTINUE
        rank = bisect_right(losses, loss)
        kept = max(1, len(losses) // self.factor)
        numbers = {
            "rung": self.rungs.index(point),
            "samples": point,
            "loss": loss,
            "rank": rank,
            "of": len(losses),
            "kept": kept,
        }
        words = (
            f"rung {numbers['rung']} ({point} samples): loss {loss:.4g} is {rank} of {len(losses)}"
        )
        if rank <= kept:
            return Decision("continue", f"{words}, goes on", numbers)
        return Decision("stop", f"{words}, the best {kept} go on", numbers)

    def reached(self, rung: int) -> int:
        """Return how many trials have reached ``rung``."""
        return len(self._losses[rung])
