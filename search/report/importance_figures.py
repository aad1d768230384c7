"""The pictures of what mattered: each function draws plain data of ``importance``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from search.insight.isolation import Bucket, Isolation
from search.report import text
from search.report.canvas import BLUE, GREY, axis, new_figure
from search.space import Choice, Float, Integer
from search.strategy.importance import Importance


def importance_figure(importances: Sequence[Importance]) -> go.Figure:
    """Draw each dimension's importance with its interval, the most important on top."""
    figure = new_figure(height=70 + 24 * len(importances))
    rising = importances[::-1]
    values = [each.value for each in rising]
    figure.add_trace(
        go.Bar(
            x=values,
            y=list(range(len(rising))),
            orientation="h",
            marker={"color": BLUE, "opacity": 0.75},
            error_x={
                "array": [each.high - each.value for each in rising],
                "arrayminus": [each.value - each.low for each in rising],
                "color": GREY,
                "thickness": 1.6,
                "width": 4,
            },
            hovertext=[_importance_text(each) for each in rising],
            hoverinfo="text",
        )
    )
    figure.update_layout(
        margin={"l": 8, "r": 16, "t": 6, "b": 40},
        xaxis={"title": "importance", "rangemode": "tozero"},
        yaxis={
            "tickvals": list(range(len(rising))),
            "ticktext": [escape(each.name) for each in rising],
            "range": [-0.6, len(rising) - 0.4],
            "automargin": True,
            "showgrid": False,
        },
    )
    return figure


def _importance_text(each: Importance) -> str:
    interval = text.interval(each.low, each.high)
    return f"<b>{escape(each.name)}</b><br>{text.number(each.value, 3)}, 90 % {interval}"


def isolation_figures(
    isolations: Sequence[Isolation],
) -> Iterator[tuple[Isolation, go.Figure]]:
    """Draw each dimension alone, all with the same scale of losses."""
    buckets = [bucket for each in isolations for bucket in each.buckets]
    losses = [loss for each in buckets for loss in (each.best, each.expected, each.high)]
    for each in isolations:
        figure = isolation_figure(each)
        figure.update_layout(yaxis=axis(losses, text.number, most=4))
        yield each, figure


def isolation_figure(isolation: Isolation) -> go.Figure:
    """Draw a dimension's buckets: what is expected of each, with its interval, and its best."""
    figure = new_figure(height=190)
    places = _places(isolation)
    figure.add_trace(_best_dots(isolation.buckets, places))
    figure.add_trace(_expected(isolation, places))
    figure.update_layout(margin={"l": 46, "r": 10, "t": 6, "b": 30}, xaxis=_values_axis(isolation))
    return figure


def _places(isolation: Isolation) -> list[float]:
    """Return where the buckets are drawn: the middle of their values, on the dimension's scale."""
    if isinstance(isolation.dimension, Choice):
        return [float(place) for place in range(len(isolation.buckets))]
    ends = [(float(each.first), float(each.last)) for each in isolation.buckets]
    if _is_log(isolation):
        return [math.sqrt(first * last) for first, last in ends]
    return [(first + last) / 2 for first, last in ends]


def _is_log(isolation: Isolation) -> bool:
    dimension = isolation.dimension
    is_log = isinstance(dimension, Float | Integer) and dimension.log
    return is_log and all(float(each.first) > 0 for each in isolation.buckets)


def _expected(isolation: Isolation, places: Sequence[float]) -> go.Scatter:
    pairs = zip(isolation.buckets, places, strict=True)
    judged = [(each, place) for each, place in pairs if math.isfinite(each.expected)]
    return go.Scatter(
        x=[place for _, place in judged],
        y=[each.expected for each, _ in judged],
        mode="markers",
        marker={"color": BLUE, "size": 9, "symbol": "diamond"},
        error_y={
            "array": [max(each.high - each.expected, 0.0) for each, _ in judged],
            "arrayminus": [max(each.expected - each.low, 0.0) for each, _ in judged],
            "color": BLUE,
            "thickness": 1.8,
            "width": 4,
        },
        error_x={} if isinstance(isolation.dimension, Choice) else _widths(judged),
        hovertext=[_bucket_text(each, isolation.draws) for each, _ in judged],
        hoverinfo="text",
    )


def _widths(judged: Sequence[tuple[Bucket, float]]) -> dict[str, Any]:
    return {
        "array": [float(each.last) - place for each, place in judged],
        "arrayminus": [place - float(each.first) for each, place in judged],
        "color": BLUE,
        "thickness": 1,
        "width": 0,
    }


def _best_dots(buckets: Sequence[Bucket], places: Sequence[float]) -> go.Scatter:
    return go.Scatter(
        x=list(places),
        y=[each.best for each in buckets],
        mode="markers",
        marker={"color": GREY, "size": 6},
        hovertext=[f"{_values(each)}: lowest {text.number(each.best)}" for each in buckets],
        hoverinfo="text",
    )


def _bucket_text(each: Bucket, draws: int) -> str:
    return (
        f"<b>{_values(each)}</b><br>best of {draws}: {text.number(each.expected)}, "
        f"90 % {text.interval(each.low, each.high)}<br>{each.num_trials} trials, "
        f"lowest {text.number(each.best)}"
    )


def _values(each: Bucket) -> str:
    first, last = text.number(each.first, 3), text.number(each.last, 3)
    return escape(first if each.first == each.last else f"{first} to {last}")


def _values_axis(isolation: Isolation) -> dict[str, Any]:
    if isinstance(isolation.dimension, Choice):
        return {
            "tickvals": list(range(len(isolation.buckets))),
            "ticktext": [escape(text.number(each.first)) for each in isolation.buckets],
            "range": [-0.6, len(isolation.buckets) - 0.4],
        }
    ends = [float(value) for each in isolation.buckets for value in (each.first, each.last)]
    return axis(ends, text.number, most=5, log=_is_log(isolation), pad=0.04)
