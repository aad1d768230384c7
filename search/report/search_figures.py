"""The pictures of the search: each function draws plain data, and decides nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from search.report import text
from search.report.canvas import (
    BLUE,
    GREEN,
    PHASE_COLOURS,
    RED,
    STATUS_COLOURS,
    axis,
    gaps,
    new_figure,
    trial_text,
)
from search.report.data import PhaseCurves
from search.report.files import TrialRecord
from search.report.strips import Dot, Strip


def phase_figure(curves: PhaseCurves) -> go.Figure:
    """Draw all validation-loss curves of a phase, coloured by status, the best on top."""
    figure = new_figure(height=400)
    told: set[str] = set()
    for trial in curves.trials:
        best = trial.trial_id == curves.best
        name = f"best: {trial.trial_id}" if best else trial.status
        figure.add_trace(_curve(trial, name, name not in told, best))
        told.add(name)
        figure.add_trace(_curve_end(trial, curves.top, GREEN if best else None))
    points = [point for trial in curves.trials for point in trial.points]
    losses = [p.validation_loss for p in points if p.validation_loss < curves.top]
    seen = [point.samples_seen for point in points]
    figure.update_layout(
        margin={"l": 58, "r": 12, "t": 36, "b": 44},
        xaxis={"title": "training samples seen", **axis(seen, text.count)},
        yaxis={"title": "validation loss", **axis([*losses, curves.top], text.number)},
        showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    )
    return figure


def _curve(trial: TrialRecord, name: str, first: bool, best: bool) -> go.Scatter:
    return go.Scatter(
        x=[point.samples_seen for point in trial.points],
        y=gaps(point.validation_loss for point in trial.points),
        mode="lines",
        name=name,
        legendgroup=name,
        legendrank=0 if best else 1 + list(STATUS_COLOURS).index(trial.status),
        showlegend=first,
        line={
            "color": GREEN if best else STATUS_COLOURS[trial.status],
            "width": 3.2 if best else 1.5,
        },
        opacity=1.0 if best else 0.7,
        text=trial_text(trial),
        hovertemplate="loss %{y:.4g} at %{x:,.0f}<br>%{text}<extra></extra>",
    )


def _curve_end(trial: TrialRecord, top: float, colour: str | None) -> go.Scatter:
    """Mark where a curve ends: a dot, a cross when the trial failed, at most at ``top``."""
    finite = [point for point in trial.points if math.isfinite(point.validation_loss)]
    last, failed = finite[-1], trial.status == "failed"
    return go.Scatter(
        x=[last.samples_seen],
        y=[min(last.validation_loss, top)],
        mode="markers",
        legendgroup=f"best: {trial.trial_id}" if colour else trial.status,
        showlegend=False,
        marker={
            "color": colour or STATUS_COLOURS[trial.status],
            "symbol": "x" if failed else "circle",
            "size": 8 if failed else 5,
        },
        hoverinfo="skip",
    )


def strip_figure(strip: Strip) -> go.Figure:
    """Draw one dimension's values against the best validation loss, coarse and fine."""
    figure = new_figure(height=210)
    for phase, colour in PHASE_COLOURS.items():
        figure.add_trace(_dots([d for d in strip.dots if d.trial.phase == phase], colour))
    figure.update_layout(
        margin={"l": 46, "r": 10, "t": 6, "b": 30},
        yaxis=axis(strip.losses, text.number, most=4),
        xaxis=_strip_axis(strip),
    )
    if strip.window is not None:
        low, high = strip.window
        shape = {"type": "rect", "yref": "paper", "y0": 0, "y1": 1, "x0": low, "x1": high}
        line = {"width": 0}
        figure.add_shape(**shape, fillcolor=BLUE, opacity=0.12, line=line, layer="below")
    return figure


def _strip_axis(strip: Strip) -> dict[str, Any]:
    if strip.values:
        places = list(range(len(strip.values)))
        ends = [-0.6, len(places) - 0.4]
        return {
            "tickvals": places,
            "ticktext": [escape(value) for value in strip.values],
            "range": ends,
            "zeroline": False,
        }
    edges = [*(strip.span or ()), *(dot.x for dot in strip.dots)]
    return axis(edges, text.number, most=5, log=strip.log, pad=0.04)


def _dots(dots: Sequence[Dot], colour: str) -> go.Scatter:
    failed = [dot.trial.status == "failed" for dot in dots]
    return go.Scatter(
        x=[dot.x for dot in dots],
        y=[dot.y for dot in dots],
        mode="markers",
        marker={
            "color": [RED if fails else colour for fails in failed],
            "symbol": ["x" if fails else "circle" for fails in failed],
            "size": 7,
            "opacity": 0.8,
        },
        text=[
            f"loss {text.number(dot.trial.best_validation_loss)}<br>{trial_text(dot.trial)}"
            for dot in dots
        ],
        hovertemplate="%{text}<extra></extra>",
    )
