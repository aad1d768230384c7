"""Checks that compare rows with each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from search.data.audit.columns import identifiers
from search.data.audit.copies import copies, places, same_label
from search.data.audit.near import TOLERANCE, Pairs, mixed, near_pairs, scaled
from search.data.audit.undone import not_done
from search.data.audit.view import View
from search.data.split import content_hashes
from search.findings import Finding, warn

CHANCE = 1e-3
MIN_COPIES = 3
_NEARLY = f"their numbers lie within {TOLERANCE:.0%} of the columns' spread, all else is equal"


def check_duplicates(view: View) -> list[Finding]:
    """Find rows that are equal in every column but those that name them, or nearly so."""
    found = []
    repeated, near = copies(_hashes(view, with_label=True), _alike(view), places(view))
    if len(repeated):
        share = len(repeated) / view.num_rows
        found.append(
            warn(
                "duplicates",
                f"{len(repeated)} rows ({share:.2%}) are copies of another one",
                "leave the copies out, unless the same case really came more than once",
                rows=repeated,
                value=share,
            )
        )
    if len(near):
        share = len(near) / view.num_rows
        found.append(
            warn(
                "duplicates",
                f"{len(near)} rows ({share:.2%}) are nearly copies of another one: {_NEARLY}",
                "look whether the same case was measured, rounded or saved twice",
                rows=near,
                value=share,
            )
        )
    return found


def _alike(view: View) -> Pairs:
    """Return the pairs of rows that are nearly the same, their labels among what is."""
    pairs = view.once(_near)
    return pairs.where(same_label(view, pairs))


def _near(view: View) -> Pairs:
    """Return the pairs of rows that are nearly the same, where chance doesn't explain them."""
    left_out = set(identifiers(view))
    names = [name for name in view.schema.of_kind("numeric") if name not in left_out]
    others = [n for n in view.plain if n not in left_out and n not in names]
    if not names or view.pixels is not None:
        return Pairs.none()
    keys = np.zeros(view.num_rows, dtype=np.uint64)
    if others:
        keys += content_hashes(view.table, others)
    for name in names:
        keys = mixed(keys ^ view.missing(name))
    return near_pairs(scaled([view.numbers(n) for n in names]), keys).beyond_chance(view.num_rows)


def check_contradictions(view: View) -> list[Finding]:
    """Find rows with the same features, or nearly so, and another class."""
    check = "contradictory_labels"
    if not view.is_classification:
        return [not_done(check, "the label is a number, and equal rows may differ in it")]
    _, group = np.unique(_hashes(view, with_label=False), return_inverse=True)
    lowest = np.full(group.max() + 1, np.inf)
    highest = np.full(group.max() + 1, -np.inf)
    np.minimum.at(lowest, group, view.target)
    np.maximum.at(highest, group, view.target)
    equal = np.flatnonzero((lowest < highest)[group])
    pairs = view.once(_near)
    apart = pairs.where(~same_label(view, pairs))
    near = np.setdiff1d(np.concatenate([apart.first, apart.second]), equal)
    told = (
        (equal, "share all features with a row of another class"),
        (near, f"are nearly copies of a row of another class: {_NEARLY}"),
    )
    return [
        warn(
            check,
            f"{len(rows)} rows ({len(rows) / view.num_rows:.2%}) {what}",
            "look at them: one label is wrong, or a column is lacking that tells them apart",
            columns=[view.schema.label],
            rows=rows,
            value=len(rows) / view.num_rows,
        )
        for rows, what in told
        if len(rows)
    ]


def check_split_copies(view: View) -> list[Finding]:
    """Find rows of one part that stand in another part, too: what is tested was trained on.

    Where the same case comes more than once by itself, it does so in every part: that is warned
    of. It fails where there are more copies across parts than copies within them explain.
    """
    if view.parts is None:
        return [not_done("split_copies", "the data don't say which rows are for training")]
    if (view.parts == "train").all():
        return [not_done("split_copies", "all rows are for training")]
    hashes = _hashes(view, with_label=True)
    found: list[Finding] = []
    for part, other in (("test", "train"), ("validation", "train"), ("test", "validation")):
        here, there = view.parts == part, view.parts == other
        copies = np.flatnonzero(here & np.isin(hashes, hashes[there]))
        if len(copies) == 0:
            continue
        expected = _natural_share(hashes[here], hashes[there])
        p_value = binomtest(len(copies), int(here.sum()), expected, "greater").pvalue
        fails = len(copies) >= MIN_COPIES and p_value < CHANCE
        share = len(copies) / int(here.sum())
        found.append(
            warn(
                "split_copies",
                f"{len(copies)} {part} rows ({share:.2%}) stand among the {other} rows, too; "
                f"{expected:.2%} would be no surprise with so many copies within the parts",
                f"leave them out of {part}" if fails else "the same cases come by themselves",
                rows=copies,
                value=share,
                fails=fails,
            )
        )
    return [*found, *_near_split_copies(view, view.parts)]


def _near_split_copies(view: View, parts: NDArray[np.str_]) -> list[Finding]:
    """Find rows to judge by that are nearly copies of rows to learn from."""
    pairs = _alike(view)
    both = np.stack([pairs.first, pairs.second], axis=1)
    is_train = parts[both] == "train"
    across = both[is_train.sum(axis=1) == 1]
    rows = np.unique(across[parts[across] != "train"])
    if len(rows) == 0:
        return []
    share = len(rows) / int((parts != "train").sum())
    return [
        warn(
            "split_copies",
            f"{len(rows)} validation or test rows ({share:.2%}) are nearly copies of train rows",
            "look whether it is the same case; keep all rows of a case in one part",
            rows=rows,
            value=share,
        )
    ]


def _natural_share(here: NDArray[np.uint64], there: NDArray[np.uint64]) -> float:
    """Return the share of rows with a copy in another part, were the parts drawn at random.

    It follows from the copies within a part, whose number grows with the part's size; the
    cleaner of the two parts speaks, since copies may have been made within the other.
    """
    scale = len(there) / len(here)
    within_there = _share_with_copy(there)
    within_here = min(1.0, _share_with_copy(here, at_least=1) * scale)
    return max(min(within_there, within_here), 1.0 / len(here))


def _share_with_copy(hashes: NDArray[np.uint64], at_least: int = 0) -> float:
    _, counts = np.unique(hashes, return_counts=True)
    return max(float(counts[counts > 1].sum()), at_least) / len(hashes)


def _hashes(view: View, *, with_label: bool) -> NDArray[np.uint64]:
    left_out = set(identifiers(view))
    names = [name for name in view.schema.kinds if name not in left_out]
    names = names or list(view.schema.kinds)
    return content_hashes(view.table, [view.schema.label, *names] if with_label else names)
