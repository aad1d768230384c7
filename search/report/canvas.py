"""What the report's figures share: colours, the empty figure, axes with readable ticks.

Colours are mid-tones that read on white and on black; the page sets text and grid colours for
the reader's theme.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from html import escape
from typing import Any

import plotly.graph_objects as go

from search.report import text
from search.report.files import TrialRecord

BLUE, ORANGE, GREEN, RED, GREY = "#3f84c6", "#cc7722", "#2a9d6f", "#d2495f", "#8b95a3"
STATUS_COLOURS = {"completed": BLUE, "stopped": GREY, "failed": RED, "unfinished": ORANGE}
PHASE_COLOURS = {"coarse": GREY, "fine": BLUE}
_HOVER_WIDTH = 46


def gaps(values: Iterable[float]) -> list[float | None]:
    """Replace what isn't finite by None, which plotly draws as a gap."""
    return [value if math.isfinite(value) else None for value in values]


def new_figure(height: int) -> go.Figure:
    """Return an empty figure of ``height`` CSS pixels in the report's style."""
    return styled(go.Figure(), height)


def styled(figure: go.Figure, height: int) -> go.Figure:
    """Give a figure the report's style and return it; the page adds the theme's colours."""
    figure.update_layout(
        template=go.layout.Template(),
        height=height,
        showlegend=False,
        hovermode="closest",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hoverlabel={"align": "left", "namelength": -1},
    )
    figure.update_xaxes(automargin=True, zeroline=False)
    figure.update_yaxes(automargin=True, zeroline=False)
    return figure


def part_line(part: str, width: float, opacity: float) -> dict[str, Any]:
    """Return how a curve on ``train`` or ``validation`` rows is drawn."""
    colour, dash = (BLUE, "solid") if part == "validation" else (ORANGE, "dot")
    line = {"color": colour, "dash": dash, "width": width}
    return {"mode": "lines", "line": line, "opacity": opacity}


def trial_text(trial: TrialRecord) -> str:
    """Return what hovering over a trial shows: id, status, reason, configuration."""
    head = f"<b>{escape(trial.trial_id)}</b> {escape(trial.status)}"
    lines = [head, *_wrap(trial.reason.split())] if trial.reason else [head]
    pairs = (f"{name}={text.number(value, 3)}" for name, value in trial.config.items())
    return "<br>".join([*lines, *_wrap(pairs)])


def _wrap(words: Iterable[str]) -> list[str]:
    lines = [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) > _HOVER_WIDTH:
            lines.append("")
        lines[-1] = f"{lines[-1]} {escape(word)}".strip()
    return lines


def axis(
    values: Iterable[float],
    form: Callable[[float], str],
    *,
    most: int = 6,
    log: bool | None = None,
    pad: float = 0.05,
) -> dict[str, Any]:
    """Return an axis over the finite values: logarithmic where they span a factor of 4."""
    kept = [value for value in values if math.isfinite(value)]
    if not kept:
        return {}
    low, high = min(kept), max(kept)
    if log is None:
        log = low > 0 and high / low >= 4
    if not log:
        margin = pad * (high - low) or 0.5
        return {"range": [low - margin, high + margin], "nticks": most}
    bottom, top = math.log10(low), math.log10(high)
    margin = pad * (top - bottom) or 0.1
    ticks = log_ticks(10 ** (bottom - margin), 10 ** (top + margin), most)
    texts = [form(tick) for tick in ticks]
    ends = [bottom - margin, top + margin]
    return {"type": "log", "range": ends, "tickvals": ticks, "ticktext": texts}


def log_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return round values in [low, high]: 1-2-5, or 1-3, or whole decades, at most ``most``.

    >>> log_ticks(0.09, 1.1)
    [0.1, 0.2, 0.5, 1.0]
    """
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = [float(f"{step}e{d}") for d in decades for step in steps]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) <= most:
            break
    return inside[:: math.ceil(len(inside) / most)] if len(inside) > most else inside
