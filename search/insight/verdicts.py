"""The verdicts on curves: what each looks for, and what it asks for.

The shapes are those that practitioners read (Goodfellow et al., 2016, ch. 11; Smith, 2018;
Google's tuning playbook, 2023). The thresholds were set on a few hundred real trainings with
planted causes, and measured on others: ``benchmarks/guide/curves.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from search.insight.curve import (
    DEAD_BATCH,
    EARLY,
    LAST_QUARTER,
    SETTLED_EARLY,
    Curve,
    Scale,
)
from search.trials import Record

Name = Literal[
    "exploding",
    "diverged",
    "dead",
    "lr-too-low",
    "lr-high",
    "noisy",
    "overfitting",
    "too-long",
    "still-improving",
    "underfitting",
    "healthy",
]

LARGE_GRADIENT = 1e4
RISEN = 1.5
"""Times the training loss at the first evaluation, and worse than chance."""
DEAD, DEAD_EVALUATIONS = 0.5, 3
"""Share of the hidden units; over so many of the last evaluations."""
POOR = 0.85
"""A training that ends below this, on the scale of the best one, is poor …"""
SHORT = 0.95
"""… and below this it falls short."""
BARELY_LEARNT = 0.3
SLOW_UPDATE = 6e-4
"""A step that changes weights by a smaller share is a timid one …"""
FAST_UPDATE = 5e-2
"""… and by a larger share a wild one."""
WILD_UPDATE, MODEST_GAP = 9e-3, 0.45
"""Where validation falls back though training isn't far ahead: from this share on steps are why."""
SWING = 0.028
"""Spread about its course, of the training loss as of the validation loss."""
RISE, WIDE_RISE = 0.05, 0.02
"""What validation loses from its best; less is enough where the gap is wide."""
CALM_SWING, CALM_RISE = 0.04, 0.08
"""Where the learning rate decays to nothing it takes more of either."""
WIDE_GAP, HUGE_GAP = 0.3, 1.0
NARROW_GAP = 0.03
RISING_EVALUATIONS = 3
LEARNT_EARLY = 0.825
"""A budget is too long where this share of all is learnt early, and no more is gained later …"""
MUCH_OF_THE_LOSS = 0.3
"""… nor this share of the loss that was left: where it is small, its halving is much …"""
AT_ONCE, MOST_OF_IT = 0.95, 0.6
"""… or this one, where so much was learnt early that what was left was little."""
SOON, MODEST_RISE = 0.1, 0.1
"""What is settled so soon may lose so much again, and still the budget was too long."""
HALF = 0.55
STILL_GAINS, SOME_GAIN, STEEP = 0.045, 0.03, 0.15
"""In the last quarter: more than the end of a decaying learning rate brings; or some, on a course
that is steep still."""


@dataclass(frozen=True)
class Verdict:
    """What a curve says.

    Attributes:
        name: In the guide's words.
        evaluation: The one by which it shows, from 1.
        why: In words.
        proposal: What to change; empty where nothing is to be.
        numbers: The evidence.
    """

    name: Name
    evaluation: int
    why: str
    proposal: str = ""
    numbers: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the fields."""
        return asdict(self)


# ------------------------------------------------------------------ what went wrong for good


def exploding(record: Record) -> Verdict | None:
    """Return the verdict on a training whose numbers have gone out of range; None where not."""
    lower = "lower the learning rate, or clip gradients"
    if _has_failed(record, "x the initial"):
        return None
    for each in record.evaluations:
        norm = each.probes.gradient_norm if each.probes is not None else 0.0
        if not math.isfinite(each.train_loss) or not math.isfinite(each.validation_loss):
            return Verdict("exploding", each.evaluation, "the loss isn't finite", lower)
        if norm > LARGE_GRADIENT or math.isinf(norm):
            why = f"the gradient's norm is {norm:.2g}"
            return Verdict("exploding", each.evaluation, why, lower, {"gradient_norm": norm})
    if record.ending is not None and _has_failed(record, "diverged"):
        return Verdict("exploding", len(record.evaluations), record.ending.reason, lower)
    return None


def _has_failed(record: Record, reason: str) -> bool:
    ending = record.ending
    return ending is not None and ending.status == "failed" and reason in ending.reason


def diverged(record: Record, scale: Scale) -> Verdict | None:
    """Return the verdict on a training whose loss has risen; None where it hasn't."""
    lower = "lower the learning rate, or warm it up"
    last = len(record.evaluations)
    if record.ending is not None and _has_failed(record, "x the initial"):
        return Verdict("diverged", last, record.ending.reason, lower)
    if not last:
        return None
    begun, now = record.evaluations[0].train_loss, record.evaluations[-1].train_loss
    if now < max(RISEN * begun, scale.chance):
        return None
    why = f"the training loss has risen from {begun:.3g} to {now:.3g}"
    return Verdict("diverged", last, why, lower, {"begun": begun, "now": now})


# ------------------------------------------------------------------ what the shape says


def _dead(curve: Curve) -> Verdict | None:
    dead = curve.probe("dead_units", DEAD_EVALUATIONS)
    if not dead > DEAD or curve.best > SHORT or (curve.batch_size < DEAD_BATCH and dead < 1.0):
        return None
    return Verdict(
        "dead",
        len(curve),
        f"{dead:.0%} of the hidden units had no gradient at the last evaluations",
        "lower the learning rate, or normalise",
        {"dead_units": dead, "progress": curve.best},
    )


def _lr_too_low(curve: Curve) -> Verdict | None:
    update = curve.probe("update_ratio")
    is_timid = update < SLOW_UPDATE if math.isfinite(update) else curve.best < BARELY_LEARNT
    if not is_timid or curve.best > SHORT:
        return None
    if not (curve.is_rising and curve.gap < NARROW_GAP) and curve.best > BARELY_LEARNT:
        return None
    numbers = {"progress": curve.best, "slope": curve.slope}
    why = f"it has come to {curve.best:.0%} of the best known"
    if math.isfinite(update):
        numbers["update_ratio"] = update
        why = f"a step changes weights by {update:.1g} of their size; {why}"
    return Verdict("lr-too-low", len(curve), why, "raise the learning rate", numbers)


def _still_improving(curve: Curve) -> Verdict | None:
    gains = curve.late_gain > STILL_GAINS
    gains |= curve.late_gain > SOME_GAIN and curve.slope > STEEP
    return _still(curve) if gains and curve.is_rising else None


def _still(curve: Curve) -> Verdict:
    return Verdict(
        "still-improving",
        len(curve),
        f"the last quarter brought {curve.late_gain:.0%}, and more would come",
        "train longer",
        {"late_gain": curve.late_gain, "slope": curve.slope},
    )


def _overfitting_far(curve: Curve) -> Verdict | None:
    return _overfitting(curve) if curve.gap > HUGE_GAP else None


def _over_soon(curve: Curve) -> Verdict | None:
    """Where all was learnt at once, a little is lost again in what was too long a time."""
    is_modest = curve.gap < MODEST_GAP and curve.rise < MODEST_RISE
    is_soon = curve.settled_at < SOON and curve.learnt_early > LEARNT_EARLY and curve.best > SHORT
    return _too_long(curve) if is_modest and is_soon else None


def _overfitting(curve: Curve) -> Verdict | None:
    after = len(curve) - 1 - curve.best_at
    least = WIDE_RISE if curve.gap > WIDE_GAP else RISE
    least = CALM_RISE if curve.decays else least
    is_learning = curve.train[-1] > curve.train[curve.best_at]
    if after < RISING_EVALUATIONS or curve.rise < least or not is_learning:
        return None
    update = curve.probe("update_ratio")
    if update > WILD_UPDATE and curve.gap < MODEST_GAP:
        return _wild_steps(curve, update)
    at = curve.best_at + 1
    return Verdict(
        "overfitting",
        at + RISING_EVALUATIONS,
        f"validation has lost {curve.rise:.0%} since evaluation {at}, training gained",
        "regularise more: weight decay, dropout; or stop earlier",
        {"rise": curve.rise, "gap": curve.gap, "best_at": float(curve.at[curve.best_at])},
    )


def _wild_steps(curve: Curve, update: float) -> Verdict:
    return Verdict(
        "lr-high",
        len(curve),
        f"a step still changes weights by {update:.1g} of their size, and validation has lost "
        f"{curve.rise:.0%}",
        "lower the learning rate, or decay it",
        {"update_ratio": update, "rise": curve.rise, "gap": curve.gap},
    )


def _wild(curve: Curve) -> Verdict | None:
    if curve.swing < (CALM_SWING if curve.decays else SWING):
        return None
    is_small = curve.batch_size < DEAD_BATCH
    is_late = curve.at[curve.best_at] >= LAST_QUARTER
    if not is_small and is_late and curve.train.max() < 1.0 and curve.best < SHORT:
        return _still(curve)
    batches = f", in batches of {curve.batch_size}" if curve.has_batches else ""
    return Verdict(
        "noisy" if is_small else "lr-high",
        len(curve),
        f"both losses swing by {curve.swing:.0%} of all that can be learnt{batches}",
        "raise the batch size" if is_small else "lower the learning rate, or decay it",
        {"swing": curve.swing, "slope": curve.slope},
    )


def _lr_high(curve: Curve) -> Verdict | None:
    update = curve.probe("update_ratio")
    if curve.best > POOR or not update > FAST_UPDATE:
        return None
    return Verdict(
        "lr-high",
        len(curve),
        f"a step changes weights by {update:.1g} of their size, and the loss stays at "
        f"{curve.best:.0%} of the best known",
        "lower the learning rate",
        {"update_ratio": update, "progress": curve.best, "swing": curve.swing},
    )


def _underfitting(curve: Curve) -> Verdict | None:
    is_poor = curve.best < POOR
    widest = 1 - curve.best if is_poor else NARROW_GAP
    if curve.best > SHORT or curve.gap > widest:
        return None
    if not is_poor and curve.settled_at > HALF:
        return None
    return Verdict(
        "underfitting",
        len(curve),
        f"it has settled at {curve.best:.0%} of the best known, on its training rows too",
        "a larger network, or less dropout and weight decay",
        {"progress": curve.best, "gap": curve.gap},
    )


def _too_long(curve: Curve) -> Verdict | None:
    if curve.settled_at > SETTLED_EARLY or curve.learnt_early < LEARNT_EARLY:
        return None
    if curve.late_share > (MOST_OF_IT if curve.learnt_early > AT_ONCE else MUCH_OF_THE_LOSS):
        return None
    return Verdict(
        "too-long",
        len(curve),
        f"{curve.learnt_early:.0%} was learnt in the first {EARLY:.0%} of the training, and next "
        f"to nothing was gained after {curve.settled_at:.0%}",
        "shorten the budget",
        {"settled_at": curve.settled_at, "learnt_early": curve.learnt_early},
    )


RULES: Sequence[Callable[[Curve], Verdict | None]] = (
    _dead,
    _lr_too_low,
    _still_improving,
    _overfitting_far,
    _over_soon,
    _wild,
    _lr_high,
    _overfitting,
    _underfitting,
    _too_long,
)
