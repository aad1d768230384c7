"""The picture of any one trial: what it came to on training and on validation rows.

The page holds every trial's curves once, and one figure that shows the trial that is chosen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from search.report import text
from search.report.canvas import GREEN, axis, part_line, styled
from search.report.data import MOST_DRAWN, drawable, finite_losses
from search.report.files import PHASES, Run, TrialRecord

_KINDS = ("loss", "metric")
"""A row each; in it the curve on training rows, that on validation rows, the best checkpoint."""


@dataclass(frozen=True)
class Choice:
    """A trial that can be chosen.

    Attributes:
        label: Its name, its lowest validation loss and how it ended.
        words: Why it ended, what its curve says, and its configuration.
    """

    label: str
    words: str


def trials_to_show(run: Run) -> list[TrialRecord]:
    """Return the trials with a curve, phase by phase, the best first."""
    return [trial for phase in PHASES for trial in drawable(run, phase)[:MOST_DRAWN]]


def choices(trials: Sequence[TrialRecord]) -> list[tuple[str, list[Choice]]]:
    """Return how trials are offered, in their order, by phase."""
    by_phase = groupby(trials, key=lambda trial: trial.phase)
    return [(phase, [_choice(trial) for trial in group]) for phase, group in by_phase]


def _choice(trial: TrialRecord) -> Choice:
    loss = text.number(min(finite_losses(trial)))
    said = f"{trial.verdict}: {trial.evidence}" if trial.verdict else ""
    config = text.short_config(trial.config)
    ended = f"{trial.status}: {trial.reason}" if trial.reason else trial.status
    words = ". ".join(part for part in (ended, said, config) if part)
    return Choice(f"{trial.trial_id}: loss {loss}, {trial.status}", words)


def trial_figure(metric: str) -> go.Figure:
    """Return the empty figure: loss above, metric below, train and validation in each."""
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.06)
    for row in range(1, 1 + len(_KINDS)):
        for style in (_line("train"), _line("validation"), _MARK):
            figure.add_trace(go.Scatter(x=[], y=[], **style), row=row, col=1)
    styled(figure, height=380)
    figure.update_layout(margin={"l": 58, "r": 12, "t": 10, "b": 44})
    figure.update_yaxes(title="loss", row=1, col=1)
    figure.update_yaxes(title=metric, row=2, col=1, nticks=5)
    figure.update_xaxes(title="training samples seen", row=2, col=1, rangemode="tozero")
    return figure


_MARK: dict[str, Any] = {
    "mode": "markers",
    "marker": {"color": GREEN, "size": 9, "symbol": "diamond"},
    "hovertemplate": "best checkpoint %{y:.4g}<extra></extra>",
}


def _line(part: str) -> dict[str, Any]:
    return {**part_line(part, 2.2, 1.0), "hovertemplate": f"{part} %{{y:.4g}}<extra></extra>"}


def frame(trial: TrialRecord) -> dict[str, Any]:
    """Return a trial's curves for :func:`trial_figure`: x and y of each line, and the loss axis."""
    seen = [point.samples_seen for point in trial.points]
    best = [place for place, samples in enumerate(seen) if samples == trial.best_samples][:1]
    ys = []
    for kind in _KINDS:
        train, validation = (
            _short(getattr(point, f"{part}_{kind}") for point in trial.points)
            for part in ("train", "validation")
        )
        ys += [train, validation, [validation[place] for place in best]]
    losses = [value for value in (*ys[0], *ys[1]) if value is not None]
    return {
        "x": [seen, seen, [seen[place] for place in best]] * len(_KINDS),
        "y": ys,
        "yaxis": axis(losses, text.number, pad=0.1),
    }


def _short(values: Iterable[float]) -> list[float | None]:
    return [float(f"{value:.4g}") if math.isfinite(value) else None for value in values]
