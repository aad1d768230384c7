"""Trials' logs for TensorBoard, in the folders that Ray Tune gives them; they may find no room."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.logger import LoggerCallback
from ray.tune.result import AUTO_RESULT_KEYS, TIMESTEPS_TOTAL, TRAINING_ITERATION
from ray.tune.utils import flatten_dict
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.summary import hparams

from search.execution.adapters import HANDOUT, SHARED

_NOT_SHOWN = {*AUTO_RESULT_KEYS, "done"}
_PREFIX = "ray/tune/"


class TensorBoardLog(LoggerCallback):  # type: ignore[misc]
    """What TensorBoard shows: the numbers of each evaluation, and a trial's hyperparameters.

    An event holds all numbers of a report. Tune's own callback has an event for each of them and
    two threads for each trial, and keeps every trial's writer to the end: with it a report costs
    the driver nearly a third more. Nor are Tune's CSV and JSON written: nothing reads them, and
    what they hold is in the run's own tables.

    It lacks what couldn't be written: nothing is decided by it.
    """

    def __init__(self) -> None:
        self._files: dict[Trial, EventsWriter] = {}
        self._last: dict[Trial, dict[str, float]] = {}

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        """Add an evaluation."""
        numbers = _numbers(result)
        if not numbers:
            return  # it was an errand
        self._last[trial] = numbers
        values = [Summary.Value(tag=name, simple_value=value) for name, value in numbers.items()]
        step = int(result.get(TIMESTEPS_TOTAL) or result[TRAINING_ITERATION])
        with suppress(OSError):
            if trial not in self._files:
                self._files[trial] = _open(trial)
            self._files[trial].write_event(_event(Summary(value=values), step))
            self._files[trial].flush()

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        """Add what was trained, and close the file."""
        file, numbers = self._files.pop(trial, None), self._last.pop(trial, {})
        if file is None:
            return
        config = {
            name: value for name, value in trial.config.items() if name not in (HANDOUT, SHARED)
        }
        with suppress(OSError):
            for summary in hparams(config, numbers):
                file.write_event(_event(summary))
            file.close()

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        """Close the files of those that a run broken off has left."""
        for trial in list(self._files):
            self.log_trial_end(trial)


def _numbers(result: dict[str, Any]) -> dict[str, float]:
    """Return what of a report is a number and not Tune's own."""
    shown = {name: value for name, value in result.items() if name not in _NOT_SHOWN}
    return {
        f"{_PREFIX}{name}": float(value)
        for name, value in flatten_dict(shown, delimiter="/").items()
        if isinstance(value, int | float) and not math.isnan(value)
    }


def _open(trial: Trial) -> EventsWriter:
    """Open a file; a trial that goes on after a pause has another one in the same folder."""
    trial.init_local_path()
    return EventsWriter(str(Path(trial.local_path) / "events"), f".{trial.trial_id}")


def _event(summary: Summary, step: int = 0) -> Event:
    return Event(wall_time=time.time(), step=step, summary=summary)
