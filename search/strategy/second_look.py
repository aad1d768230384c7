"""A second look at paused trials: late bloomers get their chance, at a price that evidence sets.

Some trainings learn nothing for long and then learn steadily. At a rung they rank last, and
successive halving would never hear of them again. Here a small share of the budget goes to paused
trials drawn by lot, which then train in full. How large the share is, and which kind of trial it
goes to, follows from what such looks have brought: where they never find anything the share
withers, where the trials that hadn't begun to learn turn out to be the best it grows until all of
them are given time.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field

import numpy as np

from search.strategy.bloomers import Kind

KINDS: tuple[Kind, ...] = ("flat", "improving", "settled")
PRIORS: dict[Kind, tuple[float, float]] = {
    "flat": (0.5, 4.5),
    "improving": (0.5, 4.5),
    "settled": (0.1, 4.9),
}
"""Successes and failures that a kind starts with."""
TOP: dict[Kind, float] = {"flat": 1.0, "improving": 0.2, "settled": 0.2}
"""A look succeeds whose trial ends in this share of those trained in full, the best of them. They
are the best of many: a flat curve that overtakes even one of them tells that to be flat is no bad
sign here."""
MAX_SHARE = 0.6


@dataclass
class _Pool:
    """The paused trials of a kind, and what looks at such trials have brought."""

    successes: float
    failures: float
    waiting: list[str] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)

    def add(self, trial_id: str) -> None:
        self.places[trial_id] = len(self.waiting)
        self.waiting.append(trial_id)

    def remove(self, trial_id: str) -> None:
        """Take a trial out; the last one takes its place."""
        place, last = self.places.pop(trial_id), self.waiting.pop()
        if last != trial_id:
            self.waiting[place], self.places[last] = last, place

    @property
    def success_rate(self) -> float:
        """The posterior's mean."""
        return self.successes / (self.successes + self.failures)


class SecondLook:
    """Who is looked at again, and what it may cost.

    Args:
        cost: Training samples that a look takes, at most.
        seed: Of the lots.
    """

    def __init__(self, cost: int, seed: int) -> None:
        self._cost = cost
        self._seed = seed
        self._pools = {kind: _Pool(*PRIORS[kind]) for kind in KINDS}
        self._kinds: dict[str, Kind] = {}
        self._looked: dict[str, Kind] = {}
        self._full: list[float] = []
        self._spent = {True: 0, False: 0}

    @property
    def share(self) -> float:
        """The share of all training samples that looks may take now."""
        rates = [pool.success_rate for pool in self._pools.values() if pool.waiting]
        return min(MAX_SHARE, max(rates, default=0.0))

    def spend(self, trial_id: str, samples: int) -> None:
        """Take note of training samples."""
        self._spent[trial_id in self._looked] += samples

    def pause(self, trial_id: str, kind: Kind) -> None:
        """Put a paused trial among those that lots are drawn for."""
        self._kinds[trial_id] = kind
        self._pools[kind].add(trial_id)

    def leave(self, trial_id: str) -> None:
        """Take note that a trial goes on, or has ended."""
        kind = self._kinds.pop(trial_id, None)
        if kind is not None:
            self._pools[kind].remove(trial_id)

    def forget_waiting(self) -> None:
        """Draw no lots for those that wait now."""
        for trial_id in list(self._kinds):
            self.leave(trial_id)

    def look(self, trial_id: str, now: str | None = None) -> None:
        """Take note that a drawn trial goes on.

        Args:
            trial_id: The trial.
            now: What it is called from now on; None: the same.
        """
        self._looked[now or trial_id] = self._kinds[trial_id]
        self.leave(trial_id)

    def kind_of(self, trial_id: str) -> Kind:
        """Return the kind of a paused trial."""
        return self._kinds[trial_id]

    def is_looked_at(self, trial_id: str) -> bool:
        """Say whether a trial was drawn: it isn't judged before its end."""
        return trial_id in self._looked

    def end(self, trial_id: str, loss: float) -> None:
        """Take in the loss of a trial that was trained in full, or its failure as infinity."""
        kind = self._looked.get(trial_id)
        is_good = kind is None or self._is_good(loss, TOP[kind])
        if kind is not None:
            self._pools[kind].successes += is_good
            self._pools[kind].failures += not is_good
        if is_good and np.isfinite(loss):
            insort(self._full, loss)

    def _is_good(self, loss: float, top: float) -> bool:
        """Say whether a loss is among the best of those trained in full, vain looks left out."""
        rank = bisect_left(self._full, loss)
        return bool(self._full) and rank < max(1.0, top * len(self._full))

    def draw(self, number: int) -> str | None:
        """Return the trial to look at now; None: it isn't time for one.

        Args:
            number: Of the draw; the same number and state give the same trial.
        """
        spent = self._spent[True] + self._spent[False]
        if not self._kinds or self._spent[True] + self._cost > self.share * spent:
            return None
        generator = np.random.default_rng([self._seed, number])
        # Thompson sampling: a kind is drawn as often as it is likely to be the best.
        drawn = {
            kind: generator.beta(pool.successes, pool.failures)
            for kind, pool in self._pools.items()
            if pool.waiting
        }
        waiting = self._pools[max(drawn, key=drawn.__getitem__)].waiting
        return waiting[int(generator.integers(len(waiting)))]
