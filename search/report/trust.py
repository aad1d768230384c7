"""How far short trainings and few rows could be trusted, as plain data and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from search.report import text
from search.report.canvas import GREEN, ORANGE, RED, new_figure
from search.report.files import Run
from search.strategy.trust import GOOD, LOW

_COLOURS = {"good": GREEN, "fair": ORANGE, "low": RED}


@dataclass(frozen=True)
class TrustRow:
    """A rank correlation between two fidelities.

    Attributes:
        name: What was compared, in words.
        rows: Training rows of coarse's subsample.
        value: The estimate.
        low: Lower end of its 90 % interval.
        high: Upper end.
        trials: How many speak, of how many, as text.
        word: ``good``, ``fair`` or ``low``.
        sure: Whether the interval leaves no choice between good and low.
    """

    name: str
    rows: int
    value: float
    low: float
    high: float
    trials: str
    word: str
    sure: bool


def trust_rows(run: Run) -> list[TrustRow]:
    """Return what was measured; nothing where no phase has told enough."""
    return [_row(each) for each in run.trust]


def _row(measured: dict[str, Any]) -> TrustRow:
    rung, later = text.count(measured["rung"]), text.count(measured["later"])
    found = measured["correlation"]
    name = f"coarse after {rung} samples, and after {later}"
    if measured["between"] == "rows":
        name = f"coarse after {rung} samples, and fine after as many"
    return TrustRow(
        name=name,
        rows=measured["rows"],
        value=found["value"],
        low=found["low"],
        high=found["high"],
        trials=f"{found['num_pairs']} of {found['num_compared']}",
        word=measured["word"],
        sure=measured["sure"],
    )


def trust_figure(rows: Sequence[TrustRow]) -> go.Figure:
    """Draw each correlation with its interval, and where it is good or low."""
    figure = new_figure(height=80 + 36 * len(rows))
    for low, high, colour in ((GOOD, 1.0, GREEN), (-1.0, LOW, RED)):
        zone = {"type": "rect", "yref": "paper", "y0": 0, "y1": 1, "x0": low, "x1": high}
        line = {"width": 0}
        figure.add_shape(**zone, fillcolor=colour, opacity=0.1, line=line, layer="below")
    for place, row in enumerate(reversed(rows)):
        figure.add_trace(_dot(row, place))
    figure.update_layout(
        margin={"l": 8, "r": 16, "t": 8, "b": 44},
        xaxis={"title": "rank correlation", "range": [min(_lowest(rows), 0.0) - 0.05, 1.05]},
        yaxis={
            "tickvals": list(range(len(rows))),
            "ticktext": [f"{row.name} ({row.rows:,} rows)" for row in reversed(rows)],
            "range": [-0.6, len(rows) - 0.4],
            "automargin": True,
            "showgrid": False,
        },
    )
    return figure


def _lowest(rows: Sequence[TrustRow]) -> float:
    return min((row.low for row in rows), default=0.0)


def _dot(row: TrustRow, place: int) -> go.Scatter:
    colour = _COLOURS[row.word]
    return go.Scatter(
        x=[row.value],
        y=[place],
        mode="markers",
        marker={"color": colour, "size": 11},
        error_x={
            "array": [row.high - row.value],
            "arrayminus": [row.value - row.low],
            "color": colour,
            "thickness": 2.5,
            "width": 7,
        },
        hovertext=f"{row.value:.2f} {text.interval(row.low, row.high)}, {row.trials} trials",
        hoverinfo="text",
    )
