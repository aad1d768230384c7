"""The check for numbers that lie far from all others, or are none."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from search.data.audit.columns import shortened
from search.data.audit.undone import not_done
from search.data.audit.view import View
from search.findings import Finding, warn

OUTLIER = 10.0
"""Robust z-score; less is none."""
SPARE_POWERS, LEAST_GROWTH = 1.5, 1.5
"""A tail may reach as far as with this many powers of ten more rows, growing at least so fast."""
_MAD_TO_SD = 1.4826


def check_outliers(view: View) -> list[Finding]:
    """Find infinities, and values far outside of all else in their column (robust z-score)."""
    found = [_infinities(name, view.infinite(name)) for name in view.plain]
    numeric = view.schema.of_kind("numeric")
    found += [_far(name, view.numbers(name)) for name in numeric]
    if not numeric and not any(found):
        return [not_done("outliers", "no column holds numbers")]
    return [each for each in found if each is not None]


def _infinities(name: str, infinite: NDArray[np.bool_]) -> Finding | None:
    rows = np.flatnonzero(infinite)
    if len(rows) == 0:
        return None
    return warn(
        "outliers",
        f"'{name}' is infinite in {len(rows)} rows ({len(rows) / len(infinite):.2%})",
        "they are treated as missing: look what was divided by zero, or ran over",
        columns=[name],
        rows=rows,
        value=len(rows),
    )


def _far(name: str, values: NDArray[np.float64]) -> Finding | None:
    score = np.nan_to_num(_robust_score(values))
    rows = np.flatnonzero(score > 0)
    if len(rows) == 0:
        return None
    order = rows[np.argsort(-score[rows], kind="stable")]
    shown = ", ".join(f"{value:g}" for value in dict.fromkeys(values[order[:50]].tolist()))
    return warn(
        "outliers",
        f"'{name}' has {len(rows)} values far from all others: {shortened(shown)}",
        "look whether they are wrong, or marks for something missing",
        columns=[name],
        rows=order,
        value=float(score.max()),
    )


def _robust_score(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each value's robust z-score where it is an outlier, else 0.

    The score is the distance from the median in median absolute deviations (times 1.4826) of the
    values that aren't the median. An outlier also lies beyond where the column's own tail leads:
    as the distance grows from the 90th to the 99th percentile, so it may grow from one power of
    ten of the rows to the next.
    """
    away = np.abs(values - np.nanmedian(values))
    others = away[away > 0]
    if len(others) == 0:
        return np.zeros(len(values))
    score = away / (_MAD_TO_SD * float(np.median(others)))
    wide, wider = np.quantile(others, [0.9, 0.99])
    powers = max(0.0, math.log10(len(others) / 100.0)) + SPARE_POWERS
    reach = wider * max(float(wider / wide), LEAST_GROWTH) ** powers
    result: NDArray[np.float64] = np.where((score > OUTLIER) & (away > reach), score, 0.0)
    return result
