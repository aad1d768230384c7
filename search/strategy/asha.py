"""Asynchronous successive halving (Li et al., 2020), strict, by promotion.

A trial that reaches a rung waits there with its checkpoint until it is among the best 1/factor
of all that have reached the rung so far; those that are at once go on at once. Nothing is
thrown away: what waits may be called for later, when more is known. Rungs are integers; a loss
that isn't finite is the worst and stops at once; nothing is ever let through for lack of a
number.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right, insort
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any, Literal


@dataclass(frozen=True)
class Decision:
    """What happens to a trial next, and why.

    Attributes:
        action: ``continue``, ``pause`` (it keeps its state and may be called again) or ``stop``.
        reason: In words; empty where nothing was decided.
        numbers: What the decision rests on.
        failed: The stop is a failure of the trial (its loss isn't finite), not a rank.
    """

    action: Literal["continue", "pause", "stop"] = "continue"
    reason: str = ""
    numbers: dict[str, Any] = field(default_factory=dict)
    failed: bool = False


CONTINUE = Decision()


class Rung:
    """Who has reached a budget with which loss, and who of them waits there.

    Args:
        samples: The budget.
        factor: The best 1/factor go on.
    """

    def __init__(self, samples: int, factor: int) -> None:
        self.samples = samples
        self._factor = factor
        # Losses with the order of their arrival: of equal ones the earlier is the better.
        self._ranked: list[tuple[float, int]] = []
        self._queue: list[tuple[float, int, str]] = []
        self._places: dict[str, tuple[float, int]] = {}

    def __len__(self) -> int:
        return len(self._ranked)

    @property
    def num_kept(self) -> int:
        """How many of those that have come so far go on."""
        return len(self._ranked) // self._factor

    @property
    def waiting(self) -> list[str]:
        """The trials that wait, in the order of their arrival."""
        return list(self._places)

    @property
    def limit(self) -> float | None:
        """The highest loss that goes on; None while none does."""
        return self._ranked[self.num_kept - 1][0] if self.num_kept else None

    def enter(self, trial_id: str, loss: float, *, waits: bool = True) -> int:
        """Enter a trial with its best loss; return its rank, from 1.

        Args:
            trial_id: The trial.
            loss: Finite, or infinite for one that failed.
            waits: Whether it may go on from here.
        """
        place = (loss, len(self._ranked))
        insort(self._ranked, place)
        if waits:
            self._places[trial_id] = place
            heappush(self._queue, (*place, trial_id))
        return bisect_right(self._ranked, place)

    def leave(self, trial_id: str) -> None:
        """Take note that a trial waits no longer."""
        self._places.pop(trial_id, None)

    def best_waiting(self) -> str | None:
        """Return the best trial that waits, if it is among those that go on."""
        while self._queue and self._queue[0][2] not in self._places:
            heappop(self._queue)
        if not self._queue or not self.num_kept:
            return None
        loss, order, trial_id = self._queue[0]
        return trial_id if (loss, order) <= self._ranked[self.num_kept - 1] else None


class Asha:
    """The rungs of one bracket.

    Args:
        rungs: Rising integers, in training samples. At the last one trials end by themselves.
        factor: The best 1/factor go on.
        first: Number of the first of these rungs in the run's ladder.
    """

    def __init__(self, rungs: tuple[int, ...], factor: int, first: int = 0) -> None:
        assert all(low < high for low, high in itertools.pairwise(rungs))
        self.rungs = rungs
        self.factor = factor
        self._first = first
        self._rungs = {samples: Rung(samples, factor) for samples in rungs}

    def report(
        self, trial_id: str, point: int, loss: float, standing: str | None = None
    ) -> Decision:
        """Enter a trial's best validation loss at ``point`` samples, and decide on it.

        Args:
            trial_id: The trial.
            point: Planned samples; a decision falls only where this is a rung.
            loss: The trial's best validation loss so far; infinite or NaN when it failed.
            standing: The same in words.
        """
        if not math.isfinite(loss):
            return Decision("stop", f"validation loss is {loss}", {"loss": loss}, failed=True)
        if point not in self._rungs:
            return CONTINUE
        rung = self._rungs[point]
        is_last = point == self.rungs[-1]
        rank = rung.enter(trial_id, loss, waits=not is_last)
        if is_last:
            return CONTINUE
        numbers = {
            "rung": self._first + self.rungs.index(point),
            "samples": point,
            "loss": loss,
            "rank": rank,
            "of": len(rung),
            "kept": rung.num_kept,
            "limit": rung.limit,
        }
        words = (
            f"rung {numbers['rung']} ({point} samples): {standing or f'loss {loss:.4g}'} is "
            f"{rank} of {len(rung)}"
        )
        if rank <= rung.num_kept:
            rung.leave(trial_id)
            return Decision("continue", f"{words}, goes on", numbers)
        return Decision("pause", f"{words}, the best {rung.num_kept} go on", numbers)

    def pass_by(self, trial_id: str, point: int, loss: float) -> None:
        """Enter the loss of a trial that isn't judged, for the ranks of the others."""
        if point in self._rungs:
            self._rungs[point].enter(trial_id, loss, waits=False)

    def fail(self, trial_id: str, reached: int) -> int | None:
        """Enter a failed trial as the worst at the rung that it was on the way to.

        Args:
            trial_id: The trial.
            reached: Samples of its last finite evaluation.

        Returns:
            The rung; None beyond the last.
        """
        self.withdraw(trial_id)
        missed = next((rung for rung in self.rungs if rung > reached), None)
        if missed is not None:
            self._rungs[missed].enter(trial_id, math.inf, waits=False)
        return missed

    def complete(self, trial_id: str, reached: int, loss: float) -> None:
        """Enter the loss of a trial that has ended early at the rungs that it left out."""
        self.withdraw(trial_id)
        for samples, rung in self._rungs.items():
            if samples > reached:
                rung.enter(trial_id, loss, waits=False)

    def withdraw(self, trial_id: str) -> None:
        """Take note that a trial goes on, or has ended: it waits nowhere."""
        for rung in self._rungs.values():
            rung.leave(trial_id)

    def promotable(self) -> tuple[str, int] | None:
        """Return a trial that may go on and the rung to go to, the highest rung first."""
        for low, high in reversed(list(itertools.pairwise(self.rungs))):
            trial_id = self._rungs[low].best_waiting()
            if trial_id is not None:
                return trial_id, high
        return None

    def reached(self, rung: int) -> int:
        """Return how many trials have reached ``rung``."""
        return len(self._rungs[rung])
