"""Proposals from a Gaussian process over (configuration, fidelity).

The process learns from every rung that a trial has reached, not from its last result only, and
is asked for the expected improvement at the full budget. Proposals come in batches: each believes
that those before it, and the trials that run, come out as the process expects.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from search.space import Choice, Config, Space
from search.strategy.encoding import Encoding
from search.strategy.gp import (
    GaussianProcess,
    Hyperparameters,
    expected_improvement,
    fit,
    standardise,
)
from search.strategy.ranking import Observation

Array = NDArray[np.float64]

MAX_OBSERVATIONS = 400
"""The process sees no more; those of the highest rungs first, then the best."""
NUM_UNIFORM, NUM_NEAR = 600, 100
NUM_CENTRES = 6
NEAR_SD = (0.03, 0.1, 0.25)


class Surrogate:
    """What the observations teach.

    Args:
        space: Where to search.
        observations: Of all rungs and phases; values outside of the space count at its edge.
        full: The budget at which a configuration shall be good.
        lowest: The lowest budget.
        start: Hyperparameters to begin from.
        refit: Look for better ones.
    """

    def __init__(
        self,
        space: Space,
        observations: Sequence[Observation],
        *,
        full: int,
        lowest: int,
        start: Hyperparameters | None = None,
        refit: bool = True,
    ) -> None:
        self.space = space
        self._encoding = Encoding(space)
        self._span = math.log(full / lowest) or 1.0
        self._full = full
        kept = _choose(observations)
        self._configs = [each.config for each in kept]
        samples = np.array([each.samples for each in kept], dtype=np.float64)
        inputs = self._with_fidelity(self._encoding.encode(self._configs), samples)
        values = standardise(np.array([each.loss for each in kept]))
        groups = self._encoding.groups
        groups = np.append(groups, groups.max(initial=-1) + 1)
        if start is not None and not refit:
            self.process = GaussianProcess(inputs, values, groups, start)
        else:
            self.process = fit(inputs, values, groups, start)

    def _with_fidelity(self, columns: Array, samples: Array | None = None) -> Array:
        """Append the fidelity: 1 at the full budget, 0 at the lowest, by its logarithm."""
        if samples is None:
            return np.column_stack([columns, np.ones(len(columns))])
        return np.column_stack([columns, 1.0 + np.log(samples / self._full) / self._span])

    def predict(self, configs: Sequence[Config]) -> tuple[Array, Array]:
        """Return mean and standard deviation of the loss at the full budget, standardised."""
        return self.process.predict(self._with_fidelity(self._encoding.encode(configs)))

    def propose(
        self,
        num: int,
        running: Sequence[Config],
        generator: np.random.Generator,
        focus: Space | None = None,
    ) -> list[Config]:
        """Return the configurations to try next.

        Args:
            num: How many.
            running: Configurations whose results aren't known yet.
            generator: Draws the candidates.
            focus: A narrower space, from which half of the candidates are drawn that lie near to
                nothing known.
        """
        different = list({id(config): config for config in self._configs}.values())
        mean, _ = self.predict(different)
        order = np.argsort(mean)[:NUM_CENTRES]
        centres = np.array([self.space.to_unit(different[number]) for number in order])
        units = self._candidates(centres, generator, focus or self.space)
        columns = np.vstack(
            [self._encoding.encode_units(units), self._encoding.encode(list(running))]
        )
        posterior = self.process.at(self._with_fidelity(columns))
        for number in range(len(units), len(columns)):
            posterior.believe(number)
        chosen: list[int] = []
        for _ in range(num):
            gains = expected_improvement(posterior.mean, posterior.sd, float(mean.min()))
            gains[[*chosen, *range(len(units), len(columns))]] = -np.inf
            chosen.append(int(gains.argmax()))
            posterior.believe(chosen[-1])
        return [self.space.from_unit(units[number]) for number in chosen]

    def _candidates(self, centres: Array, generator: np.random.Generator, focus: Space) -> Array:
        """Return points of the unit cube: uniform ones, and some around each centre."""
        width = len(self.space.searched)
        uniform = generator.random((NUM_UNIFORM, width))
        drawn = generator.random((NUM_UNIFORM // 2, len(focus.searched)))
        inside = np.array([self.space.to_unit(focus.from_unit(each)) for each in drawn])
        uniform[: len(inside)] = np.where(np.isnan(inside), uniform[: len(inside)], inside)
        # What is inactive at a centre may become active beside it.
        centres = np.where(np.isnan(centres), generator.random(centres.shape), centres)
        near = np.repeat(np.clip(centres, 0.0, 1.0), NUM_NEAR, axis=0)
        sd = generator.choice(NEAR_SD, size=(len(near), 1))
        moved = near + sd * generator.standard_normal(near.shape)
        moved = np.abs(moved)
        moved = np.clip(np.where(moved > 1.0, 2.0 - moved, moved), 0.0, 1.0)
        other = generator.random(near.shape)
        changed = generator.random(near.shape) < max(0.3, min(1.0, 3.0 / width))
        for column, dimension in enumerate(self.space.searched):
            if isinstance(dimension, Choice) and not dimension.ordered:
                moved[:, column] = other[:, column]
                changed[:, column] = generator.random(len(near)) < 0.15
        return np.vstack([uniform, np.where(changed, moved, near)])


def _choose(observations: Sequence[Observation]) -> list[Observation]:
    if len(observations) <= MAX_OBSERVATIONS:
        return list(observations)
    ranked = sorted(observations, key=lambda each: (-each.samples, each.loss))
    return ranked[:MAX_OBSERVATIONS]
