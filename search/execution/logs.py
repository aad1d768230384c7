"""Ray's own logs of trials, which may find no room.

Not its CSV: that costs the driver a third of a millisecond a report, and the same lines are in its
JSON, from which Ray reads them, and in the run's own tables.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.logger import (
    JsonLoggerCallback,
    LoggerCallback,
    TBXLoggerCallback,
)


class _Patient(LoggerCallback):  # type: ignore[misc]
    """A log that lacks what couldn't be written: nothing is decided by it."""

    def log_trial_start(self, trial: Trial) -> None:
        """Begin a trial's files."""
        with suppress(OSError):
            super().log_trial_start(trial)

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        """Add a line."""
        with suppress(OSError):
            super().log_trial_result(iteration, trial, result)

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        """Close a trial's files."""
        with suppress(OSError):
            super().log_trial_end(trial, failed)


class _Json(_Patient, JsonLoggerCallback):  # type: ignore[misc]
    """One object a report."""


class _TensorBoard(_Patient, TBXLoggerCallback):  # type: ignore[misc]
    """What TensorBoard shows."""


LOGS = (_Json, _TensorBoard)
"""Each to be made anew for an experiment."""
