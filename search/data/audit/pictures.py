"""Checks of images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from search.data.audit.copies import copies, places, same_label
from search.data.audit.near import WIDER, Pairs, near_pairs
from search.data.audit.undone import not_done
from search.data.audit.view import View, pooled
from search.data.split import content_hashes
from search.findings import Finding, warn

BLANK_SD = 2.0
"""Of the pixels, on the scale of 0 to 255."""
SATURATED_SHARE = 0.98
CHUNK = 4_096
FEW_FIELDS, NEAR = 4, 3.0
"""Images whose averages over few fields, and whose pixels in the mean, differ by at most so many
levels of 255 are nearly the same, if chance doesn't explain it: saved again with some loss. The
brightest pixel of all images has the highest level."""


def check_images(view: View) -> list[Finding]:
    """Find images that show nothing, and images that come more than once."""
    if view.pixels is None:
        return [not_done("images", "there are none")]
    (name,) = view.schema.of_kind("image")
    sd = np.empty(view.num_rows)
    saturated = np.empty(view.num_rows)
    for start in range(0, view.num_rows, CHUNK):
        chunk = view.pixels[start : start + CHUNK].reshape(-1, view.pixels[0].size)
        sd[start : start + CHUNK] = chunk.std(1)
        saturated[start : start + CHUNK] = (chunk == 255).mean(1)
    blank, white = sd <= BLANK_SD, saturated >= SATURATED_SHARE
    found = []
    for mask, what in ((blank, "blank: all their pixels are alike"), (white & ~blank, "saturated")):
        if mask.any():
            rows = np.flatnonzero(mask)
            found.append(
                warn(
                    "images",
                    f"{len(rows)} images are {what}",
                    "look at them, and leave out those that show nothing",
                    columns=[name],
                    rows=rows,
                    value=len(rows),
                )
            )
    return [*found, *_copies(view, view.pixels, name, blank | white)]


def _copies(
    view: View, pixels: NDArray[np.uint8], name: str, empty: NDArray[np.bool_]
) -> list[Finding]:
    """Find copies; those of an image with another label are apart, for one of the two is wrong."""
    order, label = places(view), view.schema.label
    pairs = _near(view, pixels, empty)
    alike = pairs.where(same_label(view, pairs))
    equal, near = copies(content_hashes(view.table, [name, label]), alike, order)
    of_any = np.concatenate(copies(content_hashes(view.table, [name]), pairs, order))
    others = np.setdiff1d(of_any, np.concatenate([equal, near]))
    levels = f"their pixels differ by at most {NEAR:g} of 255 levels in the mean"
    told = (
        (equal, [name], "are copies of another one", "leave the copies out"),
        (
            near,
            [name],
            f"are nearly copies of another one: {levels}",
            "look whether the same picture was saved twice; keep its copies in one part",
        ),
        (
            others,
            [name, label],
            "are copies, or nearly so, of one with another label",
            "look at them: one of the labels is wrong",
        ),
    )
    return [
        warn(
            "images",
            f"{len(rows)} images {what}",
            remedy,
            columns=columns,
            rows=rows,
            value=len(rows),
        )
        for named, columns, what, remedy in told
        if len(rows := named[~empty[named]])
    ]


def _near(view: View, pixels: NDArray[np.uint8], empty: NDArray[np.bool_]) -> Pairs:
    """Return the pairs of images that are nearly the same, where chance doesn't explain them."""
    keys = np.zeros(view.num_rows, dtype=np.uint64)
    tolerance = NEAR * max(int(pixels.max()), 1) / 255
    pairs = near_pairs(pooled(pixels, FEW_FIELDS) / tolerance, keys)
    apart = np.full(len(pairs.first), np.inf, dtype=np.float32)
    for start in range(0, len(apart), CHUNK):
        one, other = (rows[start : start + CHUNK] for rows in (pairs.first, pairs.second))
        shown = ~empty[one] & ~empty[other]
        levels = np.abs(pixels[one].astype(np.int16) - pixels[other]).mean(axis=(1, 2, 3))
        apart[start : start + CHUNK] = np.where(shown, levels / tolerance, np.inf)
    return Pairs(pairs.first, pairs.second, apart).within(WIDER).beyond_chance(view.num_rows)
