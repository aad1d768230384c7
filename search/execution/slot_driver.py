"""What phases and errands share: jobs are handed out to slots, and slots come and go."""

from __future__ import annotations

from collections.abc import Callable

from search.errors import RunFailed
from search.execution.slot_book import SlotBook


class SlotDriver:
    """Knows which jobs are in which slots, and why no more may be handed out.

    Args:
        slots: How many jobs may run now; it raises :class:`RunFailed` where the machines end the
            run.
        stop_requested: Whether somebody asked the run to stop.
        book: Of the session's slots; None: this driver's own.

    Attributes:
        cant_go_on: Why the run has to be broken off; None: it doesn't.
    """

    def __init__(
        self,
        slots: Callable[[], int],
        stop_requested: Callable[[], bool],
        book: SlotBook | None = None,
    ) -> None:
        self.cant_go_on: str | None = None
        self._slots = slots
        self._stop_requested = stop_requested
        self._book = book or SlotBook()
        self._live: dict[str, int] = {}

    @property
    def interrupted(self) -> bool:
        """Whether the run was asked to stop, or can't go on, as a look at the machines may say.

        Tune asks again and again, also while it waits for a machine and wants no trial.
        """
        if self.cant_go_on is None:
            self._room()
        return self.cant_go_on is not None or self._stop_requested()

    def _room(self) -> int:
        """Return how many jobs may run now: none where the machines end the run."""
        try:
            return self._slots()
        except RunFailed as error:
            self.cant_go_on = self.cant_go_on or str(error)
            return 0

    @property
    def _is_full(self) -> bool:
        return len(self._live) >= self._room()

    def _enter(self, name: str) -> int:
        """Return the slot that a job takes."""
        slot = self._live[name] = self._book.take()
        return slot

    def _leave(self, name: str) -> None:
        """Free a job's slot."""
        if name in self._live:
            self._book.free(self._live.pop(name))

    def _lose(self, name: str) -> None:
        """Take note that a job's process has gone; to Ray its slot is that process."""
        if name in self._live:
            self._book.lose(self._live.pop(name))

    def has_spare_slots(self) -> bool:
        """Say whether an idle process is to go: it holds room that a job waits for."""
        return self._book.has_spare(self._room())

    def let_go(self, slot: int) -> None:
        """Take note that a slot's idle process has been let go."""
        self._book.lose(slot)
