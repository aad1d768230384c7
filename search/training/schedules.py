"""Learning-rate schedules over a trial's budget, with torch's own schedulers."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    ExponentialLR,
    LRScheduler,
    MultiStepLR,
    OneCycleLR,
    ReduceLROnPlateau,
)

from search.errors import ModelError
from search.space import Config
from search.space.training import SCHEDULES

WARM_UP = 0.1
"""Of the budget, in which ``one_cycle`` rises to the learning rate. torch's share of .3 leaves it
at a fourteenth of that at the lowest of four rungs, where the best configurations then come last; a
tenth leaves it at a third and costs nothing in the end, a twentieth does with SGD at high rates."""
PLATEAU_PATIENCE = 2
PLATEAU_FLOOR = 1e-3
"""Of the first learning rate; below it training ends."""


class Schedule:
    """One interface to schedules that step with batches and to the one that watches the loss.

    Args:
        optimizer: Whose learning rate it sets.
        config: ``schedule`` (constant), ``schedule_decay`` (the share of the learning rate
            that is left at the end, for ``step`` in two drops and ``exponential``),
            ``plateau_factor`` (divides it, 2 or 5).
        num_steps: Optimizer steps in the whole budget.

    Raises:
        ModelError: The schedule is unknown.
    """

    def __init__(self, optimizer: Optimizer, config: Config, num_steps: int) -> None:
        self._optimizer = optimizer
        self._first = self.learning_rate
        self._by_step = _step_scheduler(optimizer, config, max(num_steps, 1))
        self._by_loss: ReduceLROnPlateau | None = None
        if config.get("schedule") == "plateau":
            factor = 1.0 / float(config.get("plateau_factor", 2))
            # torch passes over changes below eps, and would never get to the floor of a small one.
            self._by_loss = ReduceLROnPlateau(
                optimizer, factor=factor, patience=PLATEAU_PATIENCE, eps=0.0
            )

    @property
    def learning_rate(self) -> float:
        """In force now."""
        return float(self._optimizer.param_groups[0]["lr"])

    @property
    def at_floor(self) -> bool:
        """Whether ``plateau`` has divided the learning rate down to its floor."""
        return self._by_loss is not None and self.learning_rate < self._first * PLATEAU_FLOOR

    def after_step(self) -> None:
        """Advance by one optimizer step."""
        if self._by_step is not None:
            self._by_step.step()

    def after_evaluation(self, validation_loss: float) -> None:
        """Let ``plateau`` see a validation loss."""
        if self._by_loss is not None:
            self._by_loss.step(validation_loss)

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed schedule needs."""
        states = {"by_step": self._by_step, "by_loss": self._by_loss}
        return {name: s.state_dict() if s is not None else None for name, s in states.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        if self._by_step is not None:
            self._by_step.load_state_dict(state["by_step"])
        if self._by_loss is not None:
            self._by_loss.load_state_dict(state["by_loss"])


def _step_scheduler(optimizer: Optimizer, config: Config, num_steps: int) -> LRScheduler | None:
    name = str(config.get("schedule", "constant"))
    decay = float(config.get("schedule_decay", 0.1))
    if name not in SCHEDULES:
        raise ModelError(f"schedule '{name}'; the training loop has {', '.join(SCHEDULES)}")
    if name == "step":
        drops = sorted({max(1, num_steps // 3), max(1, 2 * num_steps // 3)})
        return MultiStepLR(optimizer, drops, gamma=decay**0.5)
    if name == "exponential":
        return ExponentialLR(optimizer, gamma=decay ** (1 / num_steps))
    if name == "cosine":
        return CosineAnnealingLR(optimizer, T_max=num_steps)
    if name == "one_cycle":
        # Momentum is a dimension of its own. One step more: torch counts the start as a step.
        rates, total = [group["lr"] for group in optimizer.param_groups], num_steps + 1
        rise = max(WARM_UP, 2.0 / total)  # torch divides by the steps of the rise, less one
        return OneCycleLR(optimizer, rates, total_steps=total, pct_start=rise, cycle_momentum=False)
    return None
