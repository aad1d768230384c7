"""What there is to say of one trial, as plain data."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from search.events import Evaluation, Trial
from search.files import finite
from search.insight.contest import Contestant
from search.insight.trail import Step
from search.space import Config
from search.trials import History, Record

_PROPOSERS = {
    "default": "a published default: {}",
    "around": "a Sobol point in some dimensions, in the others a published default: {}",
    "sobol": "a Sobol point: the whole space, evenly",
    "grid": "a point of the grid",
    "survivor": "a survivor of coarse: {}, trained anew",
    "look": "a second look, by lot: coarse's {}, whose curve was flat, trained anew",
    "value": "the best configuration so far with another {}",
    "gp": "the model's proposal: a Gaussian process over configuration and fidelity",
    "tpe": "the model's proposal: HyperOpt's tree of Parzen estimators",
    "random": "drawn at random, beside the model's proposals",
    "finalist": "a finalist: {}, with one of the proof's seeds",
    "baseline": "the baseline: {}, with one of the proof's seeds",
}


@dataclass(frozen=True)
class Curve:
    """How a trial's training went.

    Attributes:
        start: Its first evaluation.
        best: The one with the lowest finite validation loss; None without any.
        last: Its last.
        train_losses: Of all evaluations, in order.
        validation_losses: Likewise.
    """

    start: Evaluation
    best: Evaluation | None
    last: Evaluation
    train_losses: tuple[float, ...]
    validation_losses: tuple[float, ...]

    @classmethod
    def of(cls, record: Record) -> Curve | None:
        """Return a record's curve; None without an evaluation."""
        seen = record.evaluations
        if not seen:
            return None
        train = tuple(each.train_loss for each in seen)
        return cls(seen[0], record.best, seen[-1], train, tuple(e.validation_loss for e in seen))


@dataclass(frozen=True)
class Cost:
    """What a trial cost.

    Attributes:
        samples_seen: Training samples.
        full_runs: The same in full runs; None where the plan isn't known.
        train_seconds: In training steps.
        eval_seconds: In evaluations.
        phase_share: Of the time of all trials of its phase.
        num_parameters: Of the network; 0 where it isn't known.
    """

    samples_seen: int
    full_runs: float | None
    train_seconds: float
    eval_seconds: float
    phase_share: float
    num_parameters: int

    @classmethod
    def of(cls, record: Record, phase: History, full: int | None) -> Cost:
        """Return what a record cost.

        Args:
            record: The trial.
            phase: All of its phase.
            full: Training samples of a full run; None where it isn't known.
        """
        vitals = dict(record.pause.vitals) if record.pause is not None else {}
        vitals = vitals if record.ending is None else asdict(record.ending)
        last = record.evaluations[-1].eval_seconds if record.evaluations else 0.0
        evaluating = float(vitals.get("eval_seconds") or last)
        whole = sum(each.seconds for each in phase)
        return cls(
            samples_seen=record.samples_seen,
            full_runs=record.samples_seen / full if full else None,
            train_seconds=max(record.seconds - evaluating, 0.0),
            eval_seconds=evaluating,
            phase_share=record.seconds / whole if whole > 0 else 0.0,
            num_parameters=int(vitals.get("num_parameters") or 0),
        )


@dataclass(frozen=True)
class Place:
    """A trial's place in its phase by what trials are ranked by, usually the validation loss.

    Attributes:
        rank: From 1; None for a trial that failed, or has no finite loss.
        of: Trials of the phase with a place.
        loss: Its own; infinite without a place.
        best_id: The first; None without any.
        best_loss: Its loss; infinite without any.
        standing: Its own best value in words.
        best_standing: The first's; empty without any.
    """

    rank: int | None
    of: int
    loss: float
    best_id: str | None
    best_loss: float
    standing: str
    best_standing: str

    @classmethod
    def of_record(cls, record: Record, phase: History) -> Place:
        """Return a record's place among all of its phase."""
        ranked = sorted((r for r in phase if math.isfinite(r.value)), key=lambda each: each.value)
        places = {each.trial.trial_id: place for place, each in enumerate(ranked, start=1)}
        best = ranked[0] if ranked else None
        return cls(
            rank=places.get(record.trial.trial_id),
            of=len(ranked),
            loss=record.loss,
            best_id=None if best is None else best.trial.trial_id,
            best_loss=math.inf if best is None else best.loss,
            standing=record.standing,
            best_standing="" if best is None else best.standing,
        )


@dataclass(frozen=True)
class Explanation:
    """All that a run's files say of one trial.

    Attributes:
        trial: The trial.
        role: ``winner``, ``finalist``, ``baseline``, ``proof`` (a run of the proof), or empty.
        proposed_by: Who proposed it, in words.
        differs: Hyperparameter to its value here and in the baseline, where they differ; None
            where it is inactive.
        steps: What was decided on it, in order; the last is its ending, where it has one.
        state: ``completed``, ``stopped``, ``failed``, ``waiting`` (at a rung), or ``running``: so,
            too, where the run was cut off.
        error: Where what was raised, in a line; empty where nothing was.
        curve: None without an evaluation.
        test_metric: Of a run of the proof, at its best checkpoint; else None.
        cost: What it cost.
        place: Where it stands in its phase.
        followed_by: Trials that trained its configuration again.
        notes: What else the journal says of it.
        outcome: What became of it, in words.
    """

    trial: Trial
    role: str
    proposed_by: str
    differs: Mapping[str, tuple[Any, Any]]
    steps: tuple[Step, ...]
    state: str
    error: str
    curve: Curve | None
    test_metric: float | None
    cost: Cost
    place: Place
    followed_by: tuple[str, ...]
    notes: tuple[str, ...]
    outcome: str


@dataclass(frozen=True)
class Answer:
    """What ``sieve why`` answers.

    Attributes:
        status: The run's: ``complete``, ``interrupted``, ``failed``; ``unfinished`` while no
            result has been written.
        metric: Its name.
        asked: The name that was asked for; None: the winner was.
        winner: The winner's name, which may be ``baseline``; None before there is one.
        note: Why another trial is explained where the winner was asked for; else empty.
        baseline_source: Where the baseline was published; empty where there is none.
        explanation: Of the trial.
        contest: The proof's configurations, the winner first: where the winner was asked for, or
            the trial is one of them; else none.
    """

    status: str
    metric: str
    asked: str | None
    winner: str | None
    note: str
    baseline_source: str
    explanation: Explanation
    contest: tuple[Contestant, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values; what isn't finite is None."""
        values: dict[str, Any] = finite(asdict(self))
        return values


def proposer(source: str) -> str:
    """Return a trial's source in words."""
    kind, _, rest = source.partition(":")
    return _PROPOSERS[kind].format(rest) if kind in _PROPOSERS else source


def differences(config: Config, baseline: Config) -> dict[str, tuple[Any, Any]]:
    """Return where two configurations differ: name to both values, None where inactive."""
    pairs = {name: (config.get(name), baseline.get(name)) for name in config | baseline}
    return {name: (own, other) for name, (own, other) in pairs.items() if own != other}


def state_of(record: Record) -> str:
    """Return how a trial ended, or what it does."""
    if record.ending is not None:
        return record.ending.status
    return "waiting" if record.pause is not None else "running"


def raised(traceback: str) -> str:
    """Return a traceback in a line: where what was raised in the end; empty for none."""
    frames = [*re.finditer(r'^  File "(.+)", (line \d+, in .+)$', traceback, re.MULTILINE)]
    if not frames:
        return " ".join(traceback.split())
    after = traceback[frames[-1].end() :].splitlines()
    what = next((line for line in after if line and not line.startswith(" ")), "")
    return f"{frames[-1][1]}, {frames[-1][2]}: {what}"
