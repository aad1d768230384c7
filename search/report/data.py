"""The report's numbers as plain data: what is shown, before anything is drawn.

Every function takes a :class:`~search.report.files.Run` and returns dataclasses; ``figures``
and the template only lay them out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from search.insight.compare import compare
from search.report.files import PHASES, Run, TrialRecord


@dataclass(frozen=True)
class Estimate:
    """A value over several seeds.

    Attributes:
        mean: Their mean; NaN without any.
        sd: Sample standard deviation; NaN below two seeds.
        per_seed: The values by rising seed.
        low: Lower end of the mean's 95 % interval (Student's t); NaN below two seeds.
        high: Upper end.
    """

    mean: float
    sd: float
    per_seed: tuple[float, ...]
    low: float
    high: float

    @property
    def n(self) -> int:
        """Number of seeds."""
        return len(self.per_seed)


@dataclass(frozen=True)
class Difference:
    """A test metric minus the baseline's, paired by seed, with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Contender:
    """A configuration that was confirmed over several seeds.

    Attributes:
        name: The trial that it comes from, or ``baseline``.
        role: ``winner``, ``finalist`` or ``baseline``.
        wins: Whether it is the result's winner, which may be the baseline itself.
        config: The configuration.
        validation: Best validation metric over the seeds.
        test: Test metric of the best checkpoint over the seeds.
        difference: Test metric against the baseline's; None for the baseline itself and
            where they share fewer than two seeds.
        trials: The confirm phase's trials by rising seed, failed ones included.
    """

    name: str
    role: str
    wins: bool
    config: dict[str, Any]
    validation: Estimate
    test: Estimate
    difference: Difference | None
    trials: tuple[TrialRecord, ...]


@dataclass(frozen=True)
class MeanCurve:
    """The mean over the seeds, as far as all of them went; lists of equal length."""

    samples_seen: list[float]
    train_loss: list[float]
    validation_loss: list[float]
    train_metric: list[float]
    validation_metric: list[float]


@dataclass(frozen=True)
class PhaseCurves:
    """Validation-loss curves of a phase.

    Attributes:
        trials: Those that are drawn: at least one finite loss, best last.
        best: The best trial's id; None when all failed.
        left_out: How many drawable trials there were beyond the limit (the worst).
        undrawable: Trials without one finite loss.
        top: Where the loss axis ends: a tenth above all but the wildest 2 % of the values of
            the trials that didn't fail.
    """

    trials: list[TrialRecord]
    best: str | None
    left_out: int
    undrawable: list[TrialRecord]
    top: float


@dataclass(frozen=True)
class ConfigRow:
    """A hyperparameter in the winner and in the baseline; None where it is inactive."""

    name: str
    winner: Any
    baseline: Any

    @property
    def differs(self) -> bool:
        """Whether the two differ."""
        return bool(self.winner != self.baseline)


def estimate(values: Iterable[float]) -> Estimate:
    """Summarise the finite values of several seeds.

    >>> estimate([0.9, 0.92]).mean
    0.91
    """
    kept = tuple(float(value) for value in values if math.isfinite(value))
    mean = float(np.mean(kept)) if kept else math.nan
    if len(kept) < 2:
        return Estimate(mean, math.nan, kept, math.nan, math.nan)
    sd = float(np.std(kept, ddof=1))
    half = float(stats.t.ppf(0.975, len(kept) - 1)) * sd / math.sqrt(len(kept))
    return Estimate(mean, sd, kept, mean - half, mean + half)


def contenders(run: Run) -> list[Contender]:
    """Return the winner, the other finalists by validation metric, and the baseline last."""
    groups: dict[str, list[TrialRecord]] = {}
    for trial in run.of_phase("confirm"):
        groups.setdefault(_origin(trial.source), []).append(trial)
    baseline = scores_by_seed(groups.get("baseline", ()))
    found = [_contender(run, name, trials, baseline) for name, trials in groups.items()]
    sign = -1 if run.mode == "max" else 1
    roles = ("winner", "finalist", "baseline")
    return sorted(found, key=lambda c: (roles.index(c.role), _last(sign * c.validation.mean)))


def _origin(source: str) -> str:
    kind, _, origin = source.partition(":")
    return "baseline" if kind == "baseline" else origin or kind


def _last(value: float) -> float:
    return value if math.isfinite(value) else math.inf


def _contender(
    run: Run, name: str, trials: list[TrialRecord], baseline: Mapping[int, float]
) -> Contender:
    trials = sorted(trials, key=lambda trial: trial.seed)
    wins = (run.result.get("winner") or {}).get("trial_id") == name
    tests = scores_by_seed(trials)
    role = "baseline" if name == "baseline" else "winner" if wins else "finalist"
    return Contender(
        name=name,
        role=role,
        wins=wins,
        config=trials[0].config,
        validation=estimate(t.best_validation_metric for t in trials if t.status == "completed"),
        test=estimate(tests.values()),
        difference=None if role == "baseline" else _difference(run, tests, baseline),
        trials=tuple(trials),
    )


def scores_by_seed(trials: Iterable[TrialRecord]) -> dict[int, float]:
    """Return the completed trials' test metrics by seed."""
    done = [trial for trial in trials if trial.status == "completed"]
    return {trial.seed: trial.test_metric for trial in done if math.isfinite(trial.test_metric)}


def _difference(
    run: Run, tests: Mapping[int, float], baseline: Mapping[int, float]
) -> Difference | None:
    found = compare(tests, baseline, metric=run.metric, mode=run.mode, resolution=run.resolution)
    return None if found.ci95 is None else Difference(found.difference, *found.ci95)


def mean_curve(trials: Sequence[TrialRecord]) -> MeanCurve:
    """Average the seeds' curves evaluation by evaluation, up to where the shortest ends.

    A failed seed is left out, unless all failed.
    """
    calm = [trial for trial in trials if trial.status != "failed"] or trials
    with_points = [trial.points for trial in calm if trial.points]
    steps = list(zip(*with_points, strict=False))

    def average(field: str) -> list[float]:
        return [float(np.mean([getattr(point, field) for point in step])) for step in steps]

    return MeanCurve(
        samples_seen=average("samples_seen"),
        train_loss=average("train_loss"),
        validation_loss=average("validation_loss"),
        train_metric=average("train_metric"),
        validation_metric=average("validation_metric"),
    )


MOST_DRAWN = 400
"""Trials of a phase that a page holds at most."""


def drawable(run: Run, phase: str) -> list[TrialRecord]:
    """Return a phase's trials with at least one finite loss, the best first."""
    found = [trial for trial in run.of_phase(phase) if finite_losses(trial)]
    return sorted(found, key=lambda trial: (trial.loss, min(finite_losses(trial))))


def phase_curves(run: Run, phase: str, limit: int = MOST_DRAWN) -> PhaseCurves:
    """Return a phase's validation-loss curves.

    Args:
        run: The run.
        phase: ``coarse`` or ``fine``.
        limit: How many trials to draw at most; the best are.
    """
    ordered = drawable(run, phase)
    kept = ordered[:limit][::-1]
    calm = [trial for trial in kept if trial.status != "failed"] or kept
    values = [loss for trial in calm for loss in finite_losses(trial)]
    return PhaseCurves(
        trials=kept,
        best=ordered[0].trial_id if ordered and math.isfinite(ordered[0].loss) else None,
        left_out=len(ordered) - len(kept),
        undrawable=[trial for trial in run.of_phase(phase) if not finite_losses(trial)],
        top=1.1 * float(np.quantile(values, 0.98)) if values else math.nan,
    )


def finite_losses(trial: TrialRecord) -> list[float]:
    """Return a trial's finite validation losses in order."""
    return [p.validation_loss for p in trial.points if math.isfinite(p.validation_loss)]


def config_rows(winner: dict[str, Any], baseline: dict[str, Any]) -> list[ConfigRow]:
    """Return the hyperparameters of both, in the winner's order."""
    return [ConfigRow(name, winner.get(name), baseline.get(name)) for name in winner | baseline]


def published_source(run: Run) -> str:
    """Return where the baseline was published; empty when no file says it."""
    baseline = run.result.get("baseline") or {}
    said = str(baseline.get("source") or "").removeprefix("baseline").removeprefix(":")
    same = [t.source for t in run.of_phase("coarse") if t.config == baseline.get("config")]
    origins = [source.partition(":")[2] for source in same if source.startswith("default:")]
    return said or next(iter(origins), "")


def failures(run: Run) -> list[TrialRecord]:
    """Return all failed trials in order."""
    return [trial for trial in run.trials if trial.status == "failed"]


def reached(run: Run) -> list[str]:
    """Return the phases that have trials."""
    return [phase for phase in PHASES if run.of_phase(phase)]


@dataclass(frozen=True)
class VerdictRow:
    """How often curves said something.

    Attributes:
        name: What they said.
        counts: Trials by phase, in the order of the phases.
        proposal: What it asks for; empty where all is well.
        example: A trial that it was said of, and the evidence.
    """

    name: str
    counts: tuple[int, ...]
    proposal: str
    example: str


def verdict_rows(run: Run) -> list[VerdictRow]:
    """Return the verdicts on all curves, the most frequent first."""
    by_name: dict[str, list[TrialRecord]] = {}
    for trial in (trial for phase in PHASES for trial in run.of_phase(phase)):
        if trial.verdict:
            by_name.setdefault(trial.verdict, []).append(trial)
    rows = [
        VerdictRow(
            name,
            tuple(sum(each.phase == phase for each in trials) for phase in PHASES),
            trials[-1].proposal or "",
            f"{trials[-1].trial_id}: {trials[-1].evidence}",
        )
        for name, trials in by_name.items()
    ]
    return sorted(rows, key=lambda row: -sum(row.counts))
