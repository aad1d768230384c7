"""Ends a process whose trial has nothing to say for far too long, and keeps where it hung."""

from __future__ import annotations

import faulthandler
import math
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from search.storage import Storage

HUNG = "hung.txt"
"""In the trial's folder: the stacks of all threads when the time was up; empty until then."""
TIMES, LEAST_S = 20.0, 120.0
"""A report may take so many times the longest before it, at least so long."""
FIRST_LEAST_S, FIRST_S = 300.0, 3600.0
"""A process's first one fetches the data and may compile: at least so long, at most an hour."""


class Watchdog:
    """Looks after one kind of trainings, whose reports take about the same time.

    The time is kept by a thread of Python's fault handler, which needs neither the interpreter's
    lock nor a training that goes on.

    Args:
        limit_s: Seconds that a report may take; None: by what reports have taken.
        whole_s: Seconds that a whole training may take, and so the first report.
    """

    def __init__(self, limit_s: float | None = None, whole_s: float = math.inf) -> None:
        self._given = limit_s
        self._first = min(max(FIRST_LEAST_S, whole_s), FIRST_S)
        self._longest: float | None = None

    @property
    def limit_s(self) -> float:
        """What the next report may take."""
        if self._given is not None:
            return self._given
        return self._first if self._longest is None else max(LEAST_S, TIMES * self._longest)

    @contextmanager
    def watching(self, folder: Path) -> Iterator[None]:
        """Within this context the process ends when it takes too long.

        Args:
            folder: Of the trial.
        """
        folder.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        with (folder / HUNG).open("w") as file:
            faulthandler.dump_traceback_later(self.limit_s, exit=True, file=file)
            try:
                yield
            finally:
                faulthandler.cancel_dump_traceback_later()
        self._longest = max(self._longest or 0.0, time.monotonic() - began)


def send_hung(folder: Path, storage: Storage) -> None:
    """Send what processes that were ended on this machine have left: others may go on from there.

    Args:
        folder: Of this machine's trials, a folder each.
        storage: Of the trials' files.
    """
    for path in folder.glob(f"*/{HUNG}"):
        if path.stat().st_size:
            storage.put(path, f"{path.parent.name}/{HUNG}")
            path.unlink()


def what_hung(folder: Path) -> tuple[str, str] | None:
    """Return why an earlier process of a trial was ended, and its stacks; None where it wasn't.

    Args:
        folder: Of the trial.
    """
    try:
        stacks = (folder / HUNG).read_text(errors="replace")
    except FileNotFoundError:
        return None
    if not stacks:
        return None
    after = re.search(r"^Timeout \(([0-9:.]+)\)", stacks)
    threads = stacks.split("\n\n")
    training = next((thread for thread in threads if " in _step" in thread), threads[-1])
    place = re.search(r'File "(.+)", line (\d+) in (.+)', training)
    where = f"; it was in {place[3]}, {place[1]} line {place[2]}" if place else ""
    return f"hung: it reported nothing for {after[1] if after else 'too long'}{where}", stacks
