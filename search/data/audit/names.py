"""The names of the checks."""

CHECKS = (
    "schema",
    "constant_column",
    "identifier_column",
    "missingness",
    "category_variants",
    "outliers",
    "duplicates",
    "contradictory_labels",
    "split_copies",
    "rare_class",
    "imbalance",
    "leaking_column",
    "split_shift",
    "images",
    "label_errors",
)
"""Every check, in the order in which an audit names them."""
