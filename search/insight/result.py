"""``result.json``: the winner, the proof, and what it cost."""

from __future__ import annotations

import math
import platform
import statistics
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from search.events import Phase
from search.insight.compare import Comparison, Summary, compare
from search.trials import History, Record

BASELINE = "baseline"
_PACKAGES = ("ray", "torch", "hyperopt", "pyarrow", "numpy", "scikit-learn")


@dataclass(frozen=True)
class Confirmed:
    """One configuration's runs in the confirm phase.

    Attributes:
        name: The trial that it was found as, or ``baseline``.
        records: Its completed runs, in the order of the seeds.
        failed: How many of its runs failed.
    """

    name: str
    records: tuple[Record, ...]
    failed: int

    @property
    def config(self) -> dict[str, Any]:
        """The configuration; empty without a completed run."""
        return dict(self.records[0].trial.config) if self.records else {}

    @property
    def validation(self) -> Summary:
        """The metric on the validation rows at the best checkpoints."""
        return Summary.of([r.best.validation_metric for r in self.records if r.best is not None])

    @property
    def validation_loss(self) -> float:
        """Mean loss on the validation rows at the best checkpoints."""
        return statistics.mean(record.loss for record in self.records)

    @property
    def validation_by_seed(self) -> dict[int, float]:
        """Seed to the metric on the validation rows at the best checkpoint."""
        pairs = ((record.trial.seed, record.best) for record in self.records)
        return {seed: best.validation_metric for seed, best in pairs if best is not None}

    @property
    def test_by_seed(self) -> dict[int, float]:
        """Seed to the metric on the test rows."""
        endings = [(r.trial.seed, r.ending) for r in self.records]
        return {s: e.test_metric for s, e in endings if e and e.test_metric is not None}

    @property
    def best_run(self) -> str:
        """The run with the lowest validation loss."""
        return min(self.records, key=lambda record: record.loss).trial.trial_id

    def to_json(self) -> dict[str, Any]:
        """Return config, trial, validation and test as in ``result.json``."""
        test = Summary.of(list(self.test_by_seed.values()))
        validation = asdict(self.validation)
        del validation["per_seed"]
        return {
            "config": self.config,
            "trial_id": self.name,
            "validation": validation,
            "test": asdict(test),
            "failed": self.failed,
        }


def group_confirmed(history: History) -> list[Confirmed]:
    """Group the confirm phase's runs by configuration, in the order of their start."""
    groups: dict[str, list[Record]] = {}
    for record in history:
        groups.setdefault(record.trial.source, []).append(record)
    return [_confirmed(source, records) for source, records in groups.items()]


def _confirmed(source: str, records: list[Record]) -> Confirmed:
    completed = [r for r in records if r.ending is not None and r.ending.status == "completed"]
    kind, _, rest = source.partition(":")
    name = kind if kind == BASELINE else rest
    return Confirmed(name, tuple(completed), len(records) - len(completed))


@dataclass(frozen=True)
class Proof:
    """The outcome of the confirm phase.

    Attributes:
        winner: What to use: the best on validation, which may be the baseline itself.
        baseline: The published default.
        finalists: All that were found, best on validation first.
        comparison: The best finalist against the baseline.
    """

    winner: Confirmed
    baseline: Confirmed
    finalists: tuple[Confirmed, ...]
    comparison: Comparison

    def to_json(self) -> dict[str, Any]:
        """Return winner, baseline, comparison and finalists as in ``result.json``."""
        source = self.baseline.records[0].trial.source if self.baseline.records else ""
        published = source.partition(":")[2]
        return {
            "winner": self.winner.to_json(),
            "baseline": {**self.baseline.to_json(), "source": published},
            "comparison": asdict(self.comparison),
            "finalists": [each.to_json() for each in self.finalists],
        }


_USUAL = {"classification": "accuracy", "regression": "rmse"}
_LOWER_IS_BETTER = ("rmse", "mae")


def metric_of(told: str | None, task: str) -> tuple[str, Literal["max", "min"]]:
    """Return a run's metric, and whether more of it is better, without what computes it.

    Args:
        told: As the study says it; None: the task's usual one.
        task: ``classification`` or ``regression``; else the metric may have no name.
    """
    metric = told or _USUAL.get(task, "metric")
    return metric, "min" if metric in _LOWER_IS_BETTER else "max"


def resolution_of(task: str, num_rows: int | None) -> float:
    """Return the step in which a metric comes on so many rows; 0 where it has none, or isn't known.

    Args:
        task: ``classification`` or ``regression``.
        num_rows: Of the part that it is taken on.
    """
    return 1.0 / num_rows if num_rows and task == "classification" else 0.0


def in_order(confirmed: Sequence[Confirmed], mode: Literal["max", "min"]) -> list[Confirmed]:
    """Return the configurations with a completed run, the best on validation first.

    One that has failed comes after those that haven't: a lucky run proves nothing. Otherwise the
    metric decides; between those that the seeds can't tell from the best, the loss does: a few
    hundred rows have as many right answers by chance, while the loss still differs. What is within
    a standard error of the best counts as no worse (Breiman et al., 1984, "Classification and
    regression trees", 3.4.3), here of the paired difference.

    Args:
        confirmed: Finalists and baseline.
        mode: ``max`` where more is better.
    """
    ranked = by_metric(confirmed, mode)
    alike = [each for each in ranked if each.failed == ranked[0].failed]
    near = [each for each in alike if is_near(each, ranked[0])]
    rest = [each for each in ranked if each not in near]
    return [*sorted(near, key=lambda each: each.validation_loss), *rest]


def by_metric(confirmed: Sequence[Confirmed], mode: Literal["max", "min"]) -> list[Confirmed]:
    """Return the configurations with a completed run, failures last, by the metric alone.

    Args:
        confirmed: Finalists and baseline.
        mode: ``max`` where more is better.
    """
    sign = -1.0 if mode == "max" else 1.0
    return sorted(
        (each for each in confirmed if each.records),
        key=lambda each: (each.failed, sign * each.validation.mean, each.validation_loss),
    )


def is_near(first: Confirmed, second: Confirmed) -> bool:
    """Say whether two metrics differ by at most a standard error of their paired difference."""
    if first.validation.mean == second.validation.mean:
        return True
    one, other = first.validation_by_seed, second.validation_by_seed
    differences = [one[seed] - other[seed] for seed in one.keys() & other.keys()]
    if len(differences) < 2:
        return False
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    return abs(statistics.mean(differences)) <= error


def prove(
    confirmed: list[Confirmed],
    *,
    metric: str,
    mode: Literal["max", "min"],
    resolution: float = 0.0,
) -> Proof | None:
    """Choose the winner on validation (:func:`in_order`) and compare on test.

    None if no run was completed.

    Args:
        confirmed: Finalists and baseline.
        metric: The study's metric.
        mode: ``max`` where more is better.
        resolution: The step in which the metric comes; see :func:`compare`.
    """
    ranked = in_order(confirmed, mode)
    if not ranked:
        return None
    finalists = tuple(each for each in ranked if each.name != BASELINE)
    baseline = next((c for c in confirmed if c.name == BASELINE), Confirmed(BASELINE, (), 0))
    best = finalists[0] if finalists else baseline
    comparison = compare(
        best.test_by_seed,
        baseline.test_by_seed,
        metric=metric,
        mode=mode,
        resolution=resolution,
    )
    winner = ranked[0]
    if comparison.verdict == "worse" and baseline.records:
        winner = baseline
    return Proof(winner, baseline, finalists, comparison)


def phase_cost(history: History, *, wall_seconds: float, full: int, slots: int) -> dict[str, Any]:
    """Return what a phase cost.

    Args:
        history: The phase.
        wall_seconds: From its first event to its last.
        full: Training samples of a full run.
        slots: Trials at a time.

    Returns:
        ``training_share`` is the share of the slots' wall time spent in training steps and
        evaluations; ``trial_start_seconds`` the median time from a process's last report of
        one trial to the first step of the next.
    """
    seconds = sum(record.seconds for record in history)
    starts = [r.ending.start_seconds for r in history.ended if r.ending]
    known = [start for start in starts if start is not None]
    return {
        "samples_seen": history.samples_seen,
        "trial_seconds": seconds,
        "wall_seconds": wall_seconds,
        "full_run_equivalents": history.samples_seen / full,
        "slots": slots,
        "training_share": seconds / (slots * wall_seconds) if wall_seconds > 0 else math.nan,
        "trial_start_seconds": statistics.median(known) if known else None,
    }


def total_cost(phases: Iterable[Mapping[str, Any]], *, wall_seconds: float) -> dict[str, Any]:
    """Add the phases' costs up; the wall time is the whole run's."""
    phases = list(phases)
    added = ("samples_seen", "trial_seconds", "full_run_equivalents")
    total: dict[str, Any] = {name: sum(each[name] for each in phases) for name in added}
    return total | {"wall_seconds": wall_seconds}


def count_trials(histories: Mapping[Phase, History]) -> dict[str, int]:
    """Count trials by phase, and those stopped and failed in all."""
    endings = [r.ending for h in histories.values() for r in h.ended if r.ending is not None]
    return {
        **{phase: len(history) for phase, history in histories.items()},
        "stopped": sum(each.status == "stopped" for each in endings),
        "failed": sum(each.status == "failed" for each in endings),
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and of what the numbers depend on, as far as it is there."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
