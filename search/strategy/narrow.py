"""From the coarse space to the fine space, on evidence.

The survivors (the best quarter, at least five) say where to look; the failures say where not.
Narrowing is soft, since a hard box around the winners gains nothing: ranges keep a margin, a
choice goes only when chance doesn't explain its absence. What doesn't transfer from a
subsample (weight decay, dropout, width) is searched in full again.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import hypergeom

from search.space import Choice, Dimension, Float, Integer, Space, Value
from search.strategy.budget import Ladder
from search.strategy.change import Change
from search.strategy.edges import at_edge, stretch
from search.strategy.importance import Importance, measure_importance
from search.trials import History, Record, rank_records

MIN_SURVIVORS = 5
MARGIN = 0.2
"""Of the range's scaled width, kept on both sides of the survivors."""
CHANCE = 0.05
"""What is as likely as this by chance alone is no evidence."""
UNIMPORTANT = 0.02
"""A dimension is fixed when even the upper end of its importance's interval is below this."""
SHORT_COST = 1 / 9
"""Coarse runs at or below this share of a full run saw "much fewer steps"."""


@dataclass(frozen=True)
class Evidence:
    """What the coarse phase left.

    Attributes:
        survivors: The best trials, best first.
        records: All that ended.
        importances: Of the dimensions; empty when there were too few trials.
        cost: The coarse phase's longest trial as a share of a full run.
    """

    survivors: list[Record]
    records: list[Record]
    importances: Sequence[Importance]
    cost: float

    def values(self, name: str, *, survivors: bool) -> list[Value]:
        """Return the values that a dimension had, in order of rank for survivors."""
        records = self.survivors if survivors else self.records
        return [r.trial.config[name] for r in records if name in r.trial.config]


def choose_survivors(records: Sequence[Record], ladder: Ladder, share: float) -> list[Record]:
    """Return the best ``share`` of the trials that reached a rung, at least five, best first."""
    ranked = rank_records(records, ladder.coarse)
    return ranked[: max(MIN_SURVIVORS, math.ceil(share * len(ranked)))]


def gather_evidence(
    space: Space, coarse: History, ladder: Ladder, *, share: float, seed: int
) -> Evidence:
    """Return what the coarse phase says: survivors, failures, and what mattered.

    Args:
        space: The coarse space.
        coarse: The phase's history.
        ladder: The rungs.
        share: Of the trials that survive.
        seed: Seeds the measurement of importance.
    """
    judged = [(r, r.value_at(ladder.coarse[0])) for r in coarse.ended]
    known = [(r.trial.config, value) for r, value in judged if value is not None]
    importances = measure_importance(space, [c for c, _ in known], [x for _, x in known], seed=seed)
    survivors = choose_survivors(coarse.ended, ladder, share)
    return Evidence(survivors, coarse.ended, importances, ladder.coarse[-1] / ladder.full)


def narrow(space: Space, evidence: Evidence) -> tuple[Space, list[Change]]:
    """Return the fine space and one change for every dimension.

    Args:
        space: The coarse space.
        evidence: What the coarse phase left.
    """
    changes: list[Change] = []
    narrowed = space
    for dimension in space.searched:
        if dimension.name not in narrowed:
            parent = ", ".join(f"{p} in {list(v)}" for p, v in dimension.when.items())
            changes.append(
                Change.of(dimension, None, "narrowed", f"only goes with {parent}, dropped")
            )
            continue
        after, change = _one(dimension, evidence)
        narrowed = (
            narrowed.replace(after)
            if not isinstance(after, _Fix)
            else narrowed.fix(dimension.name, after.value)
        )
        changes.append(replace(change, after=narrowed[dimension.name].to_json()))
    return narrowed, changes


def widened(space: Space, narrowed: Space) -> Space:
    """Return ``space`` with every range extended to what ``narrowed`` has of it.

    Narrowing is soft: it says where to look first, and what it cut away can still be proposed. What
    it widened is new.
    """
    for dimension in narrowed:
        known = space[dimension.name]
        if isinstance(known, Float) and isinstance(dimension, Float):
            low, high = min(known.low, dimension.low), max(known.high, dimension.high)
            space = space.replace(known.with_range(low, high))
    return space


@dataclass(frozen=True)
class _Fix:
    value: Value


def _one(dimension: Dimension, evidence: Evidence) -> tuple[Dimension | _Fix, Change]:
    if dimension.reopen:
        return _widened_or(dimension, evidence, _reopened(dimension))
    fixed = _fixed(dimension, evidence)
    if fixed is not None:
        return fixed
    if isinstance(dimension, Choice):
        return _choice(dimension, evidence)
    if isinstance(dimension, Float) and dimension.name.startswith("learning_rate"):
        return _learning_rate(dimension, evidence)
    if isinstance(dimension, Float | Integer):
        return _widened_or(dimension, evidence, _range(dimension, evidence))
    return dimension, Change.of(dimension, dimension, "kept", "nothing speaks against it")


def _reopened(dimension: Dimension) -> tuple[Dimension, Change]:
    why = "its best value on a subsample doesn't transfer to all the data: searched in full again"
    return dimension, Change.of(dimension, dimension, "reopened", why)


def _fixed(dimension: Dimension, evidence: Evidence) -> tuple[_Fix, Change] | None:
    measured = next((i for i in evidence.importances if i.name == dimension.name), None)
    values = evidence.values(dimension.name, survivors=True)
    guarded = dimension.name == "optimizer" or dimension.name.startswith("learning_rate")
    if measured is None or measured.high >= UNIMPORTANT or guarded or not values:
        return None
    value = _typical(dimension, values)
    why = (
        f"explains {measured.value:.1%} of the ranking (90 % interval {measured.low:.1%} to "
        f"{measured.high:.1%}), below {UNIMPORTANT:.0%}: fixed at the survivors' {value}"
    )
    change = Change.of(
        dimension,
        None,
        "fixed",
        why,
        importance=measured.value,
        low=measured.low,
        high=measured.high,
    )
    return _Fix(value), change


def _typical(dimension: Dimension, values: list[Value]) -> Value:
    if isinstance(dimension, Choice):
        # The most frequent; the better-ranked one among equals, since values come ranked.
        return max(dict.fromkeys(values), key=values.count)
    median = float(np.median([dimension.to_unit(value) for value in values]))
    return dimension.from_unit(median)


def _choice(dimension: Choice, evidence: Evidence) -> tuple[Dimension, Change]:
    tried = evidence.values(dimension.name, survivors=False)
    best = evidence.values(dimension.name, survivors=True)
    if not best:
        return dimension, Change.of(dimension, dimension, "kept", "no survivor used it")
    chances = {
        str(value): chance_of_none(tried.count(value), len(tried), len(best))
        for value in dimension.values
        if tried.count(value) and value not in best
    }
    kept = tuple(v for v in dimension.values if chances.get(str(v), 1.0) >= CHANCE)
    if len(kept) == len(dimension.values):
        why = "every value survived, or was tried too seldom to drop it"
        return dimension, Change.of(dimension, dimension, "kept", why, chances=chances)
    dropped = ", ".join(str(v) for v in dimension.values if v not in kept)
    why = f"{dropped}: none among {len(best)} survivors, which chance explains in < {CHANCE:.0%}"
    after = replace(dimension, values=kept)
    return after, Change.of(dimension, after, "narrowed", why, chances=chances)


def chance_of_none(number: int, num_tried: int, num_best: int) -> float:
    """Return how likely none of ``number`` of the tried ones is among the best, by chance alone."""
    return float(hypergeom.pmf(0, num_tried, number, num_best)) if number else 1.0


def failure_boundary(dimension: Float, evidence: Evidence) -> float | None:
    """Return the lowest value above all survivors from which on at least half of the trials failed.

    None unless two or more failed there, and at least one survivor lies below.
    """
    survivors = [float(v) for v in evidence.values(dimension.name, survivors=True)]
    used = [r for r in evidence.records if dimension.name in r.trial.config and survivors]
    pairs = sorted(
        (value, r.has_failed)
        for r in used
        if (value := float(r.trial.config[dimension.name])) > max(survivors)
    )
    for start, (value, failed) in enumerate(pairs):
        above = [each for _, each in pairs[start:]]
        if failed and sum(above) >= 2 and sum(above) * 2 >= len(above):
            return value
    return None


def _learning_rate(dimension: Float, evidence: Evidence) -> tuple[Dimension, Change]:
    rates = [float(v) for v in evidence.values(dimension.name, survivors=True)]
    if not rates:
        why = "no survivor used it: kept as it was"
        return dimension, Change.of(dimension, dimension, "kept", why)
    down, up = (6.0, 1.5) if evidence.cost <= SHORT_COST else (3.0, 3.0)
    low, high = min(rates) / down, max(rates) * up
    boundary = failure_boundary(dimension, evidence)
    if boundary is not None:
        high = min(high, boundary)
    low = low if at_edge(dimension, rates, "low") else max(low, dimension.low)
    high = high if at_edge(dimension, rates, "high") else min(high, dimension.high)
    after = dimension.with_range(low, high)
    outside = after.low < dimension.low or after.high > dimension.high
    why = f"{len(rates)} survivors in [{min(rates):.3g}, {max(rates):.3g}]: /{down:g} to x{up:g}"
    if boundary is not None:
        why += f"; from {boundary:.3g} on trials failed"
    if outside:
        why += "; the best lie at the edge, so it reaches beyond the old range"
    same = (after.low, after.high) == (dimension.low, dimension.high)
    change = "widened" if outside else "kept" if same else "narrowed"
    return after, Change.of(dimension, after, change, why, rates=rates, boundary=boundary)


def _range(dimension: Float | Integer, evidence: Evidence) -> tuple[Dimension, Change]:
    values = evidence.values(dimension.name, survivors=True)
    units = [dimension.to_unit(value) for value in values]
    if len(units) < MIN_SURVIVORS:
        why = f"only {len(units)} survivors use it: kept as it was"
        return dimension, Change.of(dimension, dimension, "kept", why)
    low = dimension.from_unit(max(0.0, min(units) - MARGIN))
    high = dimension.from_unit(min(1.0, max(units) + MARGIN))
    if (low, high) == (dimension.low, dimension.high) or not low < high:
        spread = "spread over the whole range" if low < high else f"all lie at {low}"
        why = f"the survivors {spread}: kept as it was"
        return dimension, Change.of(dimension, dimension, "kept", why)
    after = replace(dimension, low=low, high=high)  # type: ignore[arg-type]
    why = f"{len(units)} survivors between {min(values)} and {max(values)}, a margin kept"
    return after, Change.of(dimension, after, "narrowed", why, survivors=values)


def _widened_or(
    dimension: Dimension, evidence: Evidence, otherwise: tuple[Dimension, Change]
) -> tuple[Dimension, Change]:
    """Widen a range whose best values lie at its edge, as far as its limits go."""
    if not isinstance(dimension, Float) or dimension.limits is None:
        return otherwise
    values = evidence.values(dimension.name, survivors=True)
    if len(values) < MIN_SURVIVORS:
        return otherwise
    after = stretch(dimension, values)
    if (after.low, after.high) == (dimension.low, dimension.high):
        return otherwise
    why = f"at least half of {len(values)} survivors lie in the outer tenth: widened"
    return after, Change.of(dimension, after, "widened", why, survivors=values)


def summarise(changes: Sequence[Change]) -> str:
    """Return in a line how many dimensions changed how."""
    counts = Counter(change.change for change in changes)
    return ", ".join(f"{count} {change}" for change, count in counts.most_common())
