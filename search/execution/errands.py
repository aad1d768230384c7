"""What slots' processes do before there are trials: they look at the model, and at its speed.

The same processes train then: to start one takes longer than what most errands take.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from search import errors
from search.data import Dataset
from search.data.batches import Resident
from search.errors import ModelError, SieveError, one_line
from search.execution.slot_book import SlotBook
from search.execution.slot_driver import SlotDriver
from search.strategy.asha import Decision

MAX_LOSSES = 3
"""So often the process of an errand may die before that ends the run."""


class Errand(Protocol):
    """What is done in a process."""

    def do(self, dataset: Dataset, data: Callable[[], Resident]) -> Any:
        """Return what was found, as what JSON knows.

        Args:
            dataset: The data set.
            data: Returns it as the process holds it, where it trains.
        """


@dataclass(frozen=True)
class Errands:
    """Errands by name, and about what they are.

    Attributes:
        by_name: The errands.
        model_path: The model, whose fault it is that something else than :class:`SieveError` is
            raised.
        num_gpus: Of a trial.
    """

    by_name: Mapping[str, Errand]
    model_path: str
    num_gpus: float

    def do(self, name: str, dataset: Dataset, data: Callable[[], Resident]) -> str:
        """Do an errand in this process; return what :meth:`ErrandDriver.report` takes."""
        try:
            return json.dumps({"found": self.by_name[name].do(dataset, data)})
        except SieveError as error:
            return json.dumps({"error": [type(error).__name__, str(error)]})
        except Exception as error:
            text = f"model {self.model_path}: {one_line(error)}"
            return json.dumps({"error": [ModelError.__name__, text]})


@dataclass(frozen=True)
class ErrandHandout:
    """An errand to do.

    Attributes:
        errand: Its name.
        slot: Where, from 0.
        config: Nothing, as it is no trial.
    """

    errand: str
    slot: int
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The errand's."""
        return self.errand


class ErrandDriver(SlotDriver):
    """Hands errands out, each once; who has lost its process gets it anew.

    Args:
        names: Of the errands.
        slots: How many may run now.
        stop_requested: Whether somebody asked the run to stop.
        book: Of the session's slots.
    """

    def __init__(
        self,
        names: Iterable[str],
        *,
        slots: Callable[[], int],
        stop_requested: Callable[[], bool],
        book: SlotBook,
    ) -> None:
        super().__init__(slots, stop_requested, book)
        self._left = list(names)
        self._num_lost = 0
        self._found: dict[str, dict[str, Any]] = {}

    @property
    def done(self) -> bool:
        """Whether nothing is left to start, and nothing runs."""
        return (self.interrupted or not self._left) and not self._live

    def next_trial(self) -> ErrandHandout | None:
        """Return an errand to do now; None while no slot is free, or when none is left."""
        if not self._left or self._is_full or self.interrupted:
            return None
        name = self._left.pop(0)
        return ErrandHandout(name, self._enter(name))

    def report(self, name: str, message: str) -> Decision:
        """Take in what was found."""
        self._found[name] = json.loads(message)
        self._leave(name)
        return Decision("stop", "the errand is done")

    def lost(self, name: str, reason: str) -> None:
        """Hand an errand out again whose process died, but not forever."""
        self._lose(name)
        self._num_lost += 1
        if self._num_lost < MAX_LOSSES:
            self._left.append(name)
        else:
            self.cant_go_on = f"the process that looked at the model died: {reason}"

    def found(self, name: str) -> Any:
        """Return what an errand has found.

        Raises:
            SieveError: It has come upon it.
        """
        message = self._found[name]
        if "error" in message:
            kind, text = message["error"]
            raise getattr(errors, kind)(text)
        return message["found"]
