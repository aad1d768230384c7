"""Which slots are taken, and whose processes wait for the next trial."""

from __future__ import annotations


class SlotBook:
    """The slots of a session, which last from phase to phase.

    A slot's process is kept, so that the next trial goes where one waits; a slot whose process has
    gone isn't used again.
    """

    def __init__(self) -> None:
        self._taken: set[int] = set()
        self._idle: list[int] = []
        self._next = 0

    @property
    def has_idle(self) -> bool:
        """Whether a slot's process waits for a trial."""
        return bool(self._idle)

    def take(self) -> int:
        """Return a slot for a trial: the one that was freed last, or a new one."""
        if self._idle:
            slot = self._idle.pop()
        else:
            slot, self._next = self._next, self._next + 1
        self._taken.add(slot)
        return slot

    def free(self, slot: int) -> None:
        """Take note that a slot's trial has ended; its process waits."""
        self._taken.discard(slot)
        self._idle.append(slot)

    def lose(self, slot: int) -> None:
        """Take note that a slot's process has gone, in the midst of a trial or while it waited."""
        self._taken.discard(slot)
        if slot in self._idle:
            self._idle.remove(slot)

    def has_spare(self, room: int) -> bool:
        """Say whether a process waits in room that a trial waits for.

        Args:
            room: Slots that there is room for now.
        """
        return bool(self._idle) and len(self._taken) + len(self._idle) > room
