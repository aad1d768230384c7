"""Which classes aren't recognised, and what they are taken for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from search.insight.intervals import Interval, wilson
from search.insight.judgement import Judgement
from search.insight.slices import LEVEL


@dataclass(frozen=True)
class Confusion:
    """One class taken for another.

    Attributes:
        truth: The class.
        said: What it is taken for.
        num_rows: How many times; where several runs were judged by a row, their mean.
        share: Of the class's rows.
    """

    truth: str
    said: str
    num_rows: float
    share: Interval


@dataclass(frozen=True)
class ClassRecall:
    """How much of a class is recognised.

    Attributes:
        name: The class.
        num_rows: Of it.
        recall: The share that is recognised.
    """

    name: str
    num_rows: int
    recall: Interval


def worst_classes(judged: Judgement, most: int) -> tuple[ClassRecall, ...]:
    """Return the classes with the lowest recall, by the upper end of their interval.

    The intervals hold for all classes together.
    """
    names, target = judged.truth.classes, judged.target
    n = np.bincount(target, minlength=len(names)).astype(np.float64)
    present = np.flatnonzero(n)
    right = np.bincount(target, 1.0 - judged.error, minlength=len(names)).astype(np.float64)
    right = right[present]
    low, high = wilson(right, n[present], LEVEL / len(present))
    found = [
        ClassRecall(names[code], int(n[code]), Interval(*map(float, ends)))
        for code, *ends in zip(present, right / n[present], low, high, strict=True)
    ]
    return tuple(sorted(found, key=lambda each: (each.recall.high, each.recall.value))[:most])


def worst_confusions(judged: Judgement, most: int) -> tuple[Confusion, ...]:
    """Return the pairs of classes that are confused most often.

    The intervals hold for all pairs together.
    """
    names = judged.truth.classes
    n = np.bincount(judged.target, minlength=len(names)).astype(np.float64)
    pairs = sorted(judged.confusions.items(), key=lambda each: (-each[1], each[0]))[:most]
    if not pairs:
        return ()
    truths = np.array([truth for (truth, _), _ in pairs])
    counts = np.array([count for _, count in pairs])
    low, high = wilson(counts, n[truths], LEVEL / (len(names) * (len(names) - 1)))
    return tuple(
        Confusion(names[truth], names[said], count, Interval(*map(float, ends)))
        for ((truth, said), count), *ends in zip(pairs, counts / n[truths], low, high, strict=True)
    )
