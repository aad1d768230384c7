"""Single rows to look at: those with the highest loss, and those whose label seems wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from search.data.features import Features
from search.insight.judgement import Judgement, Panel, Rows

SHOWN_FEATURES = 20
CONFIDENT, DOUBTED = 0.5, 0.1
"""A label is suspect where every model gives it at most the second, and the same other class at
least the first …"""
FAR = 6.0
"""… or, where there are no classes, where all are off to the same side by as many times their
median error."""


@dataclass(frozen=True)
class Sample:
    """One row.

    Attributes:
        row: Its number in the source, from 0.
        truth: Its label.
        said: What the model says.
        loss: Cross-entropy, or squared standardised error.
        probability: That the model gives to the label; None where there are no classes.
        values: Its features, of many the first ones.
        picture: Of it, as a data URI; None where it isn't an image.
    """

    row: int
    truth: str | float
    said: str | float
    loss: float
    probability: float | None
    values: dict[str, Any]
    picture: str | None = None


def highest_losses(judged: Judgement, features: Features, most: int) -> tuple[Sample, ...]:
    """Return the rows with the highest loss, highest first.

    Args:
        judged: The model's word.
        features: Of the rows that it was judged by.
        most: How many rows.
    """
    order = np.argsort(-judged.loss, kind="stable")[:most]
    return tuple(_sample(judged, features, int(place)) for place in order)


def suspected_mislabels(panel: Panel, features: Features, most: int) -> tuple[Sample, ...]:
    """Return rows whose label all models speak against, the most suspect first.

    It is a list for review, by the mean probability of a row's own class (self-confidence,
    Northcutt et al., 2021, "Confident learning"). Rows that are merely hard stand on it, too, so
    that its length says nothing of how many labels are wrong.

    Args:
        panel: The models.
        features: Of the rows that the first of them was judged by.
        most: How many rows.
    """
    judged = panel.first
    find = _against_classes if judged.truth.has_classes else _far_off
    places = judged.at(panel.rows[find(panel)][:most])
    return tuple(_sample(judged, features, int(place)) for place in places)


def _against_classes(panel: Panel) -> Rows:
    said, target = panel.said, panel.first.truth.target[panel.rows].astype(np.int64)
    own = said[:, np.arange(len(target)), target]
    other = said.argmax(2)
    agree = (other == other[0]).all(0) & (other[0] != target)
    suspect = agree & (own.max(0) <= DOUBTED) & (said.max(2).min(0) >= CONFIDENT)
    rows = np.flatnonzero(suspect)
    return rows[np.argsort(own.mean(0)[rows], kind="stable")]


def _far_off(panel: Panel) -> Rows:
    off = panel.said[:, :, 0] - panel.first.truth.target[panel.rows]
    sizes = np.abs(off)
    usual = np.median(sizes, axis=1, keepdims=True)
    same_side = (off > 0).all(0) | (off < 0).all(0)
    rows = np.flatnonzero(same_side & (sizes >= FAR * usual).all(0))
    return rows[np.argsort(-sizes.mean(0)[rows], kind="stable")]


def _sample(judged: Judgement, features: Features, place: int) -> Sample:
    truth, said, target = judged.truth, judged.said[place], judged.target[place]
    answer = said.argmax() if truth.has_classes else said[0]
    return Sample(
        row=int(judged.rows[place]),
        truth=truth.in_words(target),
        said=truth.in_words(answer),
        loss=float(judged.loss[place]),
        probability=float(said[int(target)]) if truth.has_classes else None,
        values=features.values_at(place, SHOWN_FEATURES),
    )
