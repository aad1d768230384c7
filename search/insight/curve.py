"""A training's course on the scale of its data, and what is measured of it.

All losses are read on one scale: 0 is what can be had without looking at the inputs, 1 the best
that is known on these data. On it a rule means the same for every data set.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from search.trials import Record

DEAD_BATCH = 16
"""In smaller batches many units have no gradient and live."""
EARLY, SETTLED_EARLY, LAST_QUARTER = 0.05, 0.25, 0.75
"""Shares of the training so far."""
SETTLED = 0.05
"""Progress that counts as nothing more."""
LEAST_GAIN = 0.005
"""Of chance's loss: where the best known gains less, that is taken for the scale's unit."""
SURE = 2.0
"""Standard errors by which a slope must differ from zero."""


@dataclass(frozen=True)
class Scale:
    """What losses mean on these data.

    Attributes:
        chance: Of the best prediction that ignores the inputs.
        best: The lowest validation loss that is known.
    """

    chance: float
    best: float

    def progress(self, loss: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return 0 for chance's loss, 1 for the best, negative for worse than chance."""
        least = max(LEAST_GAIN * abs(self.chance), 1e-12)
        return (self.chance - loss) / max(self.chance - self.best, least)


class Curve:
    """A training's evaluations on the data's scale.

    Args:
        record: The training.
        scale: Of the data.

    Attributes:
        record: The training.
        at: Where each evaluation was, as a share of the training so far: of one that is going on,
            or was stopped, nothing is said of the rest of its budget.
        validation: Progress of the validation loss at each.
        train: Progress of the training loss at each.
    """

    def __init__(self, record: Record, scale: Scale) -> None:
        evaluations = record.evaluations
        self.record = record
        self.at = np.array([each.point for each in evaluations]) / evaluations[-1].point
        self.validation = scale.progress(np.array([e.validation_loss for e in evaluations]))
        self.train = scale.progress(np.array([e.train_loss for e in evaluations]))

    def __len__(self) -> int:
        return len(self.at)

    @cached_property
    def best_at(self) -> int:
        """The index of the best evaluation."""
        return int(np.argmax(self.validation))

    @property
    def best(self) -> float:
        """The best progress."""
        return float(self.validation[self.best_at])

    @property
    def batch_size(self) -> int:
        """Of the training; where the model has none, one that is large enough."""
        return int(self.record.trial.config.get("batch_size", DEAD_BATCH))

    @property
    def has_batches(self) -> bool:
        """Whether it was trained in batches: a loop of one's own may not be."""
        return "batch_size" in self.record.trial.config

    @property
    def decays(self) -> bool:
        """Whether the learning rate goes to nothing by the end, which settles much by itself."""
        return self.record.trial.config.get("schedule") in ("cosine", "one_cycle")

    @property
    def gap(self) -> float:
        """By how much training is ahead of validation at the end."""
        return float(self.train[-1] - self.validation[-1])

    def probe(self, name: str, last: int = 0) -> float:
        """Return the median of a probe over the ``last`` evaluations, 0: all; NaN without."""
        probes = [each.probes for each in self.record.evaluations[-last:]]
        values = [getattr(each, name) for each in probes if each is not None]
        finite = [value for value in values if math.isfinite(value)]
        return float(np.median(finite)) if finite else math.nan

    @cached_property
    def _second_half(self) -> tuple[float, float, float]:
        """Slope of the second half of validation, its error, the spread about it."""
        half = len(self) // 2
        return _line(self.at[half:], self.validation[half:])

    @cached_property
    def swing(self) -> float:
        """Spread of the second half about its line, of training or validation: the smaller one.

        An overfitted network's validation loss may go anywhere; where both swing, steps are wild.
        """
        half = len(self) // 2
        return min(self._second_half[2], _line(self.at[half:], self.train[half:])[2])

    @property
    def learnt_early(self) -> float:
        """The share of the best progress that was there early on; nothing is known at the start."""
        early = float(np.interp(EARLY, [0.0, *self.at], [0.0, *self.validation]))
        return early / self.best if self.best > 0 else 0.0

    @property
    def late_share(self) -> float:
        """The share of the loss a quarter into the training that was taken off it later."""
        losses = [each.validation_loss for each in self.record.evaluations]
        quarter = float(np.interp(SETTLED_EARLY, self.at, losses))
        return 1.0 - min(losses) / quarter if quarter > 0 else 0.0

    @property
    def rise(self) -> float:
        """By how much validation has fallen back from its best."""
        return self.best - float(self.validation[-1])

    @property
    def slope(self) -> float:
        """Progress of the second half, for a training as long as this one."""
        return self._second_half[0]

    @property
    def is_rising(self) -> bool:
        """Whether the second half's progress is sure."""
        slope, error, _ = self._second_half
        return slope > SURE * error

    @cached_property
    def settled_at(self) -> float:
        """The share of the training after which nothing more is gained."""
        smooth = np.maximum.accumulate(_smooth(self.validation))
        gained = smooth[-1] - smooth
        return float(self.at[np.argmax(gained < SETTLED)])

    @cached_property
    def late_gain(self) -> float:
        """What the last quarter of the training has brought."""
        smooth = _smooth(self.validation)
        before = smooth[self.at <= LAST_QUARTER]
        return float(smooth[-1] - before[-1]) if len(before) else 0.0

    @property
    def promise(self) -> float:
        """What the rest of the budget brings, if progress goes on with the logarithm of samples."""
        now, budget = self.record.evaluations[-1].point, self.record.trial.budget_samples
        return max(0.0, self.late_gain) * math.log(budget / now) / math.log(1 / LAST_QUARTER)


def _line(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return a least-squares line's slope, its standard error, and the spread about it."""
    if len(x) < 3:
        return 0.0, math.inf, 0.0
    slope, start = np.polyfit(x, y, 1)
    residuals = y - start - slope * x
    spread = math.sqrt(float(residuals @ residuals) / (len(x) - 2))
    error = spread / math.sqrt(float(((x - x.mean()) ** 2).sum()))
    return float(slope), error, spread


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return running medians of three; both ends stay."""
    if len(values) < 3:
        return values
    inner = np.median([values[:-2], values[1:-1], values[2:]], axis=0)
    return np.concatenate([values[:1], inner, values[-1:]])
