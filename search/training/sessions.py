"""Opens a training session for a model, and keeps its state in a file."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import torch

from search.data.batches import Resident
from search.events import Evaluation
from search.files import write_at_once
from search.task import ModelModule
from search.training.job import Job, Outcome, Rows, Vitals
from search.training.own_loop import OwnLoopSession
from search.training.predictions import Predictions
from search.training.session import NetworkSession


class DamagedState(Exception):  # noqa: N818 - no error: the trial begins again
    """A state file can't be read; its trial has to begin again."""


class Session(Protocol):
    """A training that can be interrupted at each evaluation."""

    evaluations: list[Evaluation]

    def run(self) -> Iterator[Evaluation]:
        """Train on, yielding evaluations."""

    def state(self) -> dict[str, Any]:
        """Return all that a later session needs."""

    @property
    def has_ended(self) -> bool:
        """Whether :meth:`run` has nothing more to yield."""

    def outcome(self) -> Outcome:
        """Return how it came out."""

    def vitals(self) -> Vitals:
        """Return what it has cost so far."""

    def predictions(self) -> dict[str, Predictions]:
        """Return what the model says of the rows that it isn't trained on, by part."""

    def save_model(self, folder: Path) -> None:
        """After :meth:`outcome`, write what predicts as the best evaluation did.

        Nothing is written where the model has no means for it. See
        :func:`search.training.predictor.kept_file`.
        """


def open_session(
    job: Job, model: ModelModule, data: Resident, rows: Rows, state: Any = None
) -> Session:
    """Return a session of the bundled loop, or of the module's own.

    Args:
        job: What to train.
        model: The model module; ``train`` goes before ``build``.
        data: Resident tensors.
        rows: Which of its rows play which part.
        state: An earlier session's state, to go on from it.
    """
    kind = OwnLoopSession if model.train is not None else NetworkSession
    return kind(job, model, data, rows, state)


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a session's state; a crash leaves the old file or the new one, never half of one."""
    write_at_once(path, lambda temporary: torch.save(state, temporary))


def load_state(path: Path) -> dict[str, Any] | None:
    """Read a session's state; None where there is none.

    The file is the run's own: it may hold any picklable object of a loop of one's own.

    Raises:
        DamagedState: The file can't be read.
    """
    if not path.is_file():
        return None
    if not _is_intact(path):
        raise DamagedState(f"{path} is damaged")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=False)
    except (RuntimeError, ValueError, EOFError, OSError, pickle.UnpicklingError) as error:
        raise DamagedState(f"{path} is damaged") from error
    return state


def _is_intact(path: Path) -> bool:
    """Say whether a file's checksums are right; torch writes them and doesn't look at them."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except Exception:  # which one depends on the byte that is wrong
        return False
