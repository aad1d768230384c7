"""What the terminal shows during a run.

``LiveDisplay`` for people at a terminal, ``QuietDisplay`` for pipes and logs, ``JsonDisplay``
for programs. All three read the same :class:`~search.report.progress.Progress`.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from types import TracebackType
from typing import IO, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search.files import finite
from search.report import text
from search.report.progress import Progress, TrialProgress, Update

_STATUS_STYLE = {
    "running": "cyan",
    "paused": "blue",
    "completed": "green",
    "stopped": "yellow",
    "failed": "red",
}


class Display:
    """A context manager that shows a :class:`Progress` while it is open."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def refresh(self) -> None:
        """Draw the present state, where the display draws states."""

    def close(self) -> None:
        """Show the last state and leave the terminal as it was."""


class LiveDisplay(Display):
    """A live picture of the search, redrawn twice a second by a thread of its own.

    Args:
        progress: What to show.
        console: Where.
    """

    def __init__(self, progress: Progress, console: Console) -> None:
        super().__init__(progress)
        self.console = console
        self._live = Live(
            console=console, get_renderable=self.render, refresh_per_second=2, transient=True
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def refresh(self) -> None:
        """Redraw now."""
        self._live.refresh()

    def close(self) -> None:
        """Clear the picture and leave one line for each phase."""
        self._live.stop()
        for phase in ("coarse", "fine", "confirm"):
            if self.progress.phase_state(phase) is not None:
                self.console.print(phase_line(self.progress, phase), highlight=False)

    def render(self) -> RenderableType:
        """Return the picture of the present state."""
        with self.progress.lock:
            parts = [_head(self.progress, self.console.width), _best_line(self.progress)]
            if self.progress.best_trials():
                parts.append(_table(self.progress, self.console.width))
            return Group(*parts, *_events(self.progress))


def _head(progress: Progress, width: int) -> RenderableType:
    counts, used = progress.counts(), progress.budget_used
    states = [f"{counts[state]} {state}" for state in _STATUS_STYLE if counts[state]]
    grid = Table.grid(padding=(0, 1))
    shown = "" if used is None else f"{100 * used:.0f} %"
    left = progress.eta_seconds
    eta = f"{text.seconds(left)} left" if left is not None else ""
    bar = ProgressBar(total=1.0, completed=used or 0.0, width=min(30, width // 4))
    phase = Text(progress.phase or "starting", style="bold")
    grid.add_row(phase, bar, Text(shown), Text(eta, style="cyan"))
    line = f"{text.seconds(progress.elapsed())} in, {', '.join(states) or 'no trial yet'}"
    return Group(grid, Text(line, style="dim", no_wrap=True, overflow="ellipsis"))


def _best_line(progress: Progress) -> RenderableType:
    best = progress.best
    if best is None:
        return Text("no finite validation loss yet", style="dim")
    said = f"best {best.trial_id}  validation loss {text.number(best.best_loss)}"
    said += f"  {progress.metric} {text.number(best.best_metric)}"
    return Text(said, style="bold", no_wrap=True, overflow="ellipsis")


def _table(progress: Progress, width: int) -> Table:
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="dim", expand=True)
    table.add_column("trial", no_wrap=True)
    table.add_column("", no_wrap=True, width=9)
    table.add_column("loss", justify="right", no_wrap=True)
    table.add_column(progress.metric, justify="right", no_wrap=True, max_width=10)
    table.add_column("done", justify="right", no_wrap=True)
    spark = 16 if width >= 100 else 10
    table.add_column("curve", no_wrap=True, width=spark)
    table.add_column("configuration", no_wrap=True, overflow="ellipsis", ratio=1)
    for trial in progress.best_trials(10):
        table.add_row(*_cells(trial, spark))
    return table


def _cells(trial: TrialProgress, spark: int) -> tuple[Text, ...]:
    done = trial.samples_seen / trial.budget_samples if trial.budget_samples else 0.0
    return (
        Text(trial.trial_id),
        Text(trial.status, style=_STATUS_STYLE.get(trial.status, "")),
        Text(text.number(trial.best_loss)),
        Text(text.number(trial.best_metric)),
        Text(f"{100 * min(done, 1.0):.0f} %"),
        Text(text.sparkline(trial.losses, spark), style="cyan"),
        Text(text.short_config(trial.config), style="dim"),
    )


def _events(progress: Progress) -> list[RenderableType]:
    lines: list[RenderableType] = [Text("")] if progress.recent else []
    for each in progress.recent:
        clock = datetime.fromtimestamp(each.at).strftime("%H:%M:%S")
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append(f"{clock} {each.phase} ", style="dim").append(" ".join(each.text.split()))
        lines.append(line)
    return lines


def phase_line(progress: Progress, phase: str) -> str:
    """Return a phase in one line.

    ``coarse: 42 trials, 12 completed, best val loss 0.231 (c0017), 31.2 s``
    """
    counts = progress.counts(phase)
    parts = [f"{counts['started']} trial{'' if counts['started'] == 1 else 's'}"]
    ended = ("completed", "stopped", "failed")
    parts += [f"{counts[status]} {status}" for status in ended if counts[status]]
    best = next(iter(progress.best_trials(1, phase)), None)
    if best is not None:
        parts.append(f"best val loss {text.number(best.best_loss, 3)} ({best.trial_id})")
    return f"{phase}: {', '.join([*parts, text.seconds(progress.elapsed(phase))])}"


class QuietDisplay(Display):
    """One plain line for each phase's start and end and for each message; for pipes.

    Args:
        progress: What to tell.
        stream: Where; standard error by default, so that pipes get results only.
    """

    def __init__(self, progress: Progress, stream: IO[str] | None = None) -> None:
        super().__init__(progress)
        self._stream = sys.stderr if stream is None else stream
        progress.subscribe(self._tell)

    def _tell(self, update: Update) -> None:
        line = self._line(update)
        if line is not None:
            print(line, file=self._stream, flush=True)

    def _line(self, update: Update) -> str | None:
        if update["event"] == "phase_started":
            return f"{update['phase']}: started{self._limits(update)}"
        if update["event"] == "phase_ended":
            return phase_line(self.progress, update["phase"])
        if update["event"] == "message":
            return f"{update['phase']}: {' '.join(update['text'].split())}"
        return None

    def _limits(self, update: Update) -> str:
        limits = []
        if update["num_trials"] is not None:
            limits.append(f"{update['num_trials']} trials")
        if update["ends_by"] is not None:
            limits.append(f"at most {text.seconds(max(0.0, update['ends_by'] - update['at']))}")
        return f", {', '.join(limits)}" if limits else ""


class JsonDisplay(Display):
    """One JSON object a line for each event; numbers that aren't finite become null.

    Args:
        progress: What to tell.
        stream: Where; standard output by default.
    """

    def __init__(self, progress: Progress, stream: IO[str] | None = None) -> None:
        super().__init__(progress)
        self._stream = sys.stdout if stream is None else stream
        progress.subscribe(self._tell)

    def _tell(self, update: Update) -> None:
        print(json.dumps(finite(update), ensure_ascii=False), file=self._stream, flush=True)


def make_display(progress: Progress, *, json: bool, console: Console | None = None) -> Display:
    """Return the display that fits the place: JSON, live at a terminal, else plain lines.

    Args:
        progress: What to show.
        json: One JSON object a line, on standard output.
        console: Where people look; one on standard error by default.
    """
    if json:
        return JsonDisplay(progress)
    console = Console(stderr=True) if console is None else console
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveDisplay(progress, console)
    return QuietDisplay(progress, console.file)
