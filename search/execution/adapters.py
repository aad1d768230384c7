"""Ray Tune's searcher, scheduler and stopper as thin adapters around the phase that is on."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from ray.tune import Stopper
from ray.tune.experiment import Trial as RayTrial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from search.errors import Unwritable
from search.execution.stage import Driver, Handout, Stage
from search.strategy.asha import CONTINUE, Decision

HANDOUT = "sieve_handout"
"""The key beside the hyperparameters in Ray's config: the trial or errand, as JSON."""
SHARED = "sieve_shared"
"""Likewise: a reference to what it shares with others, its phase's context."""
EVENTS = "sieve_events"
"""The key in a result: what the trial has to say, as JSON."""


_IDLE_S = 1.0
"""The searcher waits so long for the next phase before Tune's loop goes round once more."""


class _NotPickled:
    """Ray pickles its collaborators with a tuner; the stage is of this process only."""

    _stage: Stage | None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_stage": None}

    @property
    def stage(self) -> Stage:
        assert self._stage is not None
        return self._stage

    @property
    def driver(self) -> Driver:
        return self.stage.driver


class PhaseSearcher(_NotPickled, Searcher):  # type: ignore[misc]
    """Hands out what the driver hands out."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(metric="validation_loss", mode="min")
        self._stage = stage
        self._ids: dict[str, str] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return the next trial's config; None: none now; ``FINISHED``: none any more."""
        is_on = self.stage.wait_for_phase(_IDLE_S)
        if self.stage.is_over:
            return str(Searcher.FINISHED)
        handout = self.driver.next_trial() if is_on else None
        if handout is None:
            return None
        self._ids[trial_id] = handout.name
        shared = self.stage.shared
        return {**handout.config, HANDOUT: write_handout(handout), SHARED: shared}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the driver of a trial whose process has gone."""
        if error and trial_id in self._ids:
            self.driver.lost(self._ids[trial_id], self.stage.take_why_lost())

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the event log holds the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the event log holds the state."""


class PhaseScheduler(_NotPickled, FIFOScheduler):  # type: ignore[misc]
    """Stops the trials that the driver stops."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage

    def on_trial_result(self, tune_controller: Any, trial: RayTrial, result: dict[str, Any]) -> str:
        """Pass a report on and return the decision in Ray's words.

        A trial that pauses has saved its state: to Ray it ends, and what goes on later is
        another of Ray's trials. Ray's own pause would keep the trial among those that count.
        """
        decision = self._report(trial, result)
        goes_on = decision.action == "continue"
        return str(TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP)

    def _report(self, trial: RayTrial, result: dict[str, Any]) -> Decision:
        """Pass a report on; where it can't be written the run ends, and not by Tune's error."""
        try:
            return self.driver.report(trial_id_of(trial), result[EVENTS])
        except Unwritable as error:
            self.driver.cant_go_on = str(error)
            return CONTINUE

    def on_trial_complete(
        self, tune_controller: Any, trial: RayTrial, result: dict[str, Any]
    ) -> None:
        """Take in a last report, which Ray doesn't pass to :meth:`on_trial_result`."""
        self._report(trial, result)


class InterruptStopper(_NotPickled, Stopper):  # type: ignore[misc]
    """Ends the experiment when the run was asked to stop; every event is on disk already."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Never by trial."""
        return False

    def stop_all(self) -> bool:
        """Say whether to end now."""
        return self.driver.interrupted


def write_handout(handout: Handout) -> str:
    """Return a handout as JSON, with its name."""
    return json.dumps({**asdict(handout), "name": handout.name})


def trial_id_of(trial: RayTrial) -> str:
    """Return our id of one of Ray's trials, or its errand's name."""
    return str(json.loads(trial.config[HANDOUT])["name"])


def slot_of(config: dict[str, Any]) -> int:
    """Return the slot in which a trial with Ray's ``config`` runs."""
    return int(json.loads(config[HANDOUT])["slot"])
