"""The confirm phase: who is a finalist, and every finalist and the baseline over several seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from search.events import Trial
from search.space import Config
from search.strategy.budget import Ladder
from search.strategy.phase import PhaseStrategy, trial_seed
from search.task import Default
from search.trials import History, Record, rank_by_value, rank_records

BASELINE = "baseline"
LAST = 0.25
"""A training whose best evaluation lies in this last part still improves."""


@dataclass(frozen=True)
class Candidate:
    """A configuration to be confirmed.

    Attributes:
        name: The trial that it comes from, or ``baseline``.
        config: The configuration.
        source: ``finalist:<trial>``, or ``baseline:<where it was published>``.
        why: On what it was chosen, in words.
        seconds_per_sample: Of its training, evaluations included; None where it is unknown.
        is_improving: Its best evaluation was among the last.
    """

    name: str
    config: Config
    source: str
    why: str
    seconds_per_sample: float | None
    is_improving: bool = False


class ConfirmPhase(PhaseStrategy):
    """All candidates with the same seeds, seed by seed, without any stopping.

    Args:
        candidates: Finalists and baseline.
        ladder: The rungs; each run is a full one, or longer.
        num_seeds: Runs of each candidate.
        samples: Training samples of a run; None: a full run's.
        seed: Seeds the runs: the n-th run of every candidate has the same seed.
        num_divisions: Fresh divisions into training and validation rows; the n-th run of every
            candidate has the same one. 0: all runs have the search's.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        ladder: Ladder,
        *,
        num_seeds: int,
        seed: int,
        samples: int | None = None,
        num_divisions: int = 0,
    ) -> None:
        super().__init__("confirm", ladder)
        samples = samples or ladder.full
        seeds = [trial_seed(seed, 1_000_000 + number) for number in range(num_seeds)]
        self._trials = [
            Trial(
                trial_id=f"x-{candidate.name}-s{number}",
                phase="confirm",
                source=candidate.source,
                config=candidate.config,
                seed=each,
                budget_samples=samples,
                points=ladder.evaluation_points(samples),
                division=1 + number % num_divisions if num_divisions else 0,
            )
            for number, each in enumerate(seeds)
            for candidate in candidates
        ]

    @property
    def num_trials(self) -> int:
        """Candidates times seeds."""
        return len(self._trials)

    @property
    def exhausted(self) -> bool:
        """Whether all runs have been started."""
        return self.ask() is None

    def ask(self) -> Trial | None:
        """Return the next run; None when all were started.

        A log that was repaired may hold other runs than these: they don't count.
        """
        left = (trial for trial in self._trials if trial.trial_id not in self.history)
        return next(left, None)


def choose_candidates(
    coarse: History,
    fine: History,
    defaults: Sequence[Default],
    ladder: Ladder,
    num_finalists: int,
) -> list[Candidate]:
    """Return the finalists, best first, then the baseline.

    Finalists are the best different configurations of the fine phase by validation loss (or
    metric, where the study promotes by it), however long they were trained: one that was cut short
    may have been ahead by then. Only where they are too few, coarse's best follow.

    Args:
        coarse: The coarse phase.
        fine: The fine phase.
        defaults: Published configurations; the one that did best in coarse is the baseline.
        ladder: The rungs.
        num_finalists: How many beside the baseline.
    """
    baseline = _baseline(coarse, defaults, ladder)
    taken = [baseline.config]
    finalists: list[Candidate] = []
    # Lazy: asked again and again while fine runs, and hardly ever does coarse have to be ranked.
    for record in chain.from_iterable(map(rank_by_value, (fine, coarse))):
        if len(finalists) == num_finalists:
            break
        if record.trial.config not in taken:
            taken.append(record.trial.config)
            finalists.append(_finalist(record, ladder))
    return [*finalists, baseline]


def _finalist(record: Record, ladder: Ladder) -> Candidate:
    name = record.trial.trial_id
    reached = record.evaluations[-1].point
    why = f"{name}: {record.standing} after {reached} of {ladder.full} samples"
    source = f"finalist:{name}"
    return Candidate(name, record.trial.config, source, why, _speed(record), _improves(record))


def _improves(record: Record) -> bool:
    assert record.best is not None
    return record.best.point > (1.0 - LAST) * record.evaluations[-1].point


def best_default(coarse: History, ladder: Ladder) -> Record | None:
    """Return the published default that did best in coarse; None where none reached a rung."""
    tried = [record for record in coarse if record.trial.is_default]
    return next(iter(rank_records(tried, ladder.coarse)), None)


def _baseline(coarse: History, defaults: Sequence[Default], ladder: Ladder) -> Candidate:
    best = best_default(coarse, ladder)
    if best is None:
        why = f"baseline: {defaults[0].source}; no published default reached a rung in coarse"
        source = f"{BASELINE}:{defaults[0].source}"
        return Candidate(BASELINE, defaults[0].config, source, why, None)
    source = best.trial.source.replace("default", BASELINE, 1)
    why = f"{source.replace(':', ': ', 1)}; the best published one"
    return Candidate(BASELINE, best.trial.config, source, why, _speed(best))


def _speed(record: Record) -> float | None:
    rate = record.seconds_per_sample
    return None if math.isnan(rate) else rate
