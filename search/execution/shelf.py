"""The trials' states on disk, while they run and while they wait, within a budget."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from search.errors import StudyError
from search.execution.watchdog import HUNG
from search.storage import Storage
from search.trials import Record

STATE = "state.pt"
"""The file, in its trial's folder."""
COPIES, _FLOAT_BYTES = 4, 4
"""Of a network's parameters: its own, the best ones', and two of an optimizer like Adam."""


class Shelf:
    """A phase's states.

    Args:
        folder: Of the phase's trials, a folder each, or the same in an object storage; None: there
            are no files.
        max_bytes: All states together may take so much; None: whatever they need.
        later: Carries out what may be done when the events so far are safe in the storage.
    """

    def __init__(
        self,
        folder: Path | Storage | None,
        max_bytes: int | None = None,
        later: Callable[[Callable[[], None]], None] = lambda do: do(),
    ) -> None:
        self._folder = folder
        self._later = later
        self._max_bytes = math.inf if max_bytes is None else max_bytes
        self._held = _sizes(folder)
        self._num_bytes = sum(self._held.values())

    def hold(self, trial_id: str, num_bytes: int) -> None:
        """Take note of what a trial's state takes; 0 where it has saved none since it was called.

        Args:
            trial_id: The trial.
            num_bytes: Size of its file.
        """
        if num_bytes:
            self._num_bytes += num_bytes - self._held.get(trial_id, 0)
            self._held[trial_id] = num_bytes

    def clear(self, trial_id: str) -> None:
        """Delete a trial's state, if there is one."""
        held = self._held.pop(trial_id, 0)
        self._num_bytes -= held
        if isinstance(self._folder, Storage):
            if held:
                self._later(partial(self._folder.delete, f"{trial_id}/{STATE}"))
        elif self._folder is not None:
            for name in (STATE, HUNG):
                (self._folder / trial_id / name).unlink(missing_ok=True)

    @property
    def is_too_full(self) -> bool:
        """Whether the states take more than the budget."""
        return self._num_bytes > self._max_bytes

    def make_room(self, paused: Iterable[Record]) -> list[str]:
        """Delete states of waiting trials, the worst first, until all keep to the budget.

        Args:
            paused: The trials that wait.

        Returns:
            Whose states are gone. What runs keeps its own, even where that alone is too much.
        """
        gone: list[str] = []
        waiting = [record for record in paused if record.trial.trial_id in self._held]
        for record in sorted(waiting, key=_worst_first):
            if not self.is_too_full:
                break
            gone.append(record.trial.trial_id)
            self.clear(record.trial.trial_id)
        return gone

    def describe(self) -> str:
        """Return the budget in words."""
        return f"all together may take {self._max_bytes / 2**20:,.0f} MiB"


def _sizes(folder: Path | Storage | None) -> dict[str, int]:
    """Return trials to what their states take."""
    if folder is None:
        return {}
    if isinstance(folder, Storage):
        sizes = folder.files()
        return {n.partition("/")[0]: sizes[n] for n in sizes if n.endswith(f"/{STATE}")}
    return {path.parent.name: path.stat().st_size for path in folder.glob(f"*/{STATE}")}


def check_room(max_bytes: int | None, num_parameters: int, slots: int) -> str:
    """Return how many states a budget has room for; empty where that isn't limited, or not known.

    Args:
        max_bytes: The budget.
        num_parameters: Of the default; 0 where it isn't known.
        slots: Trials at a time.

    Raises:
        StudyError: Not even the running trials' states fit.
    """
    if max_bytes is None or not num_parameters:
        return ""
    state = COPIES * _FLOAT_BYTES * num_parameters
    fit = max_bytes // state
    if fit < slots:
        raise StudyError(
            f"study key 'training.max_checkpoint_bytes' = {max_bytes}: the default's state takes "
            f"about {state:,} bytes and {slots} trials run at a time; give at least "
            f"{slots * state:,}, or lower resources.max_concurrent"
        )
    return (
        f"states: the default's takes about {state / 2**20:.2g} MiB; beside {slots} that run, "
        f"{fit - slots:,} may wait at rungs, and the worst of more begin again when they are called"
    )


def _worst_first(record: Record) -> tuple[int, float]:
    reached = record.evaluations[-1].point if record.evaluations else 0
    return (reached, -record.value)
