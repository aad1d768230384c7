"""Whether the audit finds what is planted, and is quiet where nothing is.

``SIEVE_DATA=FOLDER python -m benchmarks.guide.audit --out FILE.json``
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.figures import Figures
from benchmarks.guide.plant import KINDS, blank_images, copied_images
from search.data import DataOptions
from search.data.audit import Finding, audit_table
from search.data.source import read_table

TABLES = {"adult": "income", "letter": "class"}
ORIGINALS = {
    **TABLES,
    "fashion_mnist": "label",
    "covertype_16pct": "Cover_Type",
    "california_housing": "target",
    "digits": "label",
}
FLIGHTS_LEAK = ("dep_delay", "dep_time", "arr_time", "arr_delay", "air_time")
TOP = (200, 500)


def named(findings: Sequence[Finding], check: str) -> list[Finding]:
    """Return what a check has found, its pass left out."""
    return [each for each in findings if each.check == check and each.status != "PASS"]


def by_status(findings: Sequence[Finding], status: str) -> str:
    """Return the checks of a status."""
    names = dict.fromkeys(each.check for each in findings if each.status == status)
    return ", ".join(names) or "none"


def originals(folder: Path) -> Figures:
    """Audit the data sets as they are."""
    figures = Figures(
        "The audit of untouched data",
        "None of these may fail. Seconds are of the whole audit, the reading left out.",
    )
    for name, label in ORIGINALS.items():
        table = read_table(str(folder / f"{name}.parquet"))
        began = time.perf_counter()
        findings = audit_table(table, DataOptions(uri="", label=label))
        figures.add(
            data=name,
            rows=str(table.num_rows),
            FAIL=by_status(findings, "FAIL"),
            WARN=by_status(findings, "WARN"),
            seconds=f"{time.perf_counter() - began:.1f}",
        )
    return figures


def planted(folder: Path, seeds: int) -> Figures:
    """Plant every kind of fault by itself, and audit."""
    figures = Figures(
        "What is planted is found",
        f"Each kind by itself, {seeds} draws: in how many its check speaks and names the column, "
        "and which share of the planted rows is among those that it names. A tenth of the adults' "
        "own duplicates stand in both parts; of the flipped labels only the most suspect count "
        "(above).",
    )
    for name, label in TABLES.items():
        original = read_table(str(folder / f"{name}.parquet"))
        for check, plant in KINDS.items():
            found, shares = 0, []
            for seed in range(seeds):
                made = plant(original, label, np.random.default_rng(seed))
                findings = named(audit_table(made.table, DataOptions("", label=label)), check)
                columns = {column for each in findings for column in each.columns}
                found += bool(findings) and set(made.columns) <= columns | {"split"}
                rows = np.concatenate([each.rows for each in findings] or [made.rows[:0]])
                shares.append(float(np.isin(made.rows, rows).mean()) if len(made.rows) else 1.0)
            figures.add(
                data=name, check=check, found=f"{found}/{seeds}", rows=f"{np.mean(shares):.0%}"
            )
    return figures


def flips(folder: Path, seeds: int) -> Figures:
    """Flip 5 % of the labels; how many of the most suspect rows are flipped."""
    figures = Figures(
        "Flipped labels come first",
        "5 % of the labels flipped: the share of flipped ones among the most suspect rows.",
    )
    for name, label in {**TABLES, "fashion_mnist": "label"}.items():
        original = read_table(str(folder / f"{name}.parquet"))
        for seed in range(seeds):
            made = KINDS["label_errors"](original, label, np.random.default_rng(seed))
            findings = named(audit_table(made.table, DataOptions("", label=label)), "label_errors")
            ranked = findings[0].rows
            sizes = (*TOP, len(made.rows))
            cells = {f"top {top}": f"{np.isin(ranked[:top], made.rows).mean():.2f}" for top in TOP}
            every = f"{np.isin(ranked[: sizes[-1]], made.rows).mean():.2f}"
            figures.add(data=name, seed=str(seed), **cells, as_many_as_flipped=every)
    return figures


def pictures(folder: Path) -> Figures:
    """Plant blank and copied images."""
    figures = Figures("Blank and copied images", "In Fashion-MNIST: which are among those named.")
    original = read_table(str(folder / "fashion_mnist.parquet"))
    for name, plant in (("blank", blank_images), ("copied", copied_images)):
        made = plant(original, "label", np.random.default_rng(0))
        findings = named(audit_table(made.table, DataOptions("", label="label")), "images")
        rows = np.concatenate([each.rows for each in findings] or [made.rows[:0]])
        number = len(made.rows) if name == "blank" else len(made.rows) // 2
        figures.add(planted=name, number=str(number), named=str(np.isin(made.rows, rows).sum()))
    return figures


def flights(folder: Path) -> Figures:
    """Audit flights, five columns of which aren't known before the label."""
    figures = Figures(
        "Columns of nycflights13 that know the label",
        "The label is an arrival 30 minutes late. What is known after departure only leaks it.",
    )
    table = read_table(str(folder / "nycflights13.parquet"))
    findings = named(audit_table(table, DataOptions("", label="late30")), "leaking_column")
    for column in table.column_names:
        about = [each for each in findings if column in each.columns]
        if about or column in FLIGHTS_LEAK:
            figures.add(
                column=column,
                leaks="yes" if column in FLIGHTS_LEAK else "no",
                status=about[0].status if about else "PASS",
                why=about[0].message if about else "",
            )
    return figures


def large(num_rows: int, num_columns: int) -> tuple[int, float]:
    """Return how long a synthetic table of a size takes: half numeric, half categorical."""
    generator = np.random.default_rng(0)
    columns = {
        f"x{n}": pa.array(generator.normal(size=num_rows))
        if n % 2
        else pa.array(generator.choice(["a", "b", "c", "d", "e"], num_rows).tolist())
        for n in range(num_columns)
    }
    label = generator.choice(["yes", "no"], num_rows).tolist()
    table = pa.table({**columns, "label": label})
    began = time.perf_counter()
    audit_table(table, replace(DataOptions(""), label="label"))
    return num_rows, time.perf_counter() - began


def sizes() -> Figures:
    """Time the audit of large tables."""
    figures = Figures("What an audit costs", "Synthetic tables, half of the columns categorical.")
    for rows, columns, wanted in ((50_000, 15, 5), (500_000, 40, 60)):
        _, seconds = large(rows, columns)
        figures.add(
            rows=str(rows), columns=str(columns), seconds=f"{seconds:.1f}", at_most=str(wanted)
        )
    return figures


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="folder for the figures' JSON")
    arguments = parser.parse_args()
    if "SIEVE_DATA" not in os.environ:
        raise SystemExit("name the folder with the data in SIEVE_DATA")
    folder = Path(os.environ["SIEVE_DATA"])
    parts = {
        "audit-originals": originals(folder),
        "audit-planted": planted(folder, arguments.seeds),
        "audit-flips": flips(folder, arguments.seeds),
        "audit-pictures": pictures(folder),
        "audit-flights": flights(folder),
        "audit-sizes": sizes(),
    }
    for name, figures in parts.items():
        figures.save(None if arguments.out is None else arguments.out / f"{name}.json")


if __name__ == "__main__":
    main()
