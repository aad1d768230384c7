"""The errors that every good model makes: no hyperparameter will mend them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from search.data.audit.view import Codes
from search.data.features import Features
from search.insight.judgement import Panel
from search.insight.slices import Slice, worst_slices

MOST_IN_COMMON = 3
MAX_NAMED = 1_000


@dataclass(frozen=True)
class Unfixable:
    """What all of several models get wrong.

    Attributes:
        models: All finalists and the baseline.
        num_rows: On which every run of every model errs.
        share: Of the errors of the first model (of its squared error, where there are no classes).
        rows: Their numbers, the highest loss first; at most 1,000.
        in_common: Slices in which they are more frequent than chance explains; there ``error`` is
            their share of the slice's rows.
    """

    models: tuple[str, ...]
    num_rows: int
    share: float
    rows: tuple[int, ...]
    in_common: tuple[Slice, ...]


def find_unfixable(panel: Panel, features: Features) -> Unfixable | None:
    """Return what all models get wrong; None where there are fewer than two.

    Args:
        panel: The models.
        features: Of the panel's rows at least.
    """
    if len(panel.models) < 2:
        return None
    judged, common = panel.first, panel.all_err
    places = judged.at(panel.rows)
    weight = (judged.error if judged.truth.has_classes else judged.loss)[places]
    worst = np.flatnonzero(common)
    worst = worst[np.argsort(-judged.loss[places][worst], kind="stable")]
    sliced = worst_slices(
        _with_label(features.only(panel.rows), panel),
        common.astype(np.float64),
        is_share=True,
        most=MOST_IN_COMMON,
    )
    return Unfixable(
        models=tuple(panel.models),
        num_rows=len(worst),
        share=float(weight[common].sum() / weight.sum()) if weight.sum() > 0 else 0.0,
        rows=tuple(panel.rows[worst[:MAX_NAMED]].tolist()),
        in_common=sliced.slices,
    )


def _with_label(features: Features, panel: Panel) -> Features:
    """Add the label, which such errors often have in common."""
    truth = panel.first.truth
    target = truth.target[features.rows]
    if not truth.has_classes:
        values = truth.scale[0] + truth.scale[1] * target.astype(np.float64)
        return replace(features, numeric={**features.numeric, truth.name: values})
    codes = Codes(target.astype(np.int32), truth.classes, pa.string())
    return replace(features, categorical={**features.categorical, truth.name: codes})
