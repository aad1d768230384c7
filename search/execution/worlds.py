"""Worlds for the simulator that are made from an earlier run's curves, and what can go wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from search.events import TOO_SLOW, Ending, Evaluation, Trial
from search.execution.simulator import World
from search.space import Space
from search.speed import Speed
from search.strategy.encoding import Encoding
from search.strategy.ranking import name_of
from search.trials import Record


@dataclass(frozen=True)
class _Curve:
    points: NDArray[np.float64]
    losses: NDArray[np.float64]
    seconds_per_sample: float
    broke: Ending | None

    @property
    def end(self) -> float:
        """The last point that is known; 0 where none is."""
        return float(self.points[-1]) if len(self.points) else 0.0

    def at(self, point: float) -> float:
        """Return the loss at a point of the curve, between its evaluations on a straight line."""
        return float(np.interp(point, self.points, self.losses))


class RecordedWorld:
    """Answers with the curve of the most similar trial of an earlier run.

    Beyond its end a curve falls as those that were trained further did on average. Where the most
    similar trial failed, or was too slow, so does this one.

    Args:
        space: The space of the run.
        records: Its trials; those of which nothing is known yet are left out.

    Raises:
        ValueError: No trial was evaluated.
    """

    def __init__(self, space: Space, records: Sequence[Record]) -> None:
        known = [r for r in records if r.best is not None or _broke(r) is not None]
        if not space.searched or all(record.best is None for record in known):
            raise ValueError("no trial of the run was evaluated; there is nothing to simulate from")
        self._encoding = Encoding(space)
        self._inputs = self._encoding.encode([r.trial.config for r in known])
        self._curves = [_curve_of(record) for record in known]
        self._fall = cache(self._fall_between)
        self._nearest_known: dict[str, int] = {}

    def evaluate(self, trial: Trial, number: int) -> tuple[float, Evaluation | Ending]:
        """Return what the most similar trial said at the trial's ``number``-th point."""
        curve = self._curves[self._nearest(trial)]
        done, point = (0, *trial.points)[number - 1 : number + 1]
        seconds = (point - done) * curve.seconds_per_sample
        if curve.broke is not None and point > curve.end:
            return seconds, replace(curve.broke, trial_id=trial.trial_id)
        loss = curve.at(point) * self._fall(curve.end, point)
        spent = point * curve.seconds_per_sample
        measured = (loss, loss, math.nan, math.nan, math.nan, spent)
        return seconds, Evaluation(trial.trial_id, number, point, point, *measured)

    def resume_seconds(self, trial: Trial, number: int) -> float:  # noqa: ARG002
        """Nothing that the run would have measured."""
        return 0.0

    def _nearest(self, trial: Trial) -> int:
        name = name_of(trial.config)
        if name not in self._nearest_known:
            here = self._encoding.encode([trial.config])
            self._nearest_known[name] = int(((self._inputs - here) ** 2).sum(1).argmin())
        return self._nearest_known[name]

    def _fall_between(self, end: float, point: float) -> float:
        """Return the ratio of the losses at ``point`` and at ``end`` among longer curves."""
        if point <= end:
            return 1.0
        longer = [curve for curve in self._curves if curve.end > end]
        ratios = [curve.at(point) / max(curve.at(end), 1e-12) for curve in longer]
        return float(np.clip(np.median(ratios), 0.0, 1.0)) if ratios else 1.0


@dataclass(frozen=True)
class GuessedWorld:
    """Answers when nothing is known but how fast the first published default trains.

    Losses fall like a power of the training samples, each configuration's to a level of its own;
    full runs cost between half and twice the default's. What is foreseen of it are numbers of
    trials and times, not losses.

    Attributes:
        speed: Measured.
        start_seconds: Between two trials of a slot; as on one machine.
    """

    speed: Speed
    start_seconds: float = 0.05

    def evaluate(self, trial: Trial, number: int) -> tuple[float, Evaluation | Ending]:
        """Return a guess at the trial's ``number``-th point."""
        own = np.random.default_rng(trial.seed)
        level, pace = own.uniform(0.2, 1.0), 2.0 ** own.uniform(-1.0, 1.0)
        done, point = (0, *trial.points)[number - 1 : number + 1]
        loss = level + (2.0 - level) * (1.0 + 20.0 * point / trial.points[-1]) ** -0.5
        seconds = self._seconds(point - done, 1, pace)
        if number == 1:
            seconds += self.start_seconds
        measured = (loss, loss, math.nan, math.nan, math.nan, self._seconds(point, number, pace))
        return seconds, Evaluation(trial.trial_id, number, point, point, *measured)

    def _seconds(self, samples: int, evaluations: int, pace: float) -> float:
        training = samples / self.speed.samples_per_second
        return pace * (training + evaluations * self.speed.eval_seconds)

    def resume_seconds(self, trial: Trial, number: int) -> float:  # noqa: ARG002
        """Return what a start takes, too."""
        return self.start_seconds


def _curve_of(record: Record) -> _Curve:
    finite = [e for e in record.evaluations if math.isfinite(e.validation_loss)]
    points = np.array([each.point for each in finite], dtype=np.float64)
    losses = np.array([each.validation_loss for each in finite])
    samples = record.evaluations[-1].point if record.evaluations else record.samples_seen
    return _Curve(points, losses, record.seconds / max(samples, 1), _broke(record))


def _broke(record: Record) -> Ending | None:
    """Return how a trial ended by its own fault; None of any other."""
    if record.has_failed:
        return Ending("", "failed", "the most similar trial failed")
    if record.was_too_slow:
        return Ending("", "stopped", f"{TOO_SLOW}, as the most similar trial was")
    return None


@dataclass
class Faulty:
    """A world in which trials fail and some workers are slow.

    Attributes:
        world: What trainings say otherwise.
        failure_rate: Share of the trials that raise somewhere on their way.
        straggler_rate: Share of the evaluations that take ``straggler_factor`` times as long.
        straggler_factor: How slow a straggler is.
        seed: Of what goes wrong.
    """

    world: World
    failure_rate: float = 0.0
    straggler_rate: float = 0.0
    straggler_factor: float = 5.0
    seed: int = 0

    def evaluate(self, trial: Trial, number: int) -> tuple[float, Evaluation | Ending]:
        """Return what the world says, later or not at all."""
        fate = np.random.default_rng([self.seed, trial.seed])
        fails = fate.random() < self.failure_rate
        fails_at = 1 + int(fate.integers(len(trial.points)))
        seconds, event = self.world.evaluate(trial, number)
        luck = np.random.default_rng([self.seed, trial.seed, number])
        if luck.random() < self.straggler_rate:
            seconds *= self.straggler_factor
        if fails and number >= fails_at:
            return seconds, Ending(trial.trial_id, "failed", "a simulated failure")
        return seconds, event

    def resume_seconds(self, trial: Trial, number: int) -> float:
        """Return what the world says."""
        return self.world.resume_seconds(trial, number)
