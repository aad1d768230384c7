"""A table without faults, and what an audit says of it and of others."""

import numpy as np
import pyarrow as pa

from search.data import DataOptions
from search.data.audit import _CHECKS, Finding, audit_table
from search.data.audit.view import View


def shop(num_rows: int = 3_000, seed: int = 0) -> pa.Table:
    """Customers with numbers and categories that tell of the class, none of them alone."""
    random = np.random.default_rng(seed)
    age = random.integers(18, 90, num_rows)
    income = np.exp(random.normal(10.0, 0.6, num_rows))
    town = random.choice(["Rome", "Oslo", "Bonn"], num_rows)
    score = 0.08 * (age - 50) + 2.0 * (np.log(income) - 10) + 1.5 * (town == "Oslo")
    score = score + 0.5 * random.normal(size=num_rows)
    kinds = np.array(["gold", "silver", "wood"])[np.searchsorted([-1.0, 1.5], score)]
    return pa.table({"age": age, "income": income, "town": town, "kind": kinds})


def audited(table: pa.Table, label: str = "kind", **options) -> list[Finding]:
    return audit_table(table, DataOptions("", label=label, **options))


def found_by(check: str, table: pa.Table, label: str = "kind") -> list[Finding]:
    """Return what one check alone has to say against a table; a whole audit takes a second."""
    options = DataOptions("", label=label)
    look, _ = _CHECKS[check]
    return about(look(View(table, options.schema_of(table)[0])), check)


def about(findings: list[Finding], check: str) -> list[Finding]:
    return [each for each in findings if each.check == check and each.status != "PASS"]
