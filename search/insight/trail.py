"""What happened to a trial, step by step: the events in order, with the journal's numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from search.events import Ending, Evaluation, Event, Pause, Promotion, Trial

Kind = Literal["kept", "paused", "passed", "called", "looked at", "completed", "stopped", "failed"]
"""``kept``: it went on from a rung at once. ``passed``: it wasn't judged at a rung. ``called``: it
went on after a pause. ``looked at``: so, too, but drawn by lot."""

_AT_A_RUNG = ("promote", "pause")
_AMONG_EVENTS = (*_AT_A_RUNG, "stop")
"""What stands in the journal and among the events, too: no note is needed."""


@dataclass(frozen=True)
class Step:
    """Something that was decided on a trial.

    Attributes:
        kind: What.
        samples: Training samples at which; planned ones.
        reason: In words, as the journal has it; empty where nothing was said.
        rung: The rung's number in the run, from 0; None away from rungs.
        loss: What it was judged by: its lowest validation loss so far; None likewise.
        rank: Its place by then, from 1; None likewise.
        of: Trials that had come to the rung by then, itself included; None likewise.
        limit: The highest loss that went on by then; None where none did, or it isn't known.
        goes_to: Samples at which a called trial is judged next; None for other steps.
    """

    kind: Kind
    samples: int
    reason: str = ""
    rung: int | None = None
    loss: float | None = None
    rank: int | None = None
    of: int | None = None
    limit: float | None = None
    goes_to: int | None = None


@dataclass(frozen=True)
class Judgement:
    """A journal entry on a trial at a rung: ``pause``, or ``promote`` where it went on."""

    event: str
    reason: str
    numbers: Mapping[str, Any]


class Judgements:
    """What a phase's journal says of trials at rungs, and otherwise.

    Args:
        journal: The run's journal; other phases' entries are passed over.
        phase: The phase.
    """

    def __init__(self, journal: Iterable[Mapping[str, Any]], phase: str) -> None:
        self._judged: dict[tuple[str, int], Judgement] = {}
        self._notes: dict[str, list[str]] = {}
        for entry in journal:
            trial_id, colon, said = str(entry.get("message", "")).partition(": ")
            if entry.get("phase") == phase and colon:
                self._take(trial_id, said, entry)
        self.rungs = {samples for _, samples in self._judged}
        """Where trials of the phase were judged, in training samples."""

    def _take(self, trial_id: str, said: str, entry: Mapping[str, Any]) -> None:
        event, numbers = str(entry.get("event", "")), entry.get("numbers") or {}
        if event in _AT_A_RUNG and "rank" in numbers:
            self._judged[trial_id, int(numbers["samples"])] = Judgement(event, said, numbers)
        elif event not in _AMONG_EVENTS:
            self._notes.setdefault(trial_id, []).append(said)

    def of(self, trial_id: str, samples: int) -> Judgement | None:
        """Return what was said of a trial at a rung; None where it wasn't judged there."""
        return self._judged.get((trial_id, samples))

    def notes(self, trial_id: str) -> tuple[str, ...]:
        """Return what else the journal says of a trial, in order."""
        return tuple(self._notes.get(trial_id, ()))


def trail(trial: Trial, events: Iterable[Event], judgements: Judgements) -> tuple[Step, ...]:
    """Return what was decided on a trial, in order.

    Args:
        trial: The trial.
        events: Its phase's.
        judgements: Likewise.
    """
    steps: list[Step] = []
    reached = 0
    for event in events:
        if getattr(event, "trial_id", None) != trial.trial_id:
            continue
        if isinstance(event, Evaluation):
            reached = max(reached, event.point)
            is_rung = event.point in judgements.rungs and event.point < trial.budget_samples
            steps += [_at_rung(event, judgements)] if is_rung else []
        elif not (isinstance(event, Pause) and _is_known(steps, reached)):
            steps += _moved(event, reached)
    return tuple(steps)


def _at_rung(evaluation: Evaluation, judgements: Judgements) -> Step:
    point = evaluation.point
    said = judgements.of(evaluation.trial_id, point)
    if said is None:
        return Step("passed", point)
    numbers = {name: said.numbers.get(name) for name in ("rung", "loss", "rank", "of", "limit")}
    return Step("paused" if said.event == "pause" else "kept", point, said.reason, **numbers)


def _is_known(steps: Sequence[Step], reached: int) -> bool:
    return bool(steps) and (steps[-1].kind, steps[-1].samples) == ("paused", reached)


def _moved(event: Event, reached: int) -> list[Step]:
    match event:
        case Pause():
            return [Step("paused", reached, event.reason)]
        case Promotion():
            kind: Kind = "looked at" if event.is_look else "called"
            return [Step(kind, reached, event.reason, goes_to=event.rung)]
        case Ending():
            return [Step(event.status, reached, event.reason)]
    return []
