"""All tasks by name."""

from __future__ import annotations

from functools import cache

from benchmarks.search.planted import PLANTED
from benchmarks.search.tasks import Task, surrogate_task

DEVELOPMENT = (
    "lcb:167149",
    "lcb:34539",
    "lcb:167184",
    "lcb:189905",
    "ts:0",
    "ts:1",
    "xgb:1475",
    "xgb:41138",
)


@cache
def load_task(name: str) -> Task:
    """Return a task: ``bloom:N`` and ``decade:N`` are planted, the others are surrogates.

    Raises:
        StudyError: SIEVE_BENCH names no folder with the surrogates, or the task is unknown.
    """
    kind, _, number = name.partition(":")
    return PLANTED[kind](int(number)) if kind in PLANTED else surrogate_task(name)
