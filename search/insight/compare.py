"""Is the winner better than the baseline? Paired by seed, with an interval, ties called ties."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import t, ttest_ind, ttest_rel

Verdict = Literal["better", "tie", "worse"]


@dataclass(frozen=True)
class Summary:
    """Some runs' values.

    Attributes:
        mean: Their mean; NaN without any.
        sd: Their sample standard deviation; 0 for one.
        n: How many.
        per_seed: The values in the order of the seeds.
    """

    mean: float
    sd: float
    n: int
    per_seed: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> Summary:
        """Summarise values."""
        if not values:
            return cls(math.nan, math.nan, 0, ())
        sd = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        return cls(float(np.mean(values)), sd, len(values), tuple(values))


@dataclass(frozen=True)
class Comparison:
    """The winner against the baseline, on the test rows.

    Attributes:
        difference: Mean of winner minus baseline, in the metric's unit.
        ci95: 95 % interval of that mean, by Student's t over the paired seeds (unpaired where
            every pair differs by the same); None with fewer than two pairs.
        p_value: Of the two-sided paired t-test; None likewise.
        verdict: ``better`` or ``worse`` where the interval leaves out 0, else ``tie``.
        statement: All of it in words.
    """

    difference: float
    ci95: tuple[float, float] | None
    p_value: float | None
    verdict: Verdict
    statement: str


def compare(
    winner: Mapping[int, float],
    baseline: Mapping[int, float],
    *,
    metric: str,
    mode: Literal["max", "min"],
    resolution: float = 0.0,
) -> Comparison:
    """Compare two configurations' test values.

    The interval is that of the training noise (initialisation, order, dropout), not of the
    choice of test rows.

    Args:
        winner: Seed to value.
        baseline: Likewise; only seeds at which both have a finite value are compared.
        metric: Its name, for the words.
        mode: ``max`` where more is better.
        resolution: The step in which values come: one row of ``n`` right or wrong is 1/n.
    """
    seeds = [
        seed
        for seed, value in winner.items()
        if math.isfinite(value) and math.isfinite(baseline.get(seed, math.nan))
    ]
    first = np.array([winner[seed] for seed in seeds])
    second = np.array([baseline[seed] for seed in seeds])
    if len(seeds) < 2:
        statement = "No evidence of improvement: fewer than two seeds of both have a value."
        difference = float(np.mean(first - second)) if seeds else math.nan
        return Comparison(difference, None, None, "tie", statement)
    difference, low, high, p_value = _paired(first - second, first, second, resolution)
    verdict = verdict_of(low, high, mode)
    statement = _statement(verdict, difference, (low, high), metric, len(seeds))
    return Comparison(difference, (low, high), p_value, verdict, statement)


def _paired(
    differences: np.ndarray, first: np.ndarray, second: np.ndarray, resolution: float
) -> tuple[float, float, float, float]:
    mean = float(differences.mean())
    if abs(mean) <= 1e-12 * float(np.abs([first, second]).max()):
        mean = 0.0  # what floating point leaves of it is no difference
    if np.ptp(differences) >= 1e-12:
        result = ttest_rel(first, second)
    elif np.ptp(first) >= 1e-12:
        # The same in every seed, which few test rows make likely: that is no certainty. The
        # values' own spread is left.
        result = ttest_ind(first, second)
    else:
        return _rounded(mean, len(differences), resolution)
    interval = result.confidence_interval(0.95)
    return mean, float(interval.low), float(interval.high), float(result.pvalue)


def _rounded(mean: float, n: int, resolution: float) -> tuple[float, float, float, float]:
    """Return the difference of values that are the same in every seed.

    Either training has no noise, or it is smaller than the values' step: what rounding hides of
    both (uniform, a twelfth of the step squared) is the noise that is left.
    """
    error = resolution * math.sqrt(2.0 / 12.0 / n)
    if error == 0.0:
        return mean, mean, mean, 0.0 if abs(mean) > 1e-12 else 1.0
    half = float(t.ppf(0.975, n - 1)) * error
    return mean, mean - half, mean + half, 2.0 * float(t.sf(abs(mean) / error, n - 1))


def verdict_of(low: float, high: float, mode: Literal["max", "min"]) -> Verdict:
    """Return what a difference's interval says: a tie where 0 is within, or an end isn't finite."""
    if not (math.isfinite(low) and math.isfinite(high)) or low <= 0 <= high:
        return "tie"
    return "better" if (low > 0) == (mode == "max") else "worse"


def _statement(
    verdict: Verdict, difference: float, ci95: tuple[float, float], metric: str, n: int
) -> str:
    interval = in_words(difference, ci95, metric)
    over = f"over {n} seeds on the test rows"
    if verdict == "better":
        return f"Better than the published default: {interval} {over}."
    if verdict == "worse":
        return f"Worse than the published default: {interval} {over}. Keep the default."
    return f"No evidence of improvement over the published default: {interval} {over}."


def in_words(difference: float, ci95: tuple[float, float], metric: str) -> str:
    """Return a difference with its interval, for a sentence."""
    return f"{difference:+.4g} {metric} (95 % interval {ci95[0]:+.4g} to {ci95[1]:+.4g})"
