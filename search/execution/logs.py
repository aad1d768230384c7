"""Ray's own logs of trials, for TensorBoard; they may find no room.

Not its CSV and its JSON: they cost the driver time at each report, nothing of ours reads them, and
what they hold is in the run's own tables.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.logger import TBXLoggerCallback
from ray.tune.result import AUTO_RESULT_KEYS, TIMESTEPS_TOTAL, TRAINING_ITERATION

_STEP = {TIMESTEPS_TOTAL, TRAINING_ITERATION}
_OF_TUNES_OWN = {*AUTO_RESULT_KEYS, "done"} - _STEP


class TensorBoardLog(TBXLoggerCallback):  # type: ignore[misc]
    """What TensorBoard shows: the numbers of each evaluation, and not Tune's own.

    It lacks what couldn't be written: nothing is decided by it.
    """

    def log_trial_start(self, trial: Trial) -> None:
        """Begin a trial's files."""
        with suppress(OSError):
            super().log_trial_start(trial)

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        """Add an evaluation."""
        numbers = {name: value for name, value in result.items() if name not in _OF_TUNES_OWN}
        with suppress(OSError):
            super().log_trial_result(iteration, trial, numbers)

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        """Close a trial's files."""
        with suppress(OSError):
            super().log_trial_end(trial, failed)
