"""The audit: what is wrong with the data, before anything is tuned on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pyarrow as pa
from threadpoolctl import threadpool_limits

from search.data.audit.clean import write_clean
from search.data.audit.columns import (
    check_constant,
    check_identifier,
    check_missingness,
    check_variants,
)
from search.data.audit.labels import check_imbalance, check_label_errors, check_rare_class
from search.data.audit.leaks import check_leaks, check_shift
from search.data.audit.names import CHECKS
from search.data.audit.outliers import check_outliers
from search.data.audit.pictures import check_images
from search.data.audit.rows import check_contradictions, check_duplicates, check_split_copies
from search.data.audit.view import View
from search.data.dataset import DataOptions
from search.findings import Finding, failures

__all__ = [
    "CHECKS",
    "Finding",
    "audit_table",
    "failures",
    "write_clean",
]

_CHECKS: dict[str, tuple[Callable[[View], list[Finding]], str]] = {
    "constant_column": (check_constant, "every column holds something"),
    "identifier_column": (check_identifier, "no column names the rows"),
    "missingness": (check_missingness, "what is missing tells nothing of the label"),
    "category_variants": (check_variants, "every value has one spelling"),
    "outliers": (check_outliers, "no value lies far from all others"),
    "duplicates": (check_duplicates, "no row is a copy of another"),
    "contradictory_labels": (check_contradictions, "no two equal rows have different classes"),
    "split_copies": (check_split_copies, "no row stands in two parts"),
    "rare_class": (check_rare_class, "every class has rows to learn from"),
    "imbalance": (check_imbalance, "no class is many times as frequent as another"),
    "leaking_column": (check_leaks, "no column predicts the label alone"),
    "split_shift": (check_shift, "the parts can't be told apart"),
    "images": (check_images, "no image is blank, or a copy of another"),
    "label_errors": (check_label_errors, "no label is spoken against by other rows"),
}


def audit_table(table: pa.Table, options: DataOptions) -> list[Finding]:
    """Audit a table.

    Args:
        table: The data.
        options: What is known of them.

    Returns:
        At least one finding for each of :data:`CHECKS`, in their order. A check that can't be done,
        or doesn't apply, passes and says so.

    Raises:
        DataError: It can't be used as declared.
    """
    schema, warnings = options.schema_of(table)
    view = View(table, schema, options.ignore, options.seed)
    found = [Finding("schema", "WARN", warning) for warning in warnings]
    kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(schema.kinds.values()).items())
    what = f"{table.num_rows} rows, {kinds} columns, {schema.task} of '{schema.label}'"
    found.insert(0, Finding("schema", "PASS", what))
    with threadpool_limits(1):  # beside a busy process, trees on all cores only wait for each other
        for name, (check, all_is_well) in _CHECKS.items():
            found += check(view) or [Finding(name, "PASS", all_is_well)]
    return found
