"""Points around published defaults, as many of coarse's as evidence speaks for."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincc
from scipy.stats import norm

from search.space import Choice, Config, Space
from search.strategy.search_phase import Proposal
from search.strategy.sobol import SobolPoints

MOST = 0.5
"""Of coarse's points: the others are the whole space's, whatever is known of the defaults."""
VARIED, SPREAD = 0.3, 0.25
"""Share of the dimensions that a point around a default has otherwise, and by how much of its range
what has an order is moved, the standard deviation: a learning rate by one and a quarter decades."""
_RECENT = 64
"""A value at the lowest rung is compared with the last so many of the other kind."""


class AroundDefaults:
    """Draws points around published defaults, and learns whether they are worth it.

    In a space of many dimensions nearly all points have something that spoils them, and what was
    published has nothing of the kind; so most of it is kept, as PriorBand does (Mallik et al.,
    2023). Where the defaults don't suit the task it shows at the lowest rung: the share of such
    points is the probability that one of them beats one of the whole space's (Thompson's rule,
    1933, with a uniform prior), and :data:`MOST` at most.

    Args:
        space: The whole space.
        defaults: Published configurations in it, with their sources, ``default:…``.
        seed: Of all randomness.

    Attributes:
        num_started: Trials of such points so far.
    """

    def __init__(self, space: Space, defaults: Sequence[Proposal], seed: int) -> None:
        self.num_started = 0
        self._space, self._defaults, self._seed = space, list(defaults), seed
        self._points = SobolPoints(len(space.searched), seed + 1)
        self._values: dict[tuple[int, bool], deque[float]] = defaultdict(
            lambda: deque(maxlen=_RECENT)
        )
        self._num_better = self._num_worse = 1.0

    @property
    def share(self) -> float:
        """Of the points that are drawn next, those around a default."""
        return min(MOST, float(betaincc(self._num_better, self._num_worse, 0.5)))

    def hear(self, value: float, *, is_around: bool, division: int) -> None:
        """Compare a value at the lowest rung with those of the other kind on the same rows.

        Args:
            value: The lower, the better; infinite where the trial failed.
            is_around: It was drawn around a default.
            division: Of the trial's rows.
        """
        if not self._defaults:
            return
        others = np.array(self._values[division, not is_around])
        self._values[division, is_around].append(value)
        if not len(others):
            return
        wins = float(np.mean(value < others) + np.mean(value == others) / 2)
        self._num_better += wins if is_around else 1.0 - wins
        self._num_worse += 1.0 - wins if is_around else wins

    def propose(self, number: int) -> Proposal | None:
        """Return a point around a default for trial ``number``; None: it is the whole space's."""
        if not self._defaults:
            return None
        generator = np.random.default_rng([self._seed, number])
        if generator.random() >= self.share:
            return None
        published, source = self._defaults[self.num_started % len(self._defaults)]
        config = self._move(published, self._points[self.num_started], generator)
        return config, source.replace("default", "around", 1)

    def _move(
        self, published: Config, point: NDArray[np.float64], generator: np.random.Generator
    ) -> Config:
        """Return a published configuration with some dimensions moved, or drawn anew."""
        searched, unit = self._space.searched, self._space.to_unit(published)
        moved = np.abs(unit + SPREAD * norm.ppf(point))
        moved = 1.0 - np.minimum(np.abs(1.0 - moved), 1.0)  # reflected at both ends
        has_order = [not isinstance(each, Choice) or each.ordered for each in searched]
        is_varied = generator.random(len(searched)) < VARIED
        is_varied[generator.integers(len(searched))] = True
        unit = np.where(is_varied, np.where(has_order, moved, point), unit)
        return self._space.from_unit(np.where(np.isnan(unit), point, unit))
