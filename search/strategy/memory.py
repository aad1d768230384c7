"""What a searcher remembers: as much as a model can use, however many trials there are."""

from __future__ import annotations

import math
from bisect import insort
from collections import deque
from collections.abc import Iterable

from search.space import Config
from search.strategy.ranking import Observation, name_of

NUM_BEST = 400
"""Observations that are kept for their rank."""
NUM_LATEST = 600
"""Others that are kept until as many newer ones have come."""


class Memory:
    """Observations: the best for good, of the others the latest.

    Better is what was seen at a higher rung; at the same rung, the lower loss. To add one costs
    the same however many have come.
    """

    def __init__(self) -> None:
        self._num_added = 0
        self._best: list[tuple[int, float, int, Observation]] = []
        self._latest: deque[tuple[int, Observation]] = deque(maxlen=NUM_LATEST)

    def __len__(self) -> int:
        """How many observations have been added."""
        return self._num_added

    def add(self, observation: Observation) -> None:
        """Take in an observation."""
        place = (-observation.samples, observation.loss, self._num_added, observation)
        self._num_added += 1
        if math.isnan(observation.loss):
            self._latest.append((place[2], observation))
            return
        insort(self._best, place)
        if len(self._best) > NUM_BEST:
            _, _, number, worst = self._best.pop()
            self._latest.append((number, worst))

    def extend(self, observations: Iterable[Observation]) -> None:
        """Take in several."""
        for observation in observations:
            self.add(observation)

    def observations(self) -> list[Observation]:
        """Return what is kept, in the order in which it was added."""
        kept = [*self._latest, *((number, each) for _, _, number, each in self._best)]
        return [each for _, each in sorted(kept, key=lambda pair: pair[0])]

    def ranked(self) -> dict[str, Config]:
        """Return the different configurations that are kept by name, the best first.

        Failed ones are the last.
        """
        ranked = [each for _, loss, _, each in self._best if loss != math.inf]
        different: dict[str, Config] = {}
        for each in [*ranked, *self.observations()]:
            different.setdefault(name_of(each.config), each.config)
        return different

    def best(self, number: int) -> list[Config]:
        """Return the best different configurations, the best first, failed ones left out."""
        different: dict[str, Config] = {}
        for _, loss, _, observation in self._best:
            if loss == math.inf or len(different) == number:
                continue
            different.setdefault(name_of(observation.config), observation.config)
        return list(different.values())
