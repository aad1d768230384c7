"""All tasks by name."""

from __future__ import annotations

from functools import cache

from benchmarks.search.planted import PLANTED
from benchmarks.search.tasks import Task, surrogate_task
from benchmarks.search.trained import trained_task

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
    """Return a task by its name.

    ``bloom:N`` and ``decade:N`` are planted, ``trained:DATA`` are real trainings, the others are
    surrogates.

    Raises:
        StudyError: SIEVE_BENCH or SIEVE_DATA names no folder with what the task needs, or the
            task is unknown.
    """
    kind, _, which = name.partition(":")
    if kind == "trained":
        return trained_task(which)
    return PLANTED[kind](int(which)) if kind in PLANTED else surrogate_task(name)
