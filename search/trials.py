"""What is known of trials: the records that a phase's events add up to."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from search.events import (
    Asked,
    Ending,
    Evaluation,
    Event,
    Growth,
    Pause,
    Promotion,
    Proposals,
    Trial,
)

_NOT_CALLED = "; not called again"


@dataclass
class Record:
    """A trial with everything that came in from it."""

    trial: Trial
    evaluations: list[Evaluation] = field(default_factory=list)
    pause: Pause | None = None
    ending: Ending | None = None
    _valued: tuple[int, float] = field(default=(0, math.inf), init=False, repr=False, compare=False)

    @property
    def best(self) -> Evaluation | None:
        """The evaluation with the lowest finite validation loss."""
        return min(self._finite, key=lambda each: each.validation_loss, default=None)

    @property
    def _finite(self) -> list[Evaluation]:
        return [each for each in self.evaluations if math.isfinite(each.validation_loss)]

    @property
    def has_failed(self) -> bool:
        """Whether it has ended as failed."""
        return self.ending is not None and self.ending.status == "failed"

    @property
    def loss(self) -> float:
        """The best validation loss; infinity for a failed trial or one without any."""
        return math.inf if self.has_failed or self.best is None else self.best.validation_loss

    @property
    def value(self) -> float:
        """The best value, by which trials are ranked; infinity as for :attr:`loss`."""
        # Asked of all trials again and again: only evaluations that are new are looked at.
        seen, best = self._valued
        for each in self.evaluations[seen:]:
            if math.isfinite(each.validation_loss):
                best = min(best, each.value)
        self._valued = len(self.evaluations), best
        return math.inf if self.has_failed else best

    @property
    def standing(self) -> str:
        """The best value in words."""
        best = min(self._finite, key=lambda each: each.value, default=None)
        if best is None:
            return "no finite validation loss"
        if best.objective is None:
            return f"validation loss {best.validation_loss:.4g}"
        return f"validation metric {best.validation_metric:.4g}"

    @property
    def samples_seen(self) -> int:
        """Training samples seen so far."""
        evaluated = self.evaluations[-1].samples_seen if self.evaluations else 0
        return max(evaluated, self.ending.samples_seen if self.ending is not None else 0)

    @property
    def seconds(self) -> float:
        """Seconds of training and evaluation."""
        if self.ending is not None and self.ending.train_seconds > 0:
            return self.ending.train_seconds + self.ending.eval_seconds
        return self.evaluations[-1].seconds if self.evaluations else 0.0

    @property
    def seconds_per_sample(self) -> float:
        """Of a training to the end of its budget, evaluations included; NaN where it isn't known.

        The first rung is evaluated more often than the rest; what an evaluation costs is counted
        as often as they come in the whole.
        """
        last, ending = self.evaluations[-1] if self.evaluations else None, self.ending
        if last is not None and not last.seconds > 0:
            return math.nan
        if ending is not None and ending.samples_seen > (last.samples_seen if last else 0):
            training = ending.train_seconds / ending.samples_seen
        elif last is not None:
            training = (last.seconds - last.eval_seconds) / last.point
        else:
            return math.nan
        density = len(self.trial.points) / self.trial.budget_samples
        return training + (last.eval_seconds / last.evaluation * density if last else 0.0)

    def not_called_again(self) -> Ending:
        """Return the ending of a trial that still waits at a rung when its phase ends."""
        assert self.pause is not None
        reason = f"{self.pause.reason}{_NOT_CALLED}"
        return Ending(self.trial.trial_id, "stopped", reason, **self.pause.vitals)

    @property
    def was_not_called(self) -> bool:
        """Whether it waited at a rung when its phase ended."""
        return self.ending is not None and self.ending.reason.endswith(_NOT_CALLED)

    @property
    def was_too_slow(self) -> bool:
        """Whether it was stopped since a full run couldn't be proven in time."""
        return self.ending is not None and self.ending.is_too_slow

    def value_at(self, point: int) -> float | None:
        """The best value up to ``point``; None where it wasn't reached.

        A failed trial is the worst everywhere. A trial that completed before its budget would
        not have changed any more: its best counts for every later point of its budget, but
        says nothing of points beyond.
        """
        if self.has_failed:
            return math.inf
        completed = self.ending is not None and self.ending.status == "completed"
        settled = completed and point <= self.trial.budget_samples
        if not settled and not any(each.point >= point for each in self.evaluations):
            return None
        return min((e.value for e in self._finite if e.point <= point), default=math.inf)


class History:
    """The records of a phase in the order in which their trials were started."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._records: dict[str, Record] = {}
        for event in events:
            self.apply(event)

    def apply(self, event: Event) -> bool:
        """Take in an event; return False, and leave everything as it is, if it is no news.

        A trial that is resumed from a checkpoint may deliver an evaluation twice, and one that
        was given up may still send something: the first delivery and the first ending count.
        """
        if isinstance(event, Asked | Proposals | Growth):
            return True
        if isinstance(event, Trial):
            is_new = event.trial_id not in self._records
            self._records.setdefault(event.trial_id, Record(event))
            return is_new
        record = self._records[event.trial_id]
        if record.ending is not None:
            return False
        match event:
            case Ending():
                record.ending, record.pause = event, None
            case Pause():
                record.pause = event
            case Promotion():
                record.pause = None
            case Evaluation():
                if event.evaluation <= len(record.evaluations):
                    return False
                record.evaluations.append(event)
        return True

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records.values())

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, trial_id: str) -> Record:
        return self._records[trial_id]

    def __contains__(self, trial_id: object) -> bool:
        return trial_id in self._records

    @property
    def running(self) -> list[Record]:
        """The records that have neither ended nor wait at a rung."""
        return [r for r in self if r.ending is None and r.pause is None]

    @property
    def paused(self) -> list[Record]:
        """The records that wait at a rung."""
        return [record for record in self if record.pause is not None]

    @property
    def ended(self) -> list[Record]:
        """The records with an ending."""
        return [record for record in self if record.ending is not None]

    @property
    def samples_seen(self) -> int:
        """Training samples of all trials together."""
        return sum(record.samples_seen for record in self)


def rank_records(records: Iterable[Record], rungs: tuple[int, ...]) -> list[Record]:
    """Order records from best to worst: the higher rung first, then the better value at it.

    Failed trials, those that were too slow and those that reached no rung are left out.
    """

    def key(record: Record) -> tuple[int, float]:
        level = highest_rung(record, rungs)
        value = record.value_at(rungs[level]) if level >= 0 else None
        return (-level, math.inf if value is None else value)

    usable = (r for r in records if math.isfinite(r.value) and not r.was_too_slow)
    return sorted((r for r in usable if highest_rung(r, rungs) >= 0), key=key)


def rank_by_value(records: Iterable[Record]) -> list[Record]:
    """Order records of any length by the best value so far, best first.

    More training only lowers it: whoever is ahead after less is ahead. Failed trials, those that
    were too slow and those without an evaluation are left out.
    """
    valued = [(r.value, r) for r in records if r.evaluations and not r.was_too_slow]
    usable = [pair for pair in valued if math.isfinite(pair[0])]
    return [record for _, record in sorted(usable, key=lambda pair: pair[0])]


def highest_rung(record: Record, rungs: tuple[int, ...]) -> int:
    """Return the index of the highest rung that the record has a value at; -1 for none."""
    reached = [level for level, rung in enumerate(rungs) if record.value_at(rung) is not None]
    return max(reached, default=-1)
