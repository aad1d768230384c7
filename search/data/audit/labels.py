"""Checks of the label: rare classes, imbalance, and rows whose label seems wrong."""

from __future__ import annotations

import numpy as np

from search.data.audit.out_of_fold import judge_rows
from search.data.audit.undone import not_done
from search.data.audit.view import View
from search.findings import Finding, warn

RARE = 10
"""A class with fewer rows leaves next to nothing for validation and test."""
IMBALANCE = 20.0
CONFIDENT = 0.5
"""A row is suspect where another class is more likely than its own, and at least as likely as
this …"""
DOUBTED = 0.1
"""… and its own at most as likely as that."""


def check_rare_class(view: View) -> list[Finding]:
    """Find classes with too few rows to be learnt and tested."""
    if not view.is_classification:
        return [_no_classes("rare_class")]
    found: list[Finding] = []
    for code, name in enumerate(view.classes):
        rows = np.flatnonzero(view.target == code)
        if len(rows) < RARE:
            found.append(
                warn(
                    "rare_class",
                    f"class '{name}' has {len(rows)} rows",
                    "collect more, merge it with another class, or leave it out",
                    columns=[view.schema.label],
                    rows=rows,
                    value=len(rows),
                )
            )
    return found


def check_imbalance(view: View) -> list[Finding]:
    """Say when a class is many times as frequent as another."""
    if not view.is_classification:
        return [_no_classes("imbalance")]
    counts = np.bincount(view.target.astype(int), minlength=len(view.classes))
    ratio = float(counts.max() / counts.min())
    if ratio < IMBALANCE:
        return []
    most, least = (view.classes[int(n)] for n in (counts.argmax(), counts.argmin()))
    return [
        warn(
            "imbalance",
            f"class '{most}' is {ratio:.0f} times as frequent as '{least}'",
            "judge by balanced_accuracy or by the loss: accuracy hardly sees the rare ones",
            columns=[view.schema.label],
            value=ratio,
        )
    ]


def check_label_errors(view: View) -> list[Finding]:
    """Find rows whose label a model that hasn't seen them thinks wrong, the most suspect first.

    By the probability that trees give to a row's own class out of fold (self-confidence, Northcutt
    et al., 2021, "Confident learning"). It is a list for review: rows that are merely hard stand
    on it, too, so that its length says nothing of how many labels are wrong. Rows of a class with
    hardly any others aren't judged.
    """
    check = "label_errors"
    if not view.is_classification:
        return [_no_classes(check)]
    judged = judge_rows(view)
    if isinstance(judged, str):
        return [not_done(check, judged)]
    left = view.num_rows - len(judged.rows)
    but = f"; {left} rows of rare classes weren't judged" if left else ""
    is_suspect = (judged.own <= DOUBTED) & (judged.likeliest >= CONFIDENT)
    if not is_suspect.any():
        return [Finding(check, "PASS", f"no label is spoken against by other rows{but}")]
    rows, own = judged.rows[is_suspect], judged.own[is_suspect]
    order = np.argsort(own, kind="stable")
    return [
        warn(
            check,
            f"{len(rows)} rows have a label that other rows speak against; the most suspect first"
            f"{but}",
            "review them by hand; some are only hard, so drop none unseen",
            columns=[view.schema.label],
            rows=rows[order],
            value=float(own.min()),
        )
    ]


def _no_classes(check: str) -> Finding:
    return not_done(check, "the label is a number, not a class")
