"""What a run's logs hold: each phase's events, and the journal of decisions.

A last line cut off by a crash is dropped when read.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from search.errors import RunDirError
from search.events import PHASES, Event, Phase, event_from_json, event_to_json
from search.files import finite, whole_lines
from search.rundir.files import DONE, EVENTS, JOURNAL, RunFiles


class RunLogs(RunFiles):
    """A run's files, and its logs line by line."""

    def append_event(self, phase: Phase, event: Event, *, elapsed: float) -> None:
        """Append an event to the phase's log and hand it to the operating system."""
        self.append(f"{phase}/{EVENTS}", {**event_to_json(event), "elapsed": round(elapsed, 3)})

    def events(self, phase: Phase, *, repair: bool = False) -> list[Event]:
        """Read the phase's events; a last line that a crash cut off is left out.

        Reading changes nothing, unless ``repair`` is asked for: a run may be at work here.

        Args:
            phase: The phase.
            repair: Keep what stands before a damaged line, and move the damaged file aside.

        Raises:
            RunDirError: A line before the last is damaged.
        """
        return [event for event, _ in self._events(phase, repair)]

    def _events(self, phase: Phase, repair: bool) -> list[tuple[Event, float]]:
        path = self.path / phase / EVENTS
        if not path.exists():
            return []
        lines = path.read_bytes().split(b"\n")
        events: list[tuple[Event, float]] = []
        for number, line in enumerate(lines[:-1], start=1):
            try:
                values = json.loads(line)
                events.append((event_from_json(values), values["elapsed"]))
            except (ValueError, TypeError, KeyError) as error:
                self._damaged(path, lines, number, repair, error)
                break
        return events

    def _damaged(
        self, path: Path, lines: list[bytes], number: int, repair: bool, error: Exception
    ) -> None:
        lost = len(lines) - number
        if not repair:
            raise RunDirError(
                f"{path} is damaged at line {number}: {lost} events from there on are lost; "
                f"'sieve resume {self.place} --repair' keeps the {number - 1} before it "
                "and trains again what is missing"
            ) from error
        self.copy(f"{path.parent.name}/{path.name}", f"{path.parent.name}/{path.name}.damaged")
        self.close_logs()  # an open file would go on in the one that is replaced
        self.remove(f"{path.parent.name}/{DONE}")
        kept = b"".join(line + b"\n" for line in lines[: number - 1])
        self.write_file(f"{path.parent.name}/{EVENTS}", lambda new: new.write_bytes(kept))
        self.journal(path.parent.name, "repair", f"dropped {lost} damaged events of {path.name}")

    def phase_seconds(self, phase: Phase) -> float:
        """Return the run time from the phase's first event to its last."""
        times = [at for _, at in self._events(phase, False)]
        return times[-1] - times[0] if times else 0.0

    def elapsed(self, *, repair: bool = False) -> float:
        """Return the seconds of run time that the events and the journal account for.

        Raises:
            RunDirError: An event log is damaged, and ``repair`` isn't asked for.
        """
        times = [at for phase in PHASES for _, at in self._events(phase, repair)[-1:]]
        times += [float(entry.get("elapsed", 0.0)) for entry in self.read_journal()]
        return max(times, default=0.0)

    def journal(
        self, phase: str, event: str, message: str, *, elapsed: float = 0.0, **numbers: Any
    ) -> None:
        """Append a decision to the journal: what, why, on which numbers."""
        entry = {"time": time.time(), "phase": phase, "event": event, "message": message}
        self.append(JOURNAL, {**entry, "elapsed": round(elapsed, 3), "numbers": finite(numbers)})

    def read_journal(self) -> list[dict[str, Any]]:
        """Return the journal's entries; damaged lines are left out."""
        path = self.path / JOURNAL
        return list(whole_lines(path)) if path.exists() else []
