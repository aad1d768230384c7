"""Trains trials in a process, one after the other, an evaluation a step.

A trial's state is a file of its own beside the events, written by the trial at most every
``checkpoint_interval_s``. Whoever runs the trial next (the same experiment after a crash, or a
resumed run) finds it there, whatever Ray has kept.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ray

from search.data import Dataset
from search.data.batches import Resident
from search.errors import Unwritable, one_line
from search.events import Ending, Evaluation, Trial, event_to_json
from search.execution.context import PhaseContext, import_model, make_job
from search.execution.shelf import STATE
from search.execution.watchdog import HUNG, Watchdog, send_hung, what_hung
from search.training.job import Rows, Vitals, device_for
from search.training.predictions import save_predictions
from search.training.sessions import (
    DamagedState,
    Session,
    load_state,
    open_session,
    save_state,
)
from search.training.smoke import smoke
from search.training.threads import use_threads

SMOKED, TRIAL = "smoked", "trial"
"""Keys in a state file: what the smoke rung has cost, and whose state it is."""
_REPORT_SECONDS = 0.5
"""Evaluations that come faster share a report, up to a rung: the driver takes one at a time."""
_resident: tuple[str, Resident] | None = None
_watchdogs: dict[str, Watchdog] = {}
"""Phase to who looks after its trials in this process."""
_last_end: float | None = None


@dataclass(frozen=True)
class Report:
    """What a step has to say.

    Attributes:
        shown: The last evaluation of it; None where there is none.
        is_last: The trial has ended.
        has_failed: It has ended as failed, or can't go on.
        message: For :meth:`search.execution.driver.PhaseDriver.report`, as JSON.
    """

    shown: Evaluation | None
    is_last: bool
    has_failed: bool
    message: str


class TrialProcess:
    """Trains trials, one after the other.

    Args:
        dataset: Reference to the data set in the object store.
        speaks: Write the trial's files; of several that share a training only one does.
    """

    def __init__(self, dataset: Any, *, speaks: bool = True) -> None:
        self._dataset = dataset
        self._speaks = speaks
        self._session: Session | None = None

    def begin(self, handout: dict[str, Any], context: PhaseContext) -> None:
        """Take up a trial.

        Args:
            handout: What a :class:`~search.execution.driver.Handout` is as JSON.
            context: Of the trial's phase.
        """
        self._entered = time.time()
        self._trial = Trial(**handout["trial"])
        self._context = context
        self._folder = self._context.trial_folder / self._trial.trial_id
        self._watchdog = _watchdogs.setdefault(self._trial.phase, _watchdog(self._context))
        self._hung = self._what_hung()
        self._reported: int = handout["reported"]
        self._session = None
        self._smoked = Vitals()
        self._stream: Iterator[Evaluation] | None = None
        self._saved_at = 0.0
        self._state_bytes = 0
        self._start_seconds: float | None = None
        self._note = ""

    def _what_hung(self) -> tuple[str, str] | None:
        storage = self._context.storage
        if storage is not None and self._speaks:
            with contextlib.suppress(Unwritable):  # the first step will say so, where that lasts
                send_hung(self._context.trial_folder, storage)
                storage.get(f"{self._trial.trial_id}/{HUNG}", self._folder / HUNG)
        return what_hung(self._folder)

    def step(self) -> Report:
        """Train to the next evaluation; failures of the training become its ending."""
        global _last_end
        if not self._speaks:
            return self._step()
        try:
            with self._watchdog.watching(self._folder):
                result = self._step()
        except Unwritable as error:
            result = self._report([], None, stop_run=str(error))
        except Exception as error:
            if isinstance(error, RuntimeError) and "CUDA error" in str(error):
                raise  # the process is lost with its context: Ray starts a new one
            session = self._session
            new = [] if session is None else session.evaluations[self._reported :]
            result = self._report(new, self._failure(error))
        _last_end = time.time()
        return result

    def _step(self) -> Report:
        if self._session is None:
            over = self._end_hung() or self._open()
            if over is not None:
                return self._report([], over)
        assert self._session is not None
        assert self._stream is not None
        # An earlier process may have got further than was reported.
        new = self._session.evaluations[self._reported :]
        if not new and not self._session.has_ended:
            new = list(self._train_to_report(self._stream))
        self._reported += len(new)
        ended = self._session.has_ended
        at_rung = bool(new) and new[-1].point in self._context.rungs
        if not self._speaks:
            return Report(None, ended, False, "")
        self._save_when_due(ended or at_rung)
        ending = self._ending() if ended else None
        self._keep(at_rung, ending)
        return self._report(new, ending)

    def _train_to_report(self, stream: Iterator[Evaluation]) -> Iterator[Evaluation]:
        until = time.monotonic() + _REPORT_SECONDS
        for evaluation in stream:
            yield evaluation
            if evaluation.point in self._context.rungs or time.monotonic() >= until:
                return

    def _end_hung(self) -> Ending | None:
        """Return the ending of a trial that hung in an earlier process; it would hang again."""
        if self._hung is None:
            return None
        reason, stacks = self._hung
        return Ending(self._trial.trial_id, "failed", reason, error=stacks, **self._vitals())

    def _open(self) -> Ending | None:
        """Open the trial's session; return how it ended where it doesn't pass the smoke rung."""
        context, trial = self._context, self._trial
        use_threads(context.num_cpus)
        dataset, data = resident_data(self._dataset, context.num_gpus)
        job, model = make_job(trial, context, dataset), import_model(context)
        rows = Rows.of(context.rows[trial.division])
        state = self._load_state()
        if state is not None:
            self._smoked = state.get(SMOKED, Vitals())
        elif context.smoke_rung is not None and not trial.is_default:
            smoked = smoke(job, model, data, context.smoke_rung)
            self._smoked = smoked.vitals
            if smoked.why_failed is not None:
                return Ending(trial.trial_id, "failed", smoked.why_failed, **self._vitals())
        self._session = open_session(job, model, data, rows, state)
        # It begins again where its state is gone: what was reported comes once more.
        self._reported = min(self._reported, len(self._session.evaluations))
        self._stream = self._session.run()
        self._saved_at = _spent(self._session)
        if _last_end is not None and state is None:
            spent = self._vitals()
            trained = spent["train_seconds"] + spent["eval_seconds"]
            self._start_seconds = time.time() - _last_end - trained
        return None

    def _load_state(self) -> dict[str, Any] | None:
        storage, path = self._context.storage, self._folder / STATE
        if storage is not None:
            path = self._folder / f"{os.getpid()}.{STATE}"  # several processes may share a training
            storage.get(f"{self._trial.trial_id}/{STATE}", path)
        state, self._note = read_state(path, self._trial)
        if storage is not None:
            path.unlink(missing_ok=True)
        return state

    def _save_when_due(self, now: bool) -> None:
        assert self._session is not None
        spent = _spent(self._session)
        if now or spent - self._saved_at >= self._context.checkpoint_interval_s:
            path = self._folder / STATE
            kept = {SMOKED: self._smoked, TRIAL: asdict(self._trial)}
            save_state(path, {**self._session.state(), **kept})
            self._state_bytes = path.stat().st_size
            self._send(path)
            self._saved_at = spent

    def _ending(self) -> Ending:
        assert self._session is not None
        outcome = self._session.outcome()
        loss, metric = outcome.test or (None, None)
        return Ending(
            trial_id=self._trial.trial_id,
            status=outcome.status,
            reason=outcome.reason,
            test_loss=loss,
            test_metric=metric,
            **self._vitals(),
        )

    def _keep(self, at_rung: bool, ending: Ending | None) -> None:
        """Keep a proof's run and what it says at its end; what a default says at each rung, too."""
        assert self._session is not None
        completed = ending is not None and ending.status == "completed"
        is_best = completed and self._context.keep_best
        waits = at_rung and ending is None
        if is_best:
            self._session.save_model(self._folder)
        if is_best or (self._trial.is_default and (completed or waits)):
            save_predictions(self._folder, self._session.predictions())
            for path in [*self._folder.iterdir()]:
                if path.name not in (STATE, HUNG):
                    self._send(path)
        if ending is not None and self._context.storage is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _send(self, path: Path) -> None:
        """Send a file where the run is in a storage; nothing is left here then."""
        if self._context.storage is not None:
            self._context.storage.put(path, f"{self._trial.trial_id}/{path.name}")
            path.unlink()

    def _failure(self, error: Exception) -> Ending:
        return Ending(
            trial_id=self._trial.trial_id,
            status="failed",
            reason=one_line(error),
            error=traceback.format_exc(),
            **self._vitals(),
        )

    def _vitals(self) -> dict[str, Any]:
        vitals = Vitals() if self._session is None else self._session.vitals()
        now = time.time()
        clock = {"started_at": self._entered, "ended_at": now, "start_seconds": self._start_seconds}
        return {**asdict(vitals.after(self._smoked)), **clock}

    def _report(
        self, new: list[Evaluation], ending: Ending | None, *, stop_run: str = ""
    ) -> Report:
        events = [event_to_json(each) for each in (*new, *((ending,) if ending else ()))]
        note, self._note = self._note, ""
        message = {
            "events": events,
            "vitals": self._vitals(),
            "note": note,
            "stop_run": stop_run,
            "state_bytes": self._state_bytes,
        }
        has_failed = bool(stop_run) or (ending is not None and ending.status == "failed")
        shown = new[-1] if new else None
        return Report(shown, ending is not None, has_failed, json.dumps(message))

    def close(self) -> None:
        """Let go of the session and its memory."""
        self._session = self._stream = None


def resident_data(reference: Any, num_gpus: float) -> tuple[Dataset, Resident]:
    """Return the data set, and as this process holds it, where it trains.

    Args:
        reference: To the data set in the object store.
        num_gpus: Of a trial.
    """
    global _resident
    dataset: Dataset = ray.get(reference)
    if _resident is None or _resident[0] != reference.hex():
        _resident = (reference.hex(), Resident(dataset, device_for(num_gpus)))
    return dataset, _resident[1]


def read_state(path: Path, trial: Trial) -> tuple[dict[str, Any] | None, str]:
    """Return the state that a trial has left; None where there is none, and why it can't be used.

    Args:
        path: Where it would be.
        trial: The trial: after a repair of the events another one may have had its name.
    """
    try:
        state = load_state(path)
    except DamagedState as damage:
        return None, f"{damage}: what the trial had trained is lost, it begins again"
    if state is not None and state.get(TRIAL) != asdict(trial):
        return None, f"{path.name} is of another trial of this name: this one begins anew"
    return state, ""


def _watchdog(context: PhaseContext) -> Watchdog:
    limit = context.speed_limit
    return Watchdog(context.max_silence_s, math.inf if limit is None else limit.max_run_seconds)


def _spent(session: Session) -> float:
    vitals = session.vitals()
    return vitals.train_seconds + vitals.eval_seconds
