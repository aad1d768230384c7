"""What to look at when nothing converged (the tuning guide's rule G19)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from search.events import TOO_SLOW, Ending
from search.insight.curve import LEAST_GAIN
from search.trials import History

_LOOK_AT = (
    "check the model (a ReLU or softmax on the output?), the label, and the ranges of the learning "
    "rates"
)


def explain_nothing_converged(history: History) -> str:
    """Return in a line how the trials ended, and where to look.

    Args:
        history: A phase without a single usable trial.
    """
    endings = [record.ending for record in history.ended if record.ending is not None]
    if not endings:
        return "no trial was judged before the time was up; give more time"
    counts = Counter(_kind(each.reason) for each in endings)
    reasons = "; ".join(f"{count} x {reason}" for reason, count in counts.most_common(3))
    return f"nothing converged in {_phase(history)}: {reasons}; {_remedy(endings)}"


def explain_nothing_learnt(history: History, chance: float | None) -> str:
    """Return in a line that no trial knows more than who ignores the inputs; empty where one does.

    A run goes on all the same: some tasks teach nothing for long, and then all at once.

    Args:
        history: A phase.
        chance: Loss of the best prediction that ignores the inputs; None where it isn't known.
    """
    best = min((record.loss for record in history), default=math.inf)
    if chance is None or not math.isfinite(best):
        return ""
    if best < chance - LEAST_GAIN * abs(chance):
        return ""
    return (
        f"no trial of {_phase(history)} came clearly below {chance:.4g}, the loss of no look at "
        f"the inputs; the best to {best:.4g}: {_LOOK_AT}"
    )


def _remedy(endings: Sequence[Ending]) -> str:
    if any(each.error for each in endings):
        return "the model raises: run 'sieve check-model' on it"
    if 2 * sum(each.is_too_slow for each in endings) > len(endings):
        return "give more time, or a space of smaller networks"
    return _LOOK_AT


def _phase(history: History) -> str:
    return next((record.trial.phase for record in history), "the search")


def _kind(reason: str) -> str:
    """Cut the numbers off a reason, so that like reasons count together."""
    if "diverged" in reason:
        return reason.split(" is above")[0]
    return reason.split(":")[0] if reason.startswith((TOO_SLOW, "rung ")) else reason
