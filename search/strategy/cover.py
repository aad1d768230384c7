"""Every value of a choice gets one full training: that of its best trial.

A model's proposals are siblings, and what is good early fills the rungs: a kind of normalisation
that begins slower and ends better would never be seen at its end, and the model would know nothing
of it. So each value is taken to the next rung once, by the best trial that waits there with it.
Where none does, the best configuration so far is tried with it: one thing is changed, as a person
would.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from heapq import heappop, heappush

import numpy as np

from search.events import Promotion
from search.space import Choice, Config, Space, Value
from search.strategy.groups import hold
from search.strategy.ranking import name_of
from search.strategy.search_phase import Proposal

EVERY = 3
"""Of so many starts one at most is for a value's sake."""
WORST = 0.75
"""A trial must be among this share at the lowest rung: a value whose best trial is worse waits
for a better one."""
MOST_TURNS = 4
"""So often the number of values, then none is crossed any more: what is left can't be."""
CROSS = "value:"
"""The source of the best configuration so far with another value of a choice goes on with its name.
"""

_Named = tuple[str, Value]


class Cover:
    """Which values have come to which rungs, and who waits to bring others there.

    Args:
        space: Its unordered choices count; of numbers and of choices in order a model learns from
            the neighbours.
        rungs: Of the phase, rising.
    """

    def __init__(self, space: Space, rungs: tuple[int, ...]) -> None:
        choices = [d for d in space.searched if isinstance(d, Choice) and not d.ordered]
        values: list[_Named] = [(d.name, value) for d in choices for value in d.values]
        self._space, self._num_values = space, len(values)
        self._crossed: set[_Named] = set()
        self._names = [d.name for d in choices]
        self._lowest, self._next = rungs[0], dict(itertools.pairwise(rungs))
        self._missing = {rung: dict.fromkeys(values) for rung in rungs[1:]}
        self._queues: dict[tuple[int, _Named], list[tuple[float, int, str]]] = {}
        self._waiting: dict[str, Config] = {}
        self._num_paused = 0

    def cross(self, ranked: Callable[[], Mapping[str, Config]], turn: int) -> Proposal | None:
        """Return the best configuration with a value that none brings beyond the lowest rung.

        Args:
            ranked: Returns the configurations so far by name, the best first; of several values
                that is crossed first which a better one has.
            turn: Of the phase's trials for a value's sake; it seeds what is inactive in the best
                and in all that have the value.
        """
        unseen = self._unseen() if turn <= MOST_TURNS * self._num_values else []
        if not unseen or not (tried := ranked()):
            return None
        has = dict.fromkeys(named for config in tried.values() for named in self._values(config))
        for named in sorted(unseen, key=[*has, *unseen].index):
            config = self._with(named, list(tried.values()), turn)
            if config.get(named[0]) == named[1] and name_of(config) not in tried:
                return config, CROSS + named[0]
        return None

    def started(self, config: Config, source: str) -> None:
        """Take note of a trial: a value is crossed once."""
        if source.startswith(CROSS):
            name = source.removeprefix(CROSS)
            self._crossed.add((name, config[name]))

    def _unseen(self) -> list[_Named]:
        second = self._next.get(self._lowest)
        missing = self._missing[second] if second is not None else {}
        return [
            named
            for named in missing
            if named not in self._crossed and self._best(self._lowest, named) is None
        ]

    def _with(self, named: _Named, tried: list[Config], turn: int) -> Config:
        """Return the best with a value; what is inactive in it is as in the best that has it."""
        names, (name, value) = [d.name for d in self._space.searched], named
        place = names.index(name)
        units = np.random.default_rng([turn, place]).random((1, len(names)))
        has = [config for config in tried if config.get(name) == value]
        for config in (*has[:1], tried[0]):
            units = hold(self._space, units, config, ())
        (unit,) = units
        unit[place] = self._space[name].to_unit(value)
        return self._space.from_unit(unit)

    def _values(self, config: Config) -> list[_Named]:
        return [(name, config[name]) for name in self._names if name in config]

    def reach(self, config: Config, rung: int) -> None:
        """Take note that a configuration has come to a rung, or is on its way there."""
        for high, missing in self._missing.items():
            if high <= rung and missing:
                for named in self._values(config):
                    missing.pop(named, None)

    def pause(self, trial_id: str, config: Config, rung: int, loss: float, rank: float) -> None:
        """Take note that a trial waits at a rung.

        Args:
            trial_id: The trial.
            config: Its configuration.
            rung: Where it waits.
            loss: The lower, the better.
            rank: Its place there as a share, 1 for the last.
        """
        new = [n for n in self._values(config) if n in self._missing[self._next[rung]]]
        # Above the lowest rung siblings of the best are its peers: to be the last is no shame.
        if (rung == self._lowest and rank > WORST) or not new:
            return
        self._waiting[trial_id] = config
        self._num_paused += 1
        for named in new:
            queue = self._queues.setdefault((rung, named), [])
            heappush(queue, (loss, self._num_paused, trial_id))

    def leave(self, trial_id: str) -> None:
        """Take note that a trial waits no longer."""
        self._waiting.pop(trial_id, None)

    def call(self) -> Promotion | None:
        """Return the best trial that would be the first with a value, at the highest rung."""
        for low, high in reversed(self._next.items()):
            best = [each for named in self._missing[high] if (each := self._best(low, named))]
            if best:
                _, _, trial_id = min(best)
                return Promotion(trial_id, high, self._why(trial_id, high))
        return None

    def _best(self, rung: int, named: _Named) -> tuple[float, int, str] | None:
        queue = self._queues.get((rung, named), [])
        while queue and queue[0][2] not in self._waiting:
            heappop(queue)
        return queue[0] if queue else None

    def _why(self, trial_id: str, high: int) -> str:
        first = [n for n in self._values(self._waiting[trial_id]) if n in self._missing[high]]
        what = ", ".join(f"{name} = {value}" for name, value in first)
        return f"none with {what} has come so far yet"
