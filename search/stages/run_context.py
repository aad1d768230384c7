"""What every stage of a run shares: the study, where it is written, the time, who is told."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from search.errors import RunFailed
from search.execution.chronicle import Observer
from search.execution.clock import RunClock
from search.execution.signals import StopRequest
from search.findings import Finding, failures
from search.insight.findings import describe, explain_failures
from search.rundir import RunDir
from search.strategy.change import Change
from search.strategy.narrow import summarise
from search.study import Study


class Display(Observer, Protocol):
    """Who is told of the run's course.

    Attributes:
        metric: Set when the data have told the task.
        mode: Likewise.
    """

    metric: str
    mode: Literal["max", "min"]

    def phase_started(
        self, phase: str, *, at: float, ends_by: float | None, num_trials: int | None
    ) -> None:
        """A phase began."""

    def phase_ended(self, phase: str, at: float) -> None:
        """A phase ended."""


@dataclass(frozen=True, eq=False)
class RunContext:
    """A run while it is on.

    Attributes:
        study: What to do.
        dir: Where everything is written.
        display: Who is told.
        clock: The run's time, over all sessions.
        repair: Accept a damaged event log, keeping what stands before the damage.
        search_path: Folders from which workers import the model module.
        stop: Whether the run was asked to stop.
    """

    study: Study
    dir: RunDir
    display: Display
    clock: RunClock
    repair: bool = False
    search_path: tuple[str, ...] = ()
    stop: StopRequest = field(default_factory=StopRequest)

    def say(
        self, phase: str, event: str, message: str, *, quiet: bool = False, **numbers: Any
    ) -> None:
        """Write into the journal what was decided, and tell it.

        Args:
            phase: Or stage.
            event: What kind of decision it is.
            message: A sentence.
            quiet: Write it only.
            numbers: That it rests on.
        """
        self.dir.journal(phase, event, message, elapsed=self.clock.elapsed(), **numbers)
        if not quiet:
            self.display.message(message, phase, time.time())

    def say_changes(self, changes: Sequence[Change]) -> None:
        """Tell how the space has changed: each change in the journal, all in one line."""
        for change in changes:
            self.say("narrow", change.change, f"{change.dimension}: {change.why}", quiet=True)
        if changes:
            self.say("narrow", "narrowed", summarise(changes))

    def heed(self, stage: str, findings: Iterable[Finding], file: str) -> None:
        """Tell what a stage has found.

        Args:
            stage: Which has looked.
            findings: What it has found.
            file: Where they stand.

        Raises:
            RunFailed: One is a failure that the study doesn't accept by name.
        """
        found, accepted = list(findings), self.study.checks.accept
        for finding in found:
            if finding.status != "PASS":
                message = f"{finding.check}: {finding.message}"
                self.say(stage, finding.status.lower(), message, quiet=True)
        self.say(stage, stage, f"{stage}: {describe(found, accepted)}")
        if failed := failures(found, accepted):
            raise RunFailed(explain_failures(failed, stage, self.dir.below(file)))
