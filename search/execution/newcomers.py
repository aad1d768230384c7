"""Has the nodes looked at that join a cluster while a run is on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from search.findings import Finding
from search.insight.nodes import Node, check_newcomers


class Asked(Protocol):
    """Nodes that were asked what they are."""

    def answers(self) -> list[Node] | None:
        """Return what they and the driver's node say; None: it isn't there yet."""

    def close(self) -> None:
        """Leave nothing behind."""


class Newcomers:
    """Which nodes were looked at; trials are counted on no other. Nothing here waits.

    Args:
        known: Ids of the nodes that were looked at when the run began.
        ask: Asks nodes, by id.
        heed: Told what was found of nodes with which all isn't well; it raises where that ends the
            run.
    """

    def __init__(
        self,
        known: Iterable[str],
        ask: Callable[[Collection[str]], Asked],
        heed: Callable[[list[Finding]], None],
    ) -> None:
        self._known = set(known)
        self._ask = ask
        self._heed = heed
        self._strangers: set[str] = set()
        self._asked: Asked | None = None

    def admit(self, there: Collection[str]) -> set[str]:
        """Return the nodes that were looked at, and have the others looked at.

        Args:
            there: Ids of the nodes that trials have room on.
        """
        if self._asked is not None:
            self._listen(self._asked)
        elif strangers := set(there) - self._known:
            self._strangers, self._asked = strangers, self._ask(strangers)
        return set(there) & self._known

    def _listen(self, asked: Asked) -> None:
        nodes = asked.answers()
        if nodes is None:
            return
        self._asked = None
        findings = check_newcomers(nodes)
        if findings is None:
            return  # they are asked again
        self._known |= self._strangers
        if any(each.status != "PASS" for each in findings):
            self._heed(findings)

    def close(self) -> None:
        """Ask no more."""
        if self._asked is not None:
            self._asked.close()
