"""The pictures of the confirmation: each function draws plain data of ``data``.

Nothing here reads files or decides anything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from search.report import text
from search.report.canvas import BLUE, GREEN, GREY, axis, gaps, new_figure, part_line, styled
from search.report.data import Contender, MeanCurve, mean_curve
from search.report.files import TrialRecord


def confirmation_figure(contenders: Sequence[Contender], metric: str) -> go.Figure:
    """Draw each contender's test metric: a dot a seed, the mean, its 95 % interval."""
    figure = new_figure(height=96 + 46 * len(contenders))
    for place, each in enumerate(reversed(contenders)):
        colour = {"winner": GREEN, "baseline": GREY}.get(each.role, BLUE)
        figure.add_trace(_interval(each, place, colour))
        figure.add_trace(_seeds(each, place, colour))
    baseline = next((each for each in contenders if each.role == "baseline"), None)
    if baseline is not None and math.isfinite(baseline.test.mean):
        mean, dash = baseline.test.mean, {"color": GREY, "width": 1, "dash": "dot"}
        figure.add_shape(type="line", x0=mean, x1=mean, y0=0, y1=1, yref="paper", line=dash)
    figure.update_layout(
        margin={"l": 8, "r": 16, "t": 8, "b": 44},
        xaxis={"title": f"test {metric}"},
        yaxis={
            "tickvals": list(range(len(contenders))),
            "ticktext": [_label(each) for each in reversed(contenders)],
            "range": [-0.6, len(contenders) - 0.4],
            "automargin": True,
            "showgrid": False,
        },
    )
    return figure


def _label(contender: Contender) -> str:
    return f"{contender.name} (winner)" if contender.wins else contender.name


def _interval(each: Contender, place: int, colour: str) -> go.Scatter:
    test = each.test
    known = math.isfinite(test.low)
    return go.Scatter(
        x=[test.mean],
        y=[place],
        mode="markers",
        marker={"color": colour, "size": 13, "symbol": "diamond"},
        error_x={
            "array": [test.high - test.mean if known else 0],
            "color": colour,
            "thickness": 2.5,
            "width": 7,
        },
        hovertext=f"<b>{escape(each.name)}</b><br>mean {text.mean_sd(test.mean, test.sd)}"
        f"<br>95 % {text.interval(test.low, test.high)}",
        hoverinfo="text",
    )


def _seeds(each: Contender, place: int, colour: str) -> go.Scatter:
    tried = [trial for trial in each.trials if math.isfinite(trial.test_metric)]
    return go.Scatter(
        x=[trial.test_metric for trial in tried],
        y=[place - 0.24] * len(tried),
        mode="markers",
        marker={"color": colour, "size": 7, "opacity": 0.65},
        hovertext=[f"seed {t.seed}: {text.number(t.test_metric)}" for t in tried],
        hoverinfo="text",
    )


def training_figure(contender: Contender, metric: str) -> go.Figure:
    """Draw train and validation curves of loss (above) and metric (below) in one picture.

    Thin lines are seeds, thick ones their mean as far as all seeds went; a diamond marks each
    seed's best checkpoint.
    """
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.06)
    for trial in contender.trials:
        for row, kind in ((1, "loss"), (2, "metric")):
            for part in ("train", "validation"):
                figure.add_trace(_seed_line(trial, part, kind), row=row, col=1)
            figure.add_trace(_best_mark(trial, kind), row=row, col=1)
    mean = mean_curve(contender.trials)
    for row, kind in ((1, "loss"), (2, "metric")):
        for part in ("train", "validation"):
            figure.add_trace(_mean_line(mean, part, kind), row=row, col=1)
    styled(figure, height=380)
    figure.update_layout(margin={"l": 58, "r": 12, "t": 10, "b": 44})
    losses = [v for t in contender.trials for p in t.points for v in (p.validation_loss,)]
    figure.update_yaxes(title="loss", row=1, col=1, **axis(losses, text.number, pad=0.35))
    figure.update_yaxes(title=metric, row=2, col=1, nticks=5)
    figure.update_xaxes(title="training samples seen", row=2, col=1, rangemode="tozero")
    return figure


def _seed_line(trial: TrialRecord, part: str, kind: str) -> go.Scatter:
    return go.Scatter(
        x=[point.samples_seen for point in trial.points],
        y=gaps(getattr(point, f"{part}_{kind}") for point in trial.points),
        hovertemplate=f"seed {trial.seed}, {part} %{{y:.4g}}<extra></extra>",
        **part_line(part, 1.2, 0.6),
    )


def _mean_line(mean: MeanCurve, part: str, kind: str) -> go.Scatter:
    return go.Scatter(
        x=mean.samples_seen,
        y=gaps(getattr(mean, f"{part}_{kind}")),
        hovertemplate=f"mean, {part} %{{y:.4g}}<extra></extra>",
        **part_line(part, 2.6, 1.0),
    )


def _best_mark(trial: TrialRecord, kind: str) -> go.Scatter:
    best = [point for point in trial.points if point.samples_seen == trial.best_samples][:1]
    return go.Scatter(
        x=[point.samples_seen for point in best],
        y=[getattr(point, f"validation_{kind}") for point in best],
        mode="markers",
        marker={"color": GREEN, "size": 9, "symbol": "diamond"},
        hovertemplate=f"seed {trial.seed}, best checkpoint %{{y:.4g}}<extra></extra>",
    )
