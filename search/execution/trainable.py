"""What runs in Ray's worker processes: one training session, an evaluation a step.

A trial's state is a file of its own beside the events, written by the trial at most every
``checkpoint_interval_s``. Whoever runs the trial next (the same experiment after a crash, or a
resumed run) finds it there, whatever Ray has kept.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import ray
from numpy.typing import NDArray
from ray import tune

from search.data import Dataset
from search.data.batches import Resident
from search.errors import Unwritable, one_line
from search.execution.adapters import EVENTS, HANDOUT
from search.execution.shelf import STATE
from search.execution.watchdog import HUNG, Watchdog, what_hung
from search.speed import SpeedLimit
from search.storage import Storage
from search.task import ModelModule, load_model
from search.training.job import Job, Rows, Vitals, device_for
from search.training.predictions import save_predictions
from search.training.sessions import (
    DamagedState,
    Session,
    load_state,
    open_session,
    save_state,
)
from search.training.smoke import SmokeRung, smoke
from search.training.threads import use_threads
from search.trials import Ending, Evaluation, Trial, event_to_json


@dataclass(frozen=True)
class PhaseContext:
    """What all trials of a phase share beside the data.

    Attributes:
        model_path: Import path or file of the model module.
        search_path: Folders to import it from.
        rows: Row numbers of the parts: ``train``, ``validation``, ``probe`` and, in confirm,
            ``test``; once for each division of the data.
        metric: Name of the metric.
        trial_folder: Where the trials keep their state, a folder each.
        storage: The same in an object storage, where that is what counts: what is written is sent
            there, and the folder is each machine's own; None: the folder is what counts.
        checkpoint_interval_s: Longest training time that a crash may cost.
        early_stopping: Whether trials may end early.
        num_cpus: CPUs of a trial.
        num_gpus: GPUs of a trial.
        keep_best: Write what the best checkpoint predicts, and with what, when a trial completes.
        rungs: Points at which a trial waits for a decision.
        speed_limit: Ends what is too slow to be proven, published defaults excepted.
        smoke_rung: What a configuration has to pass first, published defaults excepted.
        promote_by: What trials are ranked by: the validation ``loss`` or ``metric``.
        max_silence_s: Seconds without a report after which a trial is ended; None: by what
            reports have taken.
    """

    model_path: str
    search_path: tuple[str, ...]
    rows: list[dict[str, NDArray[np.int64]]]
    metric: str
    trial_folder: Path
    checkpoint_interval_s: float
    early_stopping: bool
    num_cpus: int
    num_gpus: float
    keep_best: bool
    rungs: tuple[int, ...]
    speed_limit: SpeedLimit | None
    smoke_rung: SmokeRung | None = None
    promote_by: Literal["loss", "metric"] = "loss"
    max_silence_s: float | None = None
    storage: Storage | None = None


SMOKED = "smoked"
"""The key in a state file: what the smoke rung has cost."""
_REPORT_SECONDS = 0.5
"""A report costs some 20 ms: evaluations that come faster than this share one, up to a rung."""
_resident: tuple[str, Resident] | None = None
_watchdogs: dict[str, Watchdog] = {}
"""Phase to who looks after its trials in this process."""
_last_end: float | None = None


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
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take up another trial in the same process."""
        self._begin(new_config)
        return True

    def _begin(self, config: dict[str, Any]) -> None:
        self._entered = time.time()
        handout = json.loads(config[HANDOUT])
        self._trial = Trial(**handout["trial"])
        self._context: PhaseContext = ray.get(self.contexts[self._trial.phase])
        self._folder = self._context.trial_folder / self._trial.trial_id
        self._watchdog = _watchdogs.setdefault(
            self._trial.phase, Watchdog(self._context.max_silence_s)
        )
        self._hung = what_hung(self._folder)
        self._reported: int = handout["reported"]
        self._session: Session | None = None
        self._smoked = Vitals()
        self._stream: Iterator[Evaluation] | None = None
        self._saved_at = 0.0
        self._state_bytes = 0
        self._start_seconds: float | None = None
        self._note = ""

    def step(self) -> dict[str, Any]:
        """Train to the next evaluation; failures of the training become its ending."""
        global _last_end
        try:
            with self._watchdog.watching(self._folder):
                result = self._step()
        except Unwritable as error:
            result = self._result([], None, stop_run=str(error))
        except Exception as error:
            if isinstance(error, RuntimeError) and "CUDA error" in str(error):
                raise  # the process is lost with its context: Ray starts a new one
            session = self._session
            new = [] if session is None else session.evaluations[self._reported :]
            result = self._result(new, self._failure(error))
        _last_end = time.time()
        return result

    def _step(self) -> dict[str, Any]:
        if self._session is None:
            ended = self._end_hung() or self._open()
            if ended is not None:
                return self._result([], ended)
        assert self._session is not None
        assert self._stream is not None
        # An earlier process may have got further than was reported.
        new = self._session.evaluations[self._reported :]
        if not new and not self._session.has_ended:
            new = list(self._train_to_report(self._stream))
        self._reported += len(new)
        ended = self._session.has_ended
        at_rung = bool(new) and new[-1].point in self._context.rungs
        self._save_when_due(ended or at_rung)
        ending = self._ending() if ended else None
        self._keep(at_rung, ending)
        return self._result(new, ending)

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
        dataset, data = self._resident_data()
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
        if storage is not None and not storage.get(f"{self._trial.trial_id}/{STATE}", path):
            path.unlink(missing_ok=True)
        try:
            return load_state(path)
        except DamagedState as damage:
            self._note = f"{damage}: what the trial had trained is lost, it begins again"
            return None

    def _resident_data(self) -> tuple[Dataset, Resident]:
        global _resident
        key = self.dataset.hex()
        dataset: Dataset = ray.get(self.dataset)
        if _resident is None or _resident[0] != key:
            device = device_for(self._context.num_gpus)
            _resident = (key, Resident(dataset, device))
        return dataset, _resident[1]

    def _save_when_due(self, now: bool) -> None:
        assert self._session is not None
        spent = _spent(self._session)
        if now or spent - self._saved_at >= self._context.checkpoint_interval_s:
            path = self._folder / STATE
            save_state(path, {**self._session.state(), SMOKED: self._smoked})
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
            for path in self._folder.iterdir():
                if path.name not in (STATE, HUNG):
                    self._send(path)
        if ending is not None and self._context.storage is not None:
            shutil.rmtree(self._folder)

    def _send(self, path: Path) -> None:
        if self._context.storage is not None:
            self._context.storage.put(path, f"{self._trial.trial_id}/{path.name}")

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

    def _result(
        self, new: list[Evaluation], ending: Ending | None, *, stop_run: str = ""
    ) -> dict[str, Any]:
        events = [event_to_json(each) for each in (*new, *((ending,) if ending else ()))]
        note, self._note = self._note, ""
        shown = asdict(new[-1]) if new else {"validation_loss": float("nan"), "samples_seen": 0}
        return {
            **{name: value for name, value in shown.items() if not isinstance(value, str)},
            "timesteps_total": shown["samples_seen"],  # TensorBoard's horizontal axis
            "done": ending is not None,
            EVENTS: json.dumps(
                {
                    "events": events,
                    "vitals": self._vitals(),
                    "note": note,
                    "stop_run": stop_run,
                    "state_bytes": self._state_bytes,
                }
            ),
        }

    def cleanup(self) -> None:
        """Let go of the session and its memory."""
        self._session = self._stream = None

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


def import_model(context: PhaseContext) -> ModelModule:
    """Load the phase's model module in this process."""
    sys.path[:0] = [folder for folder in context.search_path if folder not in sys.path]
    return load_model(context.model_path)


def make_job(trial: Trial, context: PhaseContext, dataset: Dataset) -> Job:
    """Return what a trial trains."""
    return Job(
        trial_id=trial.trial_id,
        config=trial.config,
        spec=dataset.spec,
        seed=trial.seed,
        budget_samples=trial.budget_samples,
        points=trial.points,
        metric=context.metric,
        target_sd=dataset.preparation.target_scale[1],
        early_stopping=context.early_stopping,
        speed_limit=None if trial.is_default else context.speed_limit,
        keep_best=context.keep_best,
        promote_by=context.promote_by,
    )


def _spent(session: Session) -> float:
    vitals = session.vitals()
    return vitals.train_seconds + vitals.eval_seconds
