"""What the curves of a phase's survivors agree on, and what it changes where fine looks first.

Overfitting asks for more regularisation, underfitting for more capacity, a swinging loss for
larger batches. Trainings that still improve ask for time, which fine and the proof give; those
that were at their best soon after the start ask for less of it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from search.insight.curves import Name, judge_all
from search.space import Choice, Dimension, Float, Integer, Space
from search.strategy.change import Change
from search.trials import Record

MIN_VOICES = 3
AGREED = 0.5
"""More than this share of the survivors whose curves say something must say the same."""
REGULARISATION = (
    *("weight_decay", "dropout", "l1", "input_noise"),
    *("drop_path", "drop_rate", "label_smoothing"),
    *("reg_lambda", "reg_alpha", "gamma"),
)
CAPACITY_GROUP, BATCH_SIZE = 2, "batch_size"


def agreement(survivors: Sequence[Record], chance: float | None) -> Counter[Name]:
    """Return how many survivors have which verdict.

    Args:
        survivors: The trainings.
        chance: Loss of the best prediction that ignores the inputs; None: there are no verdicts.
    """
    return Counter(verdict.name for verdict in judge_all(survivors, chance).values())


def advise(space: Space, whole: Space, counts: Counter[Name]) -> tuple[Space, list[Change]]:
    """Return the space moved by what most survivors say, and what has changed.

    Args:
        space: The narrowed space.
        whole: What it was narrowed from: capacity that the survivors lack may lie there.
        counts: Of the survivors' verdicts.
    """
    changes = []
    for name, (move, words) in _MOVES.items():
        if not _agreed(counts, name):
            continue
        why = f"{_said(counts, name)}: {words}"
        for dimension in space.searched:
            after = move(dimension, whole[dimension.name])
            if after is not None and after != dimension:
                changes.append(Change.of(dimension, after, "moved", why, agreed=counts[name]))
                space = space.replace(after)
    return space, changes


def shorter(counts: Counter[Name]) -> str | None:
    """Return why trainings that follow may be shorter; None where survivors don't agree on it."""
    return _said(counts, "too-long") if _agreed(counts, "too-long") else None


def _agreed(counts: Counter[Name], name: Name) -> bool:
    return counts.total() >= MIN_VOICES and counts[name] > AGREED * counts.total()


def _said(counts: Counter[Name], name: Name) -> str:
    return f"{counts[name]} of the {counts.total()} survivors whose curves say something are {name}"


def _regularise(dimension: Dimension, _: Dimension) -> Dimension | None:
    if dimension.name not in REGULARISATION:
        return None
    if isinstance(dimension, Float):
        half = replace(dimension, low=dimension.from_unit(0.5))
        return _tenfold(dimension) if dimension.log else half
    return _upwards(dimension)


def _tenfold(dimension: Float) -> Float:
    """Move a range up tenfold, within its limits, or to its upper half where that is all."""
    _, top = dimension.limits or (dimension.low, dimension.high)
    low = min(dimension.low * 10, math.sqrt(dimension.low * dimension.high))
    return replace(dimension, low=low, high=min(dimension.high * 10, top))


def _enlarge(dimension: Dimension, whole: Dimension) -> Dimension | None:
    """Leave the lower half of what narrowing has left out, and take in all that lies above it."""
    if dimension.group != CAPACITY_GROUP or dimension.name == BATCH_SIZE:
        return None
    if isinstance(dimension, Integer) and isinstance(whole, Integer):
        high = max(dimension.high, whole.high)
        return replace(dimension, low=min(int(dimension.from_unit(0.5)), high - 1), high=high)
    if isinstance(dimension, Choice) and isinstance(whole, Choice) and dimension.ordered:
        middle = dimension.values[len(dimension.values) // 2]
        return replace(dimension, values=whole.values[whole.values.index(middle) :])
    return None


def _calm(dimension: Dimension, _: Dimension) -> Dimension | None:
    return _upwards(dimension) if dimension.name == BATCH_SIZE else None


def _upwards(dimension: Dimension) -> Dimension | None:
    """Leave the lowest value of an ordered choice out."""
    if isinstance(dimension, Choice) and dimension.ordered and len(dimension.values) > 2:
        return replace(dimension, values=dimension.values[1:])
    return None


_MOVES: dict[Name, tuple[Callable[[Dimension, Dimension], Dimension | None], str]] = {
    "overfitting": (_regularise, "more regularisation"),
    "underfitting": (_enlarge, "more capacity"),
    "noisy": (_calm, "larger batches"),
}
