"""Where a model errs: which classes, which slices, which rows; and what no tuning will mend.

Everything is counted on validation rows. A list's intervals hold for all of it at once: the more
there is to look at, the wider they are (Bonferroni). They are those of the choice of rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from search.data.features import Features
from search.insight.classes import ClassRecall, Confusion, worst_classes, worst_confusions
from search.insight.cuts import which
from search.insight.intervals import Interval
from search.insight.judgement import Judgement, Panel
from search.insight.samples import Sample, highest_losses, suspected_mislabels
from search.insight.slices import LEVEL, Slice, worst_slices
from search.insight.unfixable import Unfixable, find_unfixable

MOST = 10
"""Classes, pairs and slices on a list."""
SHEET = 24
"""Rows on a sheet."""
MIN_SLICES = 3
"""So many slices are listed even if chance explains them."""


@dataclass(frozen=True)
class Weakness:
    """Where a configuration errs.

    Attributes:
        name: Of the configuration.
        num_rows: Validation rows that were looked at.
        num_runs: Of the configuration.
        error: Share of wrong rows, or mean size of the error in the target's unit.
        has_classes: Which of the two.
        classes: The worst; none for regression.
        confusions: The most frequent; none for regression.
        slices: The worst; see :mod:`search.insight.slices`.
        num_slices: How many were looked at.
        samples: With the highest loss, highest first.
        mislabels: Rows whose label all models speak against, for review.
        models: These models.
        unfixable: What all of them get wrong; None with fewer than two.
    """

    name: str
    num_rows: int
    num_runs: int
    error: Interval
    has_classes: bool
    classes: tuple[ClassRecall, ...]
    confusions: tuple[Confusion, ...]
    slices: tuple[Slice, ...]
    num_slices: int
    samples: tuple[Sample, ...]
    mislabels: tuple[Sample, ...]
    models: tuple[str, ...]
    unfixable: Unfixable | None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values; ``unfixable`` is called ``tuning_cant_fix``."""
        values = asdict(self)
        return {**values, "tuning_cant_fix": values.pop("unfixable")}

    @property
    def sample_rows(self) -> list[int]:
        """The row numbers of all samples, sorted."""
        return sorted({each.row for each in (*self.samples, *self.mislabels)})

    def with_pictures(self, pictures: Mapping[int, str]) -> Weakness:
        """Return it with pictures of its samples, by row number."""

        def shown(samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
            return tuple(replace(each, picture=pictures.get(each.row)) for each in samples)

        return replace(self, samples=shown(self.samples), mislabels=shown(self.mislabels))

    def describe(self) -> str:
        """Say in a line what is worst."""
        size = f"{self.error.value:.2%} wrong" if self.has_classes else self._size()
        parts = [f"{size} over {self.num_rows:,} validation rows"]
        worst = [each for each in self.slices if each.is_significant][:1]
        parts += [f"worst where {s.words} ({s.error:.3g}, else {s.rest:.3g})" for s in worst]
        parts += [
            f"most confused: '{each.truth}' taken for '{each.said}' ({each.share.value:.1%})"
            for each in self.confusions[:1]
        ]
        if self.unfixable is not None:
            share, rows = self.unfixable.share, self.unfixable.num_rows
            parts.append(f"tuning can't fix {share:.0%} of it ({rows:,} rows)")
        return "; ".join(parts)

    def _size(self) -> str:
        return f"off by {self.error.value:.4g} on average"


def find_weakness(
    name: str,
    judged: Judgement,
    features: Features,
    others: Mapping[str, Judgement] | None = None,
) -> Weakness:
    """Return where a configuration errs.

    Args:
        name: The configuration.
        judged: What its runs say.
        features: Of its rows at least.
        others: The other good configurations by name, for what all of them get wrong.
    """
    features = features.only(judged.rows)
    panel = Panel.of({name: judged, **(others or {})})
    has_classes = judged.truth.has_classes
    sliced = worst_slices(features, judged.error, is_share=has_classes, most=MOST, least=MIN_SLICES)
    return Weakness(
        name=name,
        num_rows=len(judged.rows),
        num_runs=judged.num_runs,
        error=Interval.of_mean(judged.error, LEVEL, is_share=has_classes),
        has_classes=has_classes,
        classes=worst_classes(judged, MOST) if has_classes else (),
        confusions=worst_confusions(judged, MOST) if has_classes else (),
        slices=sliced.slices,
        num_slices=sliced.num_looked_at,
        samples=highest_losses(judged, features, SHEET),
        mislabels=suspected_mislabels(panel, features, SHEET),
        models=tuple(panel.models),
        unfixable=find_unfixable(panel, features),
    )


def measure_again(
    slices: Sequence[Slice], features: Features, sides: Mapping[str, Judgement]
) -> list[dict[str, Any]]:
    """Return the errors of several models in the same slices.

    Args:
        slices: As they were found, on whatever rows.
        features: Of the models' rows at least.
        sides: Name to the word of a model.

    Returns:
        For each slice its ``words``, and by name the number of rows and the mean error, None where
        it holds no row.
    """
    parts = {name: features.only(judged.rows) for name, judged in sides.items()}
    found: list[dict[str, Any]] = []
    for each in slices:
        measured: dict[str, Any] = {"words": each.words}
        for name, judged in sides.items():
            errors = judged.error[which(each.conditions, parts[name])]
            mean = float(errors.mean()) if len(errors) else None
            measured[name] = {"num_rows": len(errors), "error": mean}
        found.append(measured)
    return found
