"""When a training ends by itself: it diverged, is too slow, or nothing has improved for long."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from search.events import Evaluation
from search.speed import SpeedLimit

DIVERGED = 4.0
"""Times the loss before the first step: a training above that has diverged."""
PATIENCE = 1 / 3
"""Of the budget without a better validation loss: early stopping."""

PACE_SECONDS = 1.0
"""After so much training it is looked at whether a full run would take too long …"""
PACE_MARGIN = 1.25
"""… by this factor: a second is short. At the first rung the limit itself counts."""


@dataclass
class StoppingRules:
    """Watches the evaluations of one training.

    Attributes:
        initial_loss: Before the first step, on the rows of the training loss.
        budget_samples: The trial's budget.
        early_stopping: Whether patience ends it.
        best_loss: The lowest validation loss so far.
        best_point: Where it was.
    """

    initial_loss: float
    budget_samples: int
    early_stopping: bool
    best_loss: float = math.inf
    best_point: int = 0

    def improved(self, evaluation: Evaluation) -> bool:
        """Take in an evaluation; say whether it is the best so far."""
        if not evaluation.validation_loss < self.best_loss:
            return False
        self.best_loss, self.best_point = evaluation.validation_loss, evaluation.point
        return True

    def divergence(self, evaluation: Evaluation, running_loss: float = 0.0) -> str | None:
        """Return why the training has failed, or None.

        Args:
            evaluation: The newest.
            running_loss: Sum of the batches' losses since the one before.
        """
        if not math.isfinite(running_loss):
            return f"diverged: the loss of a training batch is {running_loss}"
        for name in ("train_loss", "validation_loss"):
            loss = getattr(evaluation, name)
            if not math.isfinite(loss):
                return f"diverged: {name.replace('_', ' ')} is {loss}"
        # The validation loss of an overfitted network may rise as far: that is no divergence.
        if evaluation.train_loss > DIVERGED * self.initial_loss:
            return (
                f"diverged: train loss {evaluation.train_loss:.4g} is above "
                f"{DIVERGED:g} x the initial {self.initial_loss:.4g}"
            )
        return None

    def exhausted(self, evaluation: Evaluation) -> str | None:
        """Return why the training has nothing more to give, or None."""
        waited = evaluation.point - self.best_point
        if self.early_stopping and waited >= PATIENCE * self.budget_samples:
            return f"early stop: no better validation loss since {self.best_point} samples"
        return None

    def to_json(self) -> dict[str, float]:
        """Return what a resumed training needs."""
        return asdict(self)


class Pace:
    """Looks once, after a moment of training, whether a full run would take too long.

    Training alone counts. The first step warms up and doesn't, nor does the first one after a rest.

    Args:
        limit: Of the run's speed; None: there is nothing to look at.
        wait: Waits until the device has done all that it was given.
    """

    def __init__(self, limit: SpeedLimit | None, wait: Callable[[], None]) -> None:
        self._limit = limit
        self._wait = wait
        self._since: float | None = None
        self._spent = 0.0
        self._samples = 0

    def too_slow(self, num_samples: int) -> str | None:
        """Take in a step of so many samples; return why the training ends, or None."""
        if self._limit is None:
            return None
        if self._since is None:
            self._wait()
            self._since = time.perf_counter()
            return None
        self._samples += num_samples
        if self._spent + time.perf_counter() - self._since < PACE_SECONDS:
            return None
        self.rest()
        limit, self._limit = self._limit, None
        return limit.why_broken(self._spent, self._samples, PACE_MARGIN)

    def rest(self) -> None:
        """Count no time until the next step: an evaluation, and what follows it."""
        if self._limit is None or self._since is None:
            return
        self._wait()
        self._spent += time.perf_counter() - self._since
        self._since = None
