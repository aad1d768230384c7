"""Whether a weak slice that is planted is found, and nothing where there is nothing to find.

``SIEVE_DATA=FOLDER python -m benchmarks.guide.weakness --out FOLDER``
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from benchmarks.figures import Figures
from search.data import DataOptions, Dataset, prepare_dataset
from search.data.features import Features
from search.data.source import read_table
from search.insight.cuts import Condition, describe, which
from search.insight.judgement import Judgement, Truth
from search.insight.slices import LEVEL, worst_slices
from search.insight.weakness import find_weakness
from search.training.predictions import Predictions

TABLES = {"adult": "income", "california_housing": "target"}
LOWEST_RATE, HIGHEST_RATE = 0.3, 0.4
"""Of the labels in the planted slice as many are corrupted."""
LEAST_ROWS = 100
"""Validation rows in a planted slice; at most half of all are."""
BIN = 0.15, 0.3
"""A planted range holds a share of the rows between these."""
TOP = 3
FIRST_SEED = 5_000
"""The rules by which slices are ranked were chosen on other draws."""
SHOWN = 4
SAME = 0.5
"""A slice is the planted one where they share this part of the rows that either holds."""

Draw = Callable[["Case", np.random.Generator], tuple[Condition, ...]]
Conditions = tuple[Condition, ...]


@dataclass(frozen=True, eq=False)
class Case:
    """A data set, split and prepared as a run does it.

    Attributes:
        data: The data set.
        everything: The features of all rows.
    """

    data: Dataset
    everything: Features

    @classmethod
    def read(cls, folder: Path, name: str) -> Case:
        """Read a data set of the folder."""
        table = read_table(str(folder / f"{name}.parquet"))
        data = prepare_dataset(table, DataOptions("", label=TABLES[name]))
        return cls(data, Features.of(table, data.schema, np.arange(table.num_rows)))

    @cached_property
    def inputs(self) -> NDArray[np.float64]:
        """What the trees get, shape (rows, features)."""
        features = self.everything
        codes = [each.codes.astype(np.float64) for each in features.categorical.values()]
        return np.column_stack([*features.numeric.values(), *codes])

    @cached_property
    def features(self) -> Features:
        """Those of the validation rows."""
        return self.everything.only(self.data.splits.validation)

    @cached_property
    def target(self) -> NDArray[Any]:
        """Class codes, or the standardised target."""
        target: NDArray[Any] = self.data.inputs["target"].to_numpy()
        return target

    def judged(self, target: NDArray[Any], **options: Any) -> Judgement:
        """Train trees on a target, and return what they say of the validation rows."""
        train, rows = self.data.splits.train, self.data.splits.validation
        if self.data.spec.classes:
            trees = HistGradientBoostingClassifier(random_state=0, **options)
            trees.fit(self.inputs[train], target[train])
            outputs = np.log(np.maximum(trees.predict_proba(self.inputs[rows]), 1e-12))
        else:
            trees = HistGradientBoostingRegressor(random_state=0, **options)
            trees.fit(self.inputs[train], target[train])
            outputs = trees.predict(self.inputs[rows])[:, None]
        truth = Truth(target, self.data.spec.classes, self.data.preparation.target_scale)
        found = Judgement.of([Predictions(rows, outputs.astype(np.float32))], truth)
        assert found is not None
        return found

    def corrupted(
        self, mask: NDArray[np.bool_], generator: np.random.Generator, rate: float
    ) -> NDArray[Any]:
        """Return the target with a share of the labels in a slice given another class.

        Of numbers a share is drawn anew, each from another row.
        """
        chosen = mask & (generator.random(len(mask)) < rate)
        if not self.data.spec.classes:
            return np.where(chosen, generator.permutation(self.target), self.target)
        num_classes = len(self.data.spec.classes)
        return np.where(
            chosen,
            (self.target + generator.integers(1, num_classes, len(mask))) % num_classes,
            self.target,
        )


def a_category(case: Case, generator: np.random.Generator) -> Conditions:
    """Draw a value of a category."""
    name = str(generator.choice(list(case.everything.categorical)))
    values = case.everything.categorical[name].values
    return (Condition(name, value=str(generator.choice(list(values)))),)


def a_pair(case: Case, generator: np.random.Generator) -> Conditions:
    """Draw a value of each of two categories."""
    while True:
        (one,), (other,) = a_category(case, generator), a_category(case, generator)
        if one.feature != other.feature:
            return one, other


def a_range(case: Case, generator: np.random.Generator) -> Conditions:
    """Draw a range of a number, wherever its ends fall."""
    name = str(generator.choice(list(case.everything.numeric)))
    values = case.everything.numeric[name]
    width = generator.uniform(*BIN)
    low = generator.uniform(0, 1 - width)
    ends = np.nanquantile(values, [low, low + width], method="inverted_cdf")
    return (Condition(name, low=float(ends[0]), high=float(ends[1])),)


KINDS: tuple[tuple[str, str, Draw], ...] = (
    ("adult", "category", a_category),
    ("adult", "pair of categories", a_pair),
    ("adult", "range", a_range),
    ("california_housing", "range", a_range),
)


def drawn(case: Case, draw: Draw, generator: np.random.Generator) -> Conditions:
    """Draw until a slice has enough validation rows, and not too many."""
    while True:
        conditions = draw(case, generator)
        num_rows = int(which(conditions, case.features).sum())
        if LEAST_ROWS <= num_rows <= len(case.features.rows) / 2:
            return conditions


@dataclass(frozen=True)
class Found:
    """One draw.

    Attributes:
        planted: In words.
        num_rows: Of the validation rows.
        place: Of the first slice that is the planted one; None where none is.
        is_named: Whether it has the very same conditions.
        is_significant: Whether its interval says that it is worse.
        leads_there: Whether half of the rows of one of the first slices are planted ones.
    """

    planted: str
    num_rows: int
    place: int | None
    is_named: bool
    is_significant: bool
    leads_there: bool


def planted(case: Case, draw: Draw, num_draws: int) -> Iterator[Found]:
    """Plant a slice, train, look for it; as often as asked for."""
    for seed in range(FIRST_SEED, FIRST_SEED + num_draws):
        generator = np.random.default_rng(seed)
        conditions = drawn(case, draw, generator)
        everywhere = which(conditions, case.everything)
        rate = generator.uniform(LOWEST_RATE, HIGHEST_RATE)
        judged = case.judged(case.corrupted(everywhere, generator, rate))
        slices = find_weakness("trees", judged, case.features).slices
        mask = which(conditions, case.features)
        masks = [which(each.conditions, case.features) for each in slices]
        places = [n for n, each in enumerate(masks) if _is_same(mask, each)]
        first = slices[places[0]] if places else None
        yield Found(
            planted=describe(conditions),
            num_rows=int(mask.sum()),
            place=places[0] + 1 if places else None,
            is_named=first is not None and set(first.conditions) == set(conditions),
            is_significant=first is not None and first.is_significant,
            leads_there=any((mask & each).sum() >= SAME * each.sum() for each in masks[:TOP]),
        )


def _is_same(mask: NDArray[np.bool_], other: NDArray[np.bool_]) -> bool:
    return bool((mask & other).sum() >= SAME * (mask | other).sum())


def finds(cases: dict[str, Case], num_draws: int) -> Figures:
    """Count in how many draws what was planted is among the first slices."""
    figures = Figures(
        "Planted weak slices are found",
        f"{LOWEST_RATE:.0%} to {HIGHEST_RATE:.0%} of the labels in a slice drawn at random are "
        "corrupted, in training and validation alike; scikit-learn's gradient boosting is trained. "
        f"Found: among the first {TOP} slices is one that shares at least half of the rows that "
        "either holds. Named: it has the very same conditions (a planted range's ends are no "
        "deciles). Leads there: half of the rows of one of these slices are planted ones. Labels "
        "of the houses are redrawn, not flipped: errors then depend on the other features, too, "
        "which are much alike, so that other slices hold the same rows.",
    )
    for data, kind, draw in KINDS:
        found = list(planted(cases[data], draw, num_draws))
        hits = [each for each in found if each.place is not None and each.place <= TOP]
        missed = [f"{each.planted} ({each.num_rows} rows)" for each in found if each not in hits]
        first = sum(each.place == 1 for each in hits)
        figures.add(
            data=data,
            planted=kind,
            found=f"{len(hits)}/{num_draws}",
            at_first_place=f"{first}/{num_draws}",
            named=f"{sum(each.is_named for each in hits)}/{num_draws}",
            significant=f"{sum(each.is_significant for each in hits)}/{num_draws}",
            leads_there=f"{sum(each.leads_there for each in found)}/{num_draws}",
            missed="; ".join(missed[:SHOWN] + ["…"] * (len(missed) > SHOWN)) or "none",
        )
    return figures


def false_alarms(cases: dict[str, Case], num_draws: int) -> Figures:
    """Shuffle the errors over the rows: no slice is weak, and few may be called so."""
    figures = Figures(
        "Chance isn't taken for a weakness",
        "The errors of the unspoilt model, shuffled over the validation rows: in how many draws "
        f"any slice is called worse than the rest. At most {LEVEL:.0%} should be.",
    )
    for data, case in cases.items():
        errors, alarms, looked_at = case.judged(case.target).error, 0, 0
        for seed in range(num_draws):
            shuffled = np.random.default_rng(seed).permutation(errors)
            is_share = bool(case.data.spec.classes)
            sliced = worst_slices(case.features, shuffled, is_share=is_share)
            alarms += any(each.is_significant for each in sliced.slices)
            looked_at = sliced.num_looked_at
        figures.add(data=data, slices=f"{looked_at:,}", alarms=f"{alarms}/{num_draws}")
    return figures


def mislabels(case: Case, num_draws: int) -> Figures:
    """Flip 5 % of all labels; how many of the rows on the sheet for review are flipped."""
    figures = Figures(
        "Suspected labels are flipped ones",
        "5 % of the adults' labels flipped; three models of different learning rates. The share of "
        "flipped labels among the rows that all three speak against, the first 24.",
    )
    for seed in range(num_draws):
        generator = np.random.default_rng(seed)
        everything = np.ones(len(case.target), dtype=bool)
        target = case.corrupted(everything, generator, 0.05)
        models = {f"rate {r}": case.judged(target, learning_rate=r) for r in (0.03, 0.1, 0.3)}
        name, first = next(iter(models.items()))
        others = {each: judged for each, judged in models.items() if each != name}
        found = find_weakness(name, first, case.features, others).mislabels
        flipped = [case.target[each.row] != target[each.row] for each in found]
        figures.add(draw=str(seed), rows=str(len(found)), flipped=f"{np.mean(flipped):.2f}")
    return figures


def main() -> None:
    """Measure it all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--out", type=Path, help="folder for the figures' JSON")
    arguments = parser.parse_args()
    if "SIEVE_DATA" not in os.environ:
        raise SystemExit("name the folder with the data in SIEVE_DATA")
    folder, draws = Path(os.environ["SIEVE_DATA"]), arguments.draws
    cases = {name: Case.read(folder, name) for name in TABLES}
    with threadpool_limits(1):
        parts = {
            "weakness-planted": finds(cases, draws),
            "weakness-alarms": false_alarms(cases, 4 * draws),
            "weakness-mislabels": mislabels(cases["adult"], 5),
        }
    for name, figures in parts.items():
        figures.save(None if arguments.out is None else arguments.out / f"{name}.json")


if __name__ == "__main__":
    main()
