"""Checks of images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from search.data.audit.near import WIDER, Pairs, near_pairs, unique_in_order
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
        return []
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
    return [*found, *_copies(view, name, blank), *_near_copies(view, view.pixels, name, blank)]


def _copies(view: View, name: str, blank: np.ndarray) -> list[Finding]:
    hashes = content_hashes(view.table, [name])
    _, first = np.unique(hashes, return_index=True)
    is_copy = ~blank
    is_copy[first] = False
    rows = np.flatnonzero(is_copy)
    if len(rows) == 0:
        return []
    return [
        warn(
            "images",
            f"{len(rows)} images are copies of an earlier one",
            "leave the copies out",
            columns=[name],
            rows=rows,
            value=len(rows),
        )
    ]


def _near_copies(
    view: View, pixels: NDArray[np.uint8], name: str, blank: NDArray[np.bool_]
) -> list[Finding]:
    keys = np.zeros(view.num_rows, dtype=np.uint64)
    tolerance = NEAR * max(int(pixels.max()), 1) / 255
    pairs = near_pairs(pooled(pixels, FEW_FIELDS) / tolerance, keys)
    apart = np.full(len(pairs.first), np.inf, dtype=np.float32)
    for start in range(0, len(apart), CHUNK):
        one, other = (rows[start : start + CHUNK] for rows in (pairs.first, pairs.second))
        shown = ~blank[one] & ~blank[other]
        levels = np.abs(pixels[one].astype(np.int16) - pixels[other]).mean(axis=(1, 2, 3))
        apart[start : start + CHUNK] = np.where(shown, levels / tolerance, np.inf)
    near = Pairs(pairs.first, pairs.second, apart).within(WIDER).beyond_chance(view.num_rows)
    rows = unique_in_order(near.second)
    if len(rows) == 0:
        return []
    return [
        warn(
            "images",
            f"{len(rows)} images are nearly copies of an earlier one: their pixels differ by at "
            f"most {NEAR:g} of 255 levels in the mean",
            "look whether the same picture was saved twice; keep its copies in one part",
            columns=[name],
            rows=rows,
            value=len(rows),
        )
    ]
