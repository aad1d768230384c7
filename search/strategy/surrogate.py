"""Proposals from Gaussian processes of loss, cost and failure.

The process of the loss is one over (configuration, fidelity): it learns from every rung that a
trial has reached, not from its last result only, and is asked for the expected improvement at the
full budget. What a configuration costs and how likely it fails weigh in: a region that breaks,
and one that is slow without being better, don't eat the budget. Proposals come in batches: each
believes that those before it, and the trials that run, come out as the process expects.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from search.space import Config, Space
from search.strategy.candidates import draw_candidates
from search.strategy.encoding import Encoding
from search.strategy.gp import (
    GaussianProcess,
    Hyperparameters,
    expected_improvement,
    fit,
    standardise,
)
from search.strategy.groups import Group, hold
from search.strategy.ranking import Observation

Array = NDArray[np.float64]

MAX_OBSERVATIONS = 400
"""The process sees no more; those of the highest rungs first, then the best."""
MAX_CONFIGS = 200
"""Cost and failure are learnt from the last so many configurations."""
NUM_CENTRES = 6
COST_POWER = 0.5
"""Expected improvement is divided by the cost to this power: 1 is improvement per second, which
prefers what is cheap so much that it lingers there."""
RATE_SD = 0.1
"""Of the logarithm of what the same training costs a sample, from one time to another."""
SIDE_ITERATIONS = 6
MAX_BELIEVED = 24
"""Beyond so many proposals of a batch each is the best of a draw from the posterior (parallel
Thompson sampling, Kandasamy et al., 2018), which costs the same however many there are."""


@dataclass(frozen=True)
class Fitted:
    """The hyperparameters of all processes.

    Attributes:
        loss: Over configuration and fidelity.
        cost: Over the configuration.
        failure: Over the configuration.
    """

    loss: Hyperparameters
    cost: Hyperparameters
    failure: Hyperparameters

    def pack(self) -> Array:
        """Return one vector."""
        return np.concatenate([self.loss.pack(), self.cost.pack(), self.failure.pack()])

    @classmethod
    def unpack(cls, vector: Array) -> Fitted:
        """Read what :meth:`pack` returned."""
        side = (len(vector) - 1) // 3  # the loss has one lengthscale more, for the fidelity
        loss, cost, failure = np.split(vector, [side + 1, 2 * side + 1])
        return cls(*(Hyperparameters.unpack(each) for each in (loss, cost, failure)))


class Surrogate:
    """What the observations teach.

    Args:
        space: Where to search.
        observations: Of all rungs and phases; values outside of the space count at its edge.
        full: The budget at which a configuration shall be good.
        lowest: The lowest budget.
        start: Hyperparameters to begin from.
        refit: Look for better ones.
        by_time: Prefer what is cheap.
        max_seconds_per_sample: What is slower is of no use.
    """

    def __init__(
        self,
        space: Space,
        observations: Sequence[Observation],
        *,
        full: int,
        lowest: int,
        start: Fitted | None = None,
        refit: bool = True,
        by_time: bool = True,
        max_seconds_per_sample: float = math.inf,
    ) -> None:
        self.space = space
        self._encoding = Encoding(space)
        self._span = math.log(full / lowest) or 1.0
        self._full = full
        self._by_time = by_time
        self._start, self._refit = start, refit or start is None
        self._max_log_rate = math.log(max_seconds_per_sample)
        kept = _choose([each for each in observations if not math.isnan(each.loss)])
        self._configs = [each.config for each in kept]
        samples = np.array([each.samples for each in kept], dtype=np.float64)
        self._rows = self._encoding.encode(self._configs)
        inputs = self._with_fidelity(self._rows, samples)
        values = standardise(np.array([each.loss for each in kept]))
        groups = self._encoding.groups
        groups = np.append(groups, groups.max(initial=-1) + 1)
        known = start.loss if start else None
        self.process = self._fit(inputs, values, groups, known, has_fidelity=True)
        self._learn_cost_and_failure(observations)

    def _fit(
        self,
        inputs: Array,
        values: Array,
        groups: NDArray[np.intp],
        start: Hyperparameters | None,
        max_iterations: int = 15,
        *,
        has_fidelity: bool = False,
    ) -> GaussianProcess:
        if self._refit and values.any():
            return fit(inputs, values, groups, start, max_iterations, has_fidelity=has_fidelity)
        num_groups = int(groups.max(initial=-1)) + 1
        known = start or Hyperparameters.prior(num_groups, has_fidelity=has_fidelity)
        return GaussianProcess(inputs, values, groups, known, has_fidelity=has_fidelity)

    def _learn_cost_and_failure(self, observations: Sequence[Observation]) -> None:
        """Fit the processes of cost, in logarithms around their mean, and of failure, 0 or 1."""
        rates: dict[int, tuple[Config, float]] = {}
        fails: dict[int, tuple[Config, float]] = {}
        for each in reversed(observations):
            key = id(each.config)
            if self._by_time and math.isfinite(each.seconds_per_sample):
                rates.setdefault(key, (each.config, math.log(each.seconds_per_sample)))
            if not math.isnan(each.loss):
                fails.setdefault(key, (each.config, float(math.isinf(each.loss))))
        start = self._start
        costs = self._side_values(list(rates.values()))
        self._mean_log_rate = float(costs[1].mean()) if len(costs[1]) else 0.0
        costs[1][:] -= self._mean_log_rate
        self._cost = self._side_model(*costs, start.cost if start else None)
        failures = self._side_values(list(fails.values()))
        self._failure = self._side_model(*failures, start.failure if start else None)

    def _side_values(self, pairs: list[tuple[Config, float]]) -> tuple[Array, Array]:
        inputs = self._encoding.encode([config for config, _ in pairs[:MAX_CONFIGS]])
        return inputs, np.array([value for _, value in pairs[:MAX_CONFIGS]])

    def _side_model(
        self, inputs: Array, values: Array, start: Hyperparameters | None
    ) -> GaussianProcess:
        return self._fit(inputs, values, self._encoding.groups, start, SIDE_ITERATIONS)

    @property
    def fitted(self) -> Fitted:
        """The hyperparameters, to begin from next time."""
        processes = (self.process, self._cost, self._failure)
        return Fitted(*(process.hyperparameters for process in processes))

    def _with_fidelity(self, columns: Array, samples: Array | None = None) -> Array:
        """Append the fidelity: 1 at the full budget, 0 at the lowest, by its logarithm."""
        if samples is None:
            return np.column_stack([columns, np.ones(len(columns))])
        return np.column_stack([columns, 1.0 + np.log(samples / self._full) / self._span])

    def predict(self, configs: Sequence[Config]) -> tuple[Array, Array]:
        """Return mean and standard deviation of the loss at the full budget, standardised."""
        return self.process.predict(self._with_fidelity(self._encoding.encode(configs)))

    def worth(self, columns: Array) -> Array:
        """Return by what an expected improvement is multiplied: chance of success over cost."""
        cost = self._cost.at(columns)
        success = 1.0 - np.clip(self._failure.at(columns).mean, 0.0, 1.0)
        room = self._max_log_rate - self._mean_log_rate - cost.mean
        in_time = norm.cdf(room / np.hypot(cost.sd, RATE_SD))
        result: Array = success * in_time / np.exp(cost.mean) ** COST_POWER
        return result

    def propose(
        self,
        num: int,
        believed: Sequence[Config],
        generator: np.random.Generator,
        focus: Space | None = None,
        group: Group | None = None,
        again: Sequence[Config] = (),
    ) -> list[Config]:
        """Return the configurations to try next.

        Args:
            num: How many.
            believed: Configurations that are taken to come out as expected.
            generator: Draws the candidates.
            focus: A narrower space, from which half of the candidates are drawn that lie near to
                nothing known.
            group: The dimensions that may vary around the best configuration; None: all.
            again: Configurations that are known and yet may be proposed.
        """
        different, rows = self._different()
        known = {_name(row) for row in rows}
        mean = self.process.mean(self._with_fidelity(rows))
        order = np.argsort(mean)[:NUM_CENTRES]
        centres = np.array([self.space.to_unit(different[number]) for number in order])
        units = draw_candidates(self.space, focus or self.space, centres, generator)
        if group is not None:
            units = hold(self.space, units, different[int(order[0])], group)
        candidates, first = np.unique(self._encoding.encode_units(units), axis=0, return_index=True)
        units = units[first]
        is_new = np.array([_name(each) not in known for each in candidates])
        if is_new.any():
            candidates, units = candidates[is_new], units[is_new]
        old = [] if group else [each for each in again if self.space.contains(each)]
        candidates = np.vstack([candidates, self._encoding.encode(old)])
        process = self.process.believing(self._with_fidelity(self._encoding.encode(believed)))
        chosen = self._choose_batch(num, process, candidates, float(mean.min()), generator)
        num_new = len(units)
        return [self.space.from_unit(units[n]) if n < num_new else old[n - num_new] for n in chosen]

    def _different(self) -> tuple[list[Config], Array]:
        """Return the configurations that differ, the first of each kind, and their rows."""
        first: dict[bytes, int] = {}
        for number, row in enumerate(self._rows):
            first.setdefault(_name(row), number)
        numbers = list(first.values())
        return [self._configs[number] for number in numbers], self._rows[numbers]

    def _choose_batch(
        self,
        num: int,
        process: GaussianProcess,
        candidates: Array,
        best: float,
        generator: np.random.Generator,
    ) -> list[int]:
        """Return the rows of the next candidates."""
        posterior = process.at(self._with_fidelity(candidates))
        worth = self.worth(candidates)
        taken = np.zeros(len(candidates), dtype=bool)
        chosen: list[int] = []
        for _ in range(min(num, MAX_BELIEVED)):
            gains = worth * expected_improvement(posterior.mean, posterior.sd, best)
            chosen.append(_take_best(gains, taken))
            posterior.believe(chosen[-1])
        for drawn in posterior.draw(num - len(chosen), generator):
            chosen.append(_take_best(worth * (drawn.max() - drawn), taken))
        return chosen


def _name(row: Array) -> bytes:
    """Return what encoded configurations have in common that differ by rounding alone."""
    return np.round(row, 9).tobytes()


def _take_best(gains: Array, taken: NDArray[np.bool_]) -> int:
    """Return the row with the highest gain among those that aren't taken, and take it."""
    best = int(np.where(taken, -np.inf, gains).argmax())
    taken[best] = True
    return best


def _choose(observations: Sequence[Observation]) -> list[Observation]:
    if len(observations) <= MAX_OBSERVATIONS:
        return list(observations)
    ranked = sorted(observations, key=lambda each: (-each.samples, each.loss))
    return ranked[:MAX_OBSERVATIONS]
