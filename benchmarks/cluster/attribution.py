"""Where the driver's CPU time goes, by part of the code."""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import FrameType

import ray

import search

_SEARCH, _RAY = Path(search.__file__).parent, Path(ray.__file__).parent
_CALLED = {
    "Tune's snapshots": (_RAY / "tune/execution/experiment_state.py",),
    "Tune's loggers": (_RAY / "tune/logger", _SEARCH / "execution/logs.py"),
    "Tune's trials, their folders": (_RAY / "tune/experiment/trial.py",),
}
"""Parts with all that they call."""
_WITHIN = {"sieve": (_SEARCH,), "Tune's loop, Ray's calls": (_RAY,)}
"""Of the rest, whose code is the innermost."""
OTHER_THREADS, GARBAGE = "other threads", "of it, garbage collection"
COLUMNS = (*_CALLED, *_WITHIN, OTHER_THREADS, GARBAGE)
_TUNE = "sieve-tune"
_LOOK_S = 0.01


class Attribution:
    """Samples the thread in which Tune's loop runs, weighted by its own CPU time.

    Attributes:
        seconds: CPU time by part.
        own: What looking has taken itself; it is left out.
    """

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.own = 0.0
        self._is_over = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._gc_began = 0.0

    def start(self) -> None:
        """Begin, before or after the thread has."""
        self._process_began = time.process_time()
        gc.callbacks.append(self._collecting)
        self._sampler.start()

    def stop(self) -> None:
        """End, while the thread is still there."""
        self._is_over.set()
        self._sampler.join()
        gc.callbacks.remove(self._collecting)
        total = time.process_time() - self._process_began - self.own
        known = sum(each for name, each in self.seconds.items() if name != GARBAGE)
        self.seconds[OTHER_THREADS] = max(total - known, 0.0)

    def _collecting(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._gc_began = time.thread_time()
        else:
            self.seconds[GARBAGE] += time.thread_time() - self._gc_began

    def _sample(self) -> None:
        before = 0.0
        while not self._is_over.wait(_LOOK_S):
            thread_id = next((t.ident for t in threading.enumerate() if t.name == _TUNE), None)
            frame = sys._current_frames().get(thread_id or 0)
            if thread_id is None or frame is None:
                continue
            now = time.clock_gettime(time.pthread_getcpuclockid(thread_id))
            self.seconds[_part_of(frame)] += now - before
            before = now
        self.own = time.thread_time()


def _part_of(innermost: FrameType) -> str:
    files = [each.f_code.co_filename for each in _stack(innermost)]
    callers = (_place_of(file, tuple(_CALLED)) for file in reversed(files))
    called = next(filter(None, callers), None)
    within = (_place_of(file, tuple(_WITHIN)) for file in files)
    return called or next(filter(None, within), OTHER_THREADS)


@cache
def _place_of(file: str, names: tuple[str, ...]) -> str | None:
    """Return which of the parts a file belongs to."""
    parts = {**_CALLED, **_WITHIN}
    path = Path(file)
    return next((n for n in names if any(path.is_relative_to(each) for each in parts[n])), None)


def _stack(innermost: FrameType) -> Iterator[FrameType]:
    frame: FrameType | None = innermost
    while frame is not None:
        yield frame
        frame = frame.f_back
