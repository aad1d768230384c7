"""What a training's curve says, and what to change: one verdict a training, with its evidence.

The shapes are those that practitioners read (Goodfellow et al., 2016, ch. 11; Smith, 2018;
Google's tuning playbook, 2023). All losses are read on one scale: 0 is what can be had without
looking at the inputs, 1 the best that is known on these data. On it a rule means the same for
every data set. The thresholds were set on one half of a few hundred real trainings with planted
causes, and measured on the other: ``benchmarks/guide/curves.py``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

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

MIN_EVALUATIONS = 5
"""With fewer a curve has no shape, and only what has gone wrong for good is said."""
LARGE_GRADIENT = 1e4
RISEN = 1.5
"""Times the training loss at the first evaluation, and worse than chance."""
DEAD = 0.5
"""Share of the hidden units; over so many of the last evaluations …"""
DEAD_EVALUATIONS = 3
DEAD_BATCH = 16
"""In smaller batches many units have no gradient and live."""
POOR = 0.85
"""A training that ends below this, on the scale of the best one, is poor …"""
SHORT = 0.95
"""… and below this it falls short."""
BARELY_LEARNT = 0.3
SLOW_UPDATE = 6e-4
"""A step that changes weights by a smaller share is a timid one …"""
FAST_UPDATE = 5e-2
"""… and by a larger share a wild one."""
SWING = 0.028
"""Spread about its course, of the training loss as of the validation loss."""
RISE, WIDE_RISE = 0.05, 0.02
"""What validation loses from its best; less is enough where the gap is wide."""
WIDE_GAP, HUGE_GAP = 0.3, 1.0
NARROW_GAP = 0.03
RISING_EVALUATIONS = 3
LEARNT_EARLY, EARLY = 0.825, 0.05
"""A budget is too long where this share of all is learnt in this share of it …"""
SETTLED, SETTLED_EARLY = 0.05, 0.25
"""… and nothing more than this is gained after that share …"""
MUCH_OF_THE_LOSS = 0.3
"""… nor this share of the loss that was left: where it is small, its halving is much."""
HALF, LAST_QUARTER = 0.55, 0.75
STILL_GAINS = 0.045
"""In the last quarter: more than the end of a decaying learning rate brings."""
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
        return (self.chance - loss) / max(self.chance - self.best, 1e-12)


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


class Curve:
    """A training's evaluations on the data's scale.

    Args:
        record: The training.
        scale: Of the data.

    Attributes:
        record: The training.
        at: Where each evaluation was, as a share of the budget.
        validation: Progress of the validation loss at each.
        train: Progress of the training loss at each.
    """

    def __init__(self, record: Record, scale: Scale) -> None:
        evaluations = record.evaluations
        self.record = record
        self.at = np.array([each.point / record.trial.budget_samples for each in evaluations])
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
        """Slope by budget of the second half of validation, its error, the spread about it."""
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
        """The share of the best progress that was there early on."""
        early = float(np.interp(EARLY, self.at, self.validation))
        return early / self.best if self.best > 0 else 0.0

    @property
    def late_share(self) -> float:
        """The share of the loss a quarter into the budget that was taken off it later."""
        losses = [each.validation_loss for each in self.record.evaluations]
        quarter = float(np.interp(SETTLED_EARLY, self.at, losses))
        return 1.0 - min(losses) / quarter if quarter > 0 else 0.0

    @property
    def rise(self) -> float:
        """By how much validation has fallen back from its best."""
        return self.best - float(self.validation[-1])

    @property
    def slope(self) -> float:
        """Progress a budget in the second half."""
        return self._second_half[0]

    @property
    def is_rising(self) -> bool:
        """Whether the second half's progress is sure."""
        slope, error, _ = self._second_half
        return slope > SURE * error

    @cached_property
    def settled_at(self) -> float:
        """The share of the budget after which nothing more is gained."""
        smooth = np.maximum.accumulate(_smooth(self.validation))
        gained = smooth[-1] - smooth
        return float(self.at[np.argmax(gained < SETTLED)])

    @cached_property
    def late_gain(self) -> float:
        """What the last quarter of the budget has brought."""
        smooth = _smooth(self.validation)
        before = smooth[self.at <= LAST_QUARTER]
        return float(smooth[-1] - before[-1]) if len(before) else 0.0


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


def judge(record: Record, scale: Scale) -> Verdict | None:
    """Return what a training's curve says; None while it is too short to say.

    Args:
        record: The training, ended or not.
        scale: Of the data.
    """
    failed = _exploding(record) or _diverged(record, scale)
    if failed is not None:
        return failed
    if len(record.evaluations) < MIN_EVALUATIONS:
        return None
    curve = Curve(record, scale)
    for rule in _RULES:
        verdict = rule(curve)
        if verdict is not None:
            return verdict
    return Verdict("healthy", len(curve), f"reached {curve.best:.0%} of the best known and held it")


def judge_all(records: Iterable[Record], chance: float | None) -> dict[str, Verdict]:
    """Return the verdicts on a phase's trainings by trial, on the scale of the best of them.

    Args:
        records: The trainings.
        chance: Loss of the best prediction that ignores the inputs; None: there are none.
    """
    records = list(records)
    if chance is None or not records:
        return {}
    scale = Scale(chance, min(record.loss for record in records))
    verdicts = {record.trial.trial_id: judge(record, scale) for record in records}
    return {trial_id: verdict for trial_id, verdict in verdicts.items() if verdict is not None}


def describe(verdicts: Iterable[Verdict]) -> str:
    """Return in a line how many trainings have which verdict."""
    counts = Counter(verdict.name for verdict in verdicts)
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())


# ------------------------------------------------------------------ what went wrong for good


def _exploding(record: Record) -> Verdict | None:
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


def _diverged(record: Record, scale: Scale) -> Verdict | None:
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
    return Verdict(
        "lr-too-low",
        len(curve),
        f"a step changes weights by {update:.1g} of their size; {curve.best:.0%} of the best known",
        "raise the learning rate",
        {"update_ratio": update, "progress": curve.best, "slope": curve.slope},
    )


def _still_improving(curve: Curve) -> Verdict | None:
    if not (curve.late_gain > STILL_GAINS and curve.is_rising):
        return None
    return Verdict(
        "still-improving",
        len(curve),
        f"the last quarter brought {curve.late_gain:.0%}, and more would come",
        "train longer",
        {"late_gain": curve.late_gain, "slope": curve.slope},
    )


def _overfitting_far(curve: Curve) -> Verdict | None:
    return _overfitting(curve) if curve.gap > HUGE_GAP else None


def _overfitting(curve: Curve) -> Verdict | None:
    after = len(curve) - 1 - curve.best_at
    least = WIDE_RISE if curve.gap > WIDE_GAP else RISE
    is_learning = curve.train[-1] > curve.train[curve.best_at]
    if after < RISING_EVALUATIONS or curve.rise < least or not is_learning:
        return None
    at = curve.best_at + 1
    return Verdict(
        "overfitting",
        at + RISING_EVALUATIONS,
        f"validation has lost {curve.rise:.0%} since evaluation {at}, training gained",
        "regularise more: weight decay, dropout; or stop earlier",
        {"rise": curve.rise, "gap": curve.gap, "best_at": float(curve.at[curve.best_at])},
    )


def _wild(curve: Curve) -> Verdict | None:
    if curve.swing < SWING:
        return None
    is_small = curve.batch_size < DEAD_BATCH
    return Verdict(
        "noisy" if is_small else "lr-high",
        len(curve),
        f"both losses swing by {curve.swing:.0%} of all that can be learnt, in batches of "
        f"{curve.batch_size}",
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
    if curve.late_share > MUCH_OF_THE_LOSS:
        return None
    return Verdict(
        "too-long",
        len(curve),
        f"{curve.learnt_early:.0%} was learnt in the first {EARLY:.0%} of the budget, and next to "
        f"nothing was gained after {curve.settled_at:.0%}",
        "shorten the budget",
        {"settled_at": curve.settled_at, "learnt_early": curve.learnt_early},
    )


_RULES: Sequence[Callable[[Curve], Verdict | None]] = (
    _dead,
    _lr_too_low,
    _still_improving,
    _overfitting_far,
    _wild,
    _lr_high,
    _overfitting,
    _underfitting,
    _too_long,
)
