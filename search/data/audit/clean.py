"""A cleaned copy of the data: without what an audit has found, but for what is accepted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from search.data.audit.columns import spellings
from search.data.audit.view import Codes
from search.data.output import write_new_file
from search.findings import Finding

_ROWS_GO = ("duplicates", "split_copies", "images")
_COLUMNS_GO = ("constant_column", "identifier_column", "leaking_column")


def cleaned(
    table: pa.Table, findings: Sequence[Finding], accepted: Sequence[str] = ()
) -> tuple[pa.Table, list[str]]:
    """Mend what was found; return the new table, and in words what was done.

    Copies, near ones too, and images that show nothing are left out, and so are columns that hold
    nothing, name the rows or know the label; a value's spellings become its most frequent one.
    Of each set of copies one row stays, a training row where there is one. Outliers,
    contradictions (copies of an image with another label among them) and suspected labels stay:
    only a person can tell what is right.

    Args:
        table: What was audited.
        findings: What was found.
        accepted: Checks whose findings are right as they are: they stay.
    """
    done: list[str] = []
    findings = [each for each in findings if each.check not in accepted]
    for finding in findings:
        if finding.check == "category_variants" and finding.status != "PASS":
            (name,) = finding.columns
            place = table.column_names.index(name)
            table = table.set_column(place, name, _one_spelling(table[name]))
            done.append(f"'{name}': each value in its most frequent spelling")
    rows = [f.rows for f in findings if f.check in _ROWS_GO and f.num_rows and not _disagree(f)]
    if rows:
        left_out = np.unique(np.concatenate(rows))
        table = table.take(pa.array(np.delete(np.arange(table.num_rows), left_out)))
        done.append(f"{len(left_out)} rows left out")
    columns = [c for f in findings if f.check in _COLUMNS_GO for c in f.columns]
    if columns:
        table = table.drop_columns(list(dict.fromkeys(columns)))
        done.append(f"columns left out: {', '.join(dict.fromkeys(columns))}")
    return table, done


def _disagree(copies: Finding) -> bool:
    """Say whether copies have another label: beside the image's column they name the label's."""
    return len(copies.columns) > 1


def _one_spelling(column: pa.ChunkedArray) -> pa.Array:
    codes = Codes.of(column)
    frequent = list(codes.values)
    for group in spellings(codes):
        for code in group[1:]:
            frequent[code] = codes.values[group[0]]
    names = np.array([*frequent, None], dtype=object)
    return pa.array(names[codes.codes].tolist(), type=codes.type)


def write_clean(
    table: pa.Table, findings: Sequence[Finding], target: Path, accepted: Sequence[str] = ()
) -> list[str]:
    """Write the cleaned copy of a table.

    Args:
        table: What was audited.
        findings: What was found.
        target: A ``.parquet`` or ``.csv`` file that doesn't exist.
        accepted: Checks whose findings are right as they are: they stay.

    Returns:
        What was done, in words.

    Raises:
        DataError: The file exists, is of another kind, or can't be written.
    """
    new, done = cleaned(table, findings, accepted)
    write_new_file([new], target, "--write-clean")
    return done
