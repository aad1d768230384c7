"""Runs a command and measures it from outside: wall time, and the memory of all its processes."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

_INTERVAL_S = 1.0


@dataclass(frozen=True)
class Measured:
    """A command that has ended.

    Attributes:
        returncode: Its exit code.
        wall_seconds: From its start to its end.
        peak_memory_bytes: Highest sum over its processes of the proportional set size, in which
            pages that several share (the data in Ray's object store) count once.
    """

    returncode: int
    wall_seconds: float
    peak_memory_bytes: int


def run_measured(command: Sequence[str], log: Path) -> Measured:
    """Run a command to its end, its output in ``log``."""
    log.parent.mkdir(parents=True, exist_ok=True)
    started, peak = time.monotonic(), 0
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        while process.poll() is None:
            peak = max(peak, tree_memory(process.pid))
            time.sleep(_INTERVAL_S)
    return Measured(process.returncode, time.monotonic() - started, peak)


def tree_memory(pid: int) -> int:
    """Return the proportional set size of a process and all below it, in bytes."""
    try:
        parent = psutil.Process(pid)
        processes = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    return sum(_proportional(each) for each in processes)


def _proportional(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.NoSuchProcess, psutil.AccessDenied, ProcessLookupError):
        return 0
