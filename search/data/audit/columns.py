"""Checks that look at one column at a time."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.stats import chi2_contingency, ttest_ind

from search.data.audit.undone import not_done
from search.data.audit.view import Codes, View
from search.data.columns import decoded, is_string
from search.findings import Finding, warn

IDENTIFIER_SHARE = 0.95
"""A column of which so many values are different names its rows."""
MIN_IDENTIFIED = 30
MANY_ROWS = 1_000
"""Among fewer rows whole numbers may all be different by chance: they must run from one to the
next to name them."""
MOSTLY_MISSING = 0.5
MIN_MISSING = 20
SIGNIFICANT = 1e-3
"""Over all columns (Bonferroni)."""
MIN_EFFECT = 0.1
"""Cramér's V, or half the difference of means in standard deviations, from which on missing values
tell of the label."""
_NAMING = frozenset({"id", "ids", "key", "uid", "uuid", "guid", "nr", "no", "number", "index"})
_NUMBER = re.compile(r"[-+]?[0-9.,]+")


def check_constant(view: View) -> list[Finding]:
    """Find columns that hold nothing: all rows missing, or the same."""
    found: list[Finding] = []
    for name in view.columns:
        kind = view.table[name].type
        if pa.types.is_nested(kind) or view.num_distinct(name) > 1:
            continue
        is_missing = view.missing(name)
        if is_missing.all():
            what = "is missing in every row"
        elif not is_missing.any():
            what = "has the same value in every row"
        else:
            continue
        found.append(
            warn("constant_column", f"'{name}' {what}", "it is left out", columns=[name], value=1)
        )
    return found


def check_identifier(view: View) -> list[Finding]:
    """Find columns whose values name the rows: a model learns them by heart."""
    if view.num_rows < MIN_IDENTIFIED:
        return [not_done("identifier_column", f"the table has fewer than {MIN_IDENTIFIED} rows")]
    return [
        warn(
            "identifier_column",
            f"'{name}' has another value in {share:.1%} of the rows: it names them",
            f"leave it out: data.ignore=[{name}]",
            columns=[name],
            value=share,
        )
        for name in view.columns
        if (share := _distinct_share(view, name)) >= IDENTIFIER_SHARE
    ]


def identifiers(view: View) -> list[str]:
    """Return the columns that name the rows for certain, by which copies aren't compared.

    Amounts in cents are nearly all different, too: whole numbers must run from one to the next,
    or be called an identifier.
    """
    named = (name for name in view.columns if _distinct_share(view, name) >= IDENTIFIER_SHARE)
    return [n for n in named if is_string(decoded(view.table[n]).type) or _numbers_rows(view, n)]


def _numbers_rows(view: View, name: str) -> bool:
    """Say whether whole numbers are a numbering, by their spacing or by their name."""
    return _runs_on(view, name) or bool(_NAMING & set(re.findall("[a-z]+", name.lower())))


def _runs_on(view: View, name: str) -> bool:
    values = view.numbers(name)
    return bool(np.nanmax(values) - np.nanmin(values) + 1 <= 2 * view.num_distinct(name))


def _distinct_share(view: View, name: str) -> float:
    """Return the share of different values of a column that could name rows; 0 of others."""
    kind = decoded(view.table[name]).type
    if not (is_string(kind) or pa.types.is_integer(kind)):
        return 0.0
    present = view.num_rows - int(view.missing(name).sum())
    if present < MIN_IDENTIFIED:
        return 0.0
    if pa.types.is_integer(kind) and present < MANY_ROWS and not _runs_on(view, name):
        return 0.0
    return view.num_distinct(name) / present


def check_missingness(view: View) -> list[Finding]:
    """Find columns that are mostly missing, and those whose gaps tell of the label."""
    gaps = {name: view.missing(name) for name in view.plain}
    gaps = {name: missing for name, missing in gaps.items() if missing.any()}
    if not gaps:
        return [Finding("missingness", "PASS", "no value of a feature is missing")]
    found: list[Finding] = []
    for name, missing in gaps.items():
        share = float(missing.mean())
        effect, p_value = _effect_of(missing, view)
        if effect >= MIN_EFFECT and p_value * len(gaps) < SIGNIFICANT:
            found.append(
                warn(
                    "missingness",
                    f"'{name}' is missing in {share:.1%} of the rows, and that it is tells of "
                    f"the label (effect {effect:.2f})",
                    "find out why it is missing, and whether it will be when you predict",
                    columns=[name],
                    rows=np.flatnonzero(missing),
                    value=effect,
                )
            )
        elif share > MOSTLY_MISSING:
            found.append(
                warn(
                    "missingness",
                    f"'{name}' is missing in {share:.1%} of the rows",
                    "leave it out, unless you know what it is good for",
                    columns=[name],
                    rows=np.flatnonzero(missing),
                    value=share,
                )
            )
    if not found and not any(_can_tell(missing) for missing in gaps.values()):
        few = f"no column lacks {MIN_MISSING} values, and has as many, to judge by"
        return [not_done("missingness", few)]
    return found


def _can_tell(missing: NDArray[np.bool_]) -> bool:
    return min(int(missing.sum()), int((~missing).sum())) >= MIN_MISSING


def _effect_of(missing: NDArray[np.bool_], view: View) -> tuple[float, float]:
    """Return how much a gap tells of the label, from 0 to 1, and the chance of that by chance."""
    if not _can_tell(missing):
        return 0.0, 1.0
    if view.is_classification:
        counts = np.zeros((2, len(view.classes)))
        np.add.at(counts, (missing.astype(int), view.target.astype(int)), 1)
        table = chi2_contingency(counts[:, counts.sum(0) > 0])
        return float(np.sqrt(table.statistic / len(missing))), float(table.pvalue)
    there, gone = view.target[~missing], view.target[missing]
    spread = float(view.target.std()) or 1.0
    test = ttest_ind(gone, there, equal_var=False)
    return abs(float(gone.mean() - there.mean())) / spread / 2, float(test.pvalue)


def check_variants(view: View) -> list[Finding]:
    """Find values that differ only in case, spaces or dots: "NY" and "ny "."""
    names = view.schema.of_kind("categorical")
    if view.is_classification:
        names = [*names, view.schema.label]
    coded = {name: view.codes(name) for name in names}
    words = {n: c for n, c in coded.items() if any(isinstance(value, str) for value in c.values)}
    if not words:
        return [not_done("category_variants", "no column holds words")]
    found: list[Finding] = []
    for name, codes in words.items():
        several = spellings(codes)
        if not several:
            continue
        rarer = [code for group in several for code in group[1:]]
        shown = "; ".join(" = ".join(f"'{codes.values[c]}'" for c in group) for group in several)
        found.append(
            warn(
                "category_variants",
                f"'{name}' has the same value in several spellings: {shortened(shown, 100)}",
                "write each value in one way",
                columns=[name],
                rows=np.flatnonzero(np.isin(codes.codes, rarer)),
                value=len(several),
            )
        )
    return found


def shortened(text: str, limit: int = 60) -> str:
    """Return a text's beginning where it is longer than so many characters."""
    return text if len(text) <= limit else text[: limit - 1].rstrip(", ") + "…"


def spellings(codes: Codes) -> list[list[int]]:
    """Return the groups of codes that are one value, each with its most frequent spelling first."""
    groups: dict[str, list[int]] = {}
    for code in np.argsort(-codes.counts, kind="stable").tolist():
        groups.setdefault(_normal(str(codes.values[code])), []).append(code)
    return [group for group in groups.values() if len(group) > 1]


def _normal(value: str) -> str:
    """Return the spelling that variants share; of numbers, the number as it stands."""
    text = unicodedata.normalize("NFKC", value).strip()
    if _NUMBER.fullmatch(text):
        return text
    text = re.sub(r"(?<=\w)[\s_-]+(?=\w)", " ", text.casefold())
    return re.sub(r"\s+", " ", text).rstrip(".").strip()
