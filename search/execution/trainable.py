"""What runs in Ray Tune's worker processes: a trial's process in Tune's words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from ray import tune

from search.execution.adapters import EVENTS, HANDOUT
from search.execution.trial_process import TrialProcess


class TrialTrainable(tune.Trainable):  # type: ignore[misc]
    """Trains trials, one after the other, in one process.

    Attributes:
        dataset: Reference to the data set in the object store.
        contexts: Phase to the reference to its context.
    """

    dataset: Any = None
    contexts: Mapping[str, Any] = MappingProxyType({})

    def setup(self, config: dict[str, Any]) -> None:
        """Take up a trial."""
        self._process = TrialProcess(self.dataset, self.contexts)
        self._process.begin(json.loads(config[HANDOUT]))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take up another trial in the same process."""
        self._process.begin(json.loads(new_config[HANDOUT]))
        return True

    def step(self) -> dict[str, Any]:
        """Train to the next evaluation, and say so in the driver's words and in Tune's."""
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


def make_trainable(dataset: Any, contexts: Mapping[str, Any]) -> type[TrialTrainable]:
    """Return the trainable of a run.

    Args:
        dataset: Reference to the data set.
        contexts: Phase to the reference to its :class:`PhaseContext`.
    """
    return type("TrialTrainable", (TrialTrainable,), {"dataset": dataset, "contexts": contexts})
