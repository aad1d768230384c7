"""What runs in Ray Tune's worker processes: a trial's process in Tune's words."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

import ray
from ray import tune

from search.execution.adapters import EVENTS, HANDOUT, SHARED
from search.execution.errands import Errands
from search.execution.trial_process import TrialProcess, resident_data


class TrialTrainable(tune.Trainable):  # type: ignore[misc]
    """Does errands and trains trials, one after the other, in one process.

    Attributes:
        dataset: Reference to the data set in the object store.
    """

    dataset: Any = None

    def setup(self, config: dict[str, Any]) -> None:
        """Take up an errand or a trial."""
        self._process = TrialProcess(self.dataset)
        self._take_up(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take up another one in the same process."""
        self._take_up(new_config)
        return True

    def _take_up(self, config: dict[str, Any]) -> None:
        handout, shared = json.loads(config[HANDOUT]), ray.get(config[SHARED])
        self._errand: Callable[[], str] | None = None
        if "errand" in handout:
            self._errand = partial(self._do, shared, handout["errand"])
        else:
            self._process.begin(handout, shared)

    def _do(self, errands: Errands, name: str) -> str:
        held = lambda: resident_data(self.dataset, errands.num_gpus)[1]  # noqa: E731
        return errands.do(name, ray.get(self.dataset), held)

    def step(self) -> dict[str, Any]:
        """Train to the next evaluation, and say so in the driver's words and in Tune's."""
        if self._errand is not None:
            return {"validation_loss": float("nan"), "done": True, EVENTS: self._errand()}
        report = self._process.step()
        nothing = {"validation_loss": float("nan"), "samples_seen": 0}
        shown = nothing if report.shown is None else asdict(report.shown)
        return {
            **{name: value for name, value in shown.items() if not isinstance(value, str)},
            "timesteps_total": shown["samples_seen"],  # TensorBoard's horizontal axis
            "done": report.is_last,
            EVENTS: report.message,
        }

    def cleanup(self) -> None:
        """Let go of the session and its memory."""
        self._process.close()

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: the trial's state is its own file."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing: the trial's state is its own file."""


def make_trainable(dataset: Any) -> type[TrialTrainable]:
    """Return the trainable of a run.

    Args:
        dataset: Reference to the data set.
    """
    return type("TrialTrainable", (TrialTrainable,), {"dataset": dataset})
