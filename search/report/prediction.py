"""What ``sieve predict`` says in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from search.report import text

SHOWN_CLASSES = 8
"""More columns of probabilities, or counts, aren't readable."""


def print_prediction(summary: Mapping[str, Any], console: Console) -> None:
    """Print what was predicted: the first rows where no file has them all, and the metric.

    Args:
        summary: What :func:`search.prediction.predict` returns.
        console: Where to print.
    """
    number = summary["num_models"]
    who = "the single winner" if number == 1 else f"the ensemble of {number} models"
    lines = [f"{summary['rows']:,} rows predicted by {who} of {summary['model']}"]
    lines.append(_distribution(summary))
    metric = summary["metric"]
    if metric is not None:
        on = f"on the {metric['rows']:,} rows whose '{summary['label']}' is known"
        on += " (rows that were trained on flatter it)"
        lines.append(f"{metric['name']} {text.number(metric['value'])} {on}")
    if summary["out"] is None:
        console.print(_preview(summary))
        lines.append("these are the first rows; --out FILE.csv or FILE.parquet has them all")
    else:
        lines.append(f"written to {summary['out']}")
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def _distribution(summary: Mapping[str, Any]) -> str:
    predictions = summary["predictions"]
    if summary["task"] == "regression":
        low, high = text.number(predictions["min"]), text.number(predictions["max"])
        return f"{text.mean_sd(predictions['mean'], predictions['sd'])}, from {low} to {high}"
    ranked = sorted(predictions.items(), key=lambda each: -each[1])
    shown = [f"{name} {count:,}" for name, count in ranked[:SHOWN_CLASSES]]
    left = len(ranked) - len(shown)
    return ", ".join(shown) + (f" and {left} more classes" if left else "")


def _preview(summary: Mapping[str, Any]) -> Table:
    names = list(summary["preview"][0])[: 1 + SHOWN_CLASSES]
    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(Text(name.removeprefix("probability_")), justify="right")
    for row in summary["preview"]:
        table.add_row(*(Text(text.number(row[name], 3)) for name in names))
    return table
