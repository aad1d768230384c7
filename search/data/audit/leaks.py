"""Checks for columns that know the label, and for parts that aren't alike."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from search.data.audit.between import between_leaks
from search.data.audit.out_of_fold import trees
from search.data.audit.strength import class_strengths, column_bins, quantile_bins, strength
from search.data.audit.undone import not_done
from search.data.audit.view import View
from search.findings import Finding, warn

NEAR_PERFECT, SUSPICIOUS = 0.99, 0.93
PAIR_SUSPICIOUS, PAIR_GAIN = 0.9, 0.05
"""Two columns' difference is suspicious from here on, where it says so much more than either."""
PAIR_ROWS, MAX_PAIRED = 20_000, 60
KNOWN = 0.999
"""AUC of one class against the rest, from which on a column knows that class …"""
FAIR_ROWS, FAIR_SHARE = 50, 0.05
"""… if it has so many rows, and so large a share of them: fewer may stand apart by chance."""
SHIFT = 0.6
"""AUC of telling two parts apart, from which on they aren't alike."""
SHIFT_ROWS, PART_ROWS = 10_000, 100
"""At most so many rows are looked at; parts of fewer than so many aren't."""


def check_leaks(view: View) -> list[Finding]:
    """Find columns that know the label: alone, or by their difference from another one.

    A column that predicts the label nearly perfectly was made from it, or afterwards. So was one
    of two whose difference does: what happened, beside what was planned. The one that says more
    alone is named. So was one that tells what happened between two of these, and one that knows a
    single class of several.
    """
    if not view.plain:
        return [not_done("leaking_column", "there are no columns beside the images")]
    alone = {name: strength(column_bins(view, name), view) for name in view.plain}
    measure = "AUC" if view.is_classification else "R²"
    found = [
        _leak(
            name,
            f"'{name}' alone predicts the label (cross-validated {measure} {score:.3f})",
            score,
            fails=score >= NEAR_PERFECT,
        )
        for name, score in alone.items()
        if score >= SUSPICIOUS
    ]
    known = {column for each in found for column in each.columns}
    of_a_class = [each for name in view.plain if name not in known for each in _one(view, name)]
    known |= {column for each in of_a_class for column in each.columns}
    found += [
        _leak(
            name,
            f"the difference of '{name}' and '{other}' predicts the label (cross-validated "
            f"{measure} {score:.3f}), and '{name}' knows more of it alone",
            score,
        )
        for name, (other, score) in _by_difference(view, alone, known).items()
    ]
    found.sort(key=lambda each: -(each.value or 0.0))
    leaks = [column for each in found for column in each.columns]
    between = between_leaks(view, leaks)
    return [*found, *of_a_class] + [
        _leak(
            name,
            f"'{name}' tells how '{first}' and '{second}' differ, which know the label (rank "
            f"correlation {score:.2f} of what no other column tells)",
            score,
        )
        for name, (first, second, score) in between.items()
        if name not in known
    ]


def _leak(name: str, what: str, score: float, *, fails: bool = False) -> Finding:
    remedy = f"leave it out unless it is known before the label: data.ignore=[{name}]"
    return warn("leaking_column", what, remedy, columns=[name], value=score, fails=fails)


def _one(view: View, name: str) -> list[Finding]:
    """Find out whether a column knows a class; of two, it would know both, and the label."""
    if len(view.classes) < 3:
        return []
    fair = max(FAIR_ROWS, FAIR_SHARE * view.num_rows)
    scores = class_strengths(column_bins(view, name), view, at_least=fair)
    sure = {view.classes[code]: score for code, score in scores.items() if score >= KNOWN}
    if not sure:
        return []
    which = ", ".join(f"'{each}'" for each in sure)
    what = f"'{name}' alone tells the rows of class {which} from all others (cross-validated AUC "
    return [_leak(name, f"{what}{min(sure.values()):.4f})", min(sure.values()))]


def _by_difference(
    view: View, alone: dict[str, float], known: set[str]
) -> dict[str, tuple[str, float]]:
    """Return columns whose difference from another one predicts the label: {name: (other, …)}."""
    names = [n for n in view.schema.of_kind("numeric") if n not in known][:MAX_PAIRED]
    rows = view.sample(PAIR_ROWS, purpose=4)
    found: dict[str, tuple[str, float]] = {}
    for first, second in combinations(names, 2):
        difference = view.numbers(first)[rows] - view.numbers(second)[rows]
        score = strength(quantile_bins(difference), view, rows)
        if score < max(PAIR_SUSPICIOUS, alone[first] + PAIR_GAIN, alone[second] + PAIR_GAIN):
            continue
        name, other = sorted((first, second), key=lambda each: -alone[each])
        if name not in found or score > found[name][1]:
            found[name] = (other, score)
    return found


def check_shift(view: View) -> list[Finding]:
    """Find parts that a classifier can tell apart: what is tested isn't what was trained on."""
    if view.parts is None:
        return [not_done("split_shift", "the data don't say which rows are for training")]
    rows = {part: np.flatnonzero(view.parts == part) for part in ("train", "validation", "test")}
    train = rows.pop("train")
    large = [part for part in rows if min(len(rows[part]), len(train)) >= PART_ROWS]
    if not large:
        return [not_done("split_shift", f"no two parts have {PART_ROWS} rows each")]
    found: list[Finding] = []
    for part in large:
        score = _told_apart(view, train, rows[part])
        if score >= SHIFT:
            found.append(
                warn(
                    "split_shift",
                    f"{part} and train can be told apart (cross-validated AUC {score:.2f})",
                    "find out how the parts were made; choose by rows like those of the test",
                    columns=[view.schema.split] if view.schema.split else [],
                    value=score,
                )
            )
    return found


def _told_apart(view: View, first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    generator = np.random.default_rng([view.seed, 3])
    size = min(len(first), len(second), SHIFT_ROWS // 2)
    rows = np.concatenate([generator.permutation(each)[:size] for each in (first, second)])
    truth = np.repeat([0, 1], size)
    fold = generator.permutation(2 * size) % 2 == 0
    scores = []
    for train in (fold, ~fold):
        model = trees(2, view.seed).fit(view.features[rows[train]], truth[train])
        guess = model.predict_proba(view.features[rows[~train]])[:, 1]
        scores.append(roc_auc_score(truth[~train], guess))
    return float(np.mean(scores))
