"""What mattered in each phase of the search: importances, and each dimension alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from search.insight.isolation import Isolation, isolate
from search.report.files import Run, TrialRecord
from search.space import Space
from search.strategy.importance import MIN_TRIALS, Importance, measure_importance

MOST_TRIALS = 1_000
"""More don't make a forest wiser, only slower: of more every second is taken, or every third …"""
COMMON = 0.5
"""Of a phase's trials that have come to its lowest rung, so many must have come to a higher one for
it to be taken: where most were held back, only those that were let through would be compared."""


@dataclass(frozen=True)
class PhaseImportance:
    """What mattered in a phase.

    Attributes:
        phase: ``coarse`` or ``fine``.
        samples: The rung at which trials are compared, in training samples.
        num_trials: Those that came to it or failed.
        importances: Most important first; none with too few trials to tell.
        isolations: Each dimension alone, in the same order.
    """

    phase: str
    samples: int
    num_trials: int
    importances: tuple[Importance, ...]
    isolations: tuple[Isolation, ...]

    @property
    def too_few(self) -> bool:
        """Whether there are too few trials to measure importance."""
        return self.num_trials < MIN_TRIALS

    def importance(self, name: str) -> Importance | None:
        """Return a dimension's importance; None where it wasn't measured."""
        return next((each for each in self.importances if each.name == name), None)


def what_mattered(run: Run) -> list[PhaseImportance]:
    """Return what mattered in coarse and in fine, as far as they have come."""
    if run.space_before is None:
        return []
    space = Space.from_json(run.space_before["dimensions"])
    found = [_of_phase(run, phase, space) for phase in ("coarse", "fine")]
    return [each for each in found if each is not None]


def _of_phase(run: Run, phase: str, space: Space) -> PhaseImportance | None:
    trials = [trial for trial in run.of_phase(phase) if trial.status != "unfinished"]
    rung = common_rung(trials, run.rungs)
    if rung is None:
        return None
    judged = [(t.config, value) for t in trials if (value := t.value_at(rung)) is not None]
    taken = judged[:: math.ceil(len(judged) / MOST_TRIALS)]
    configs, values = [config for config, _ in taken], [value for _, value in taken]
    importances = measure_importance(space, configs, values, seed=run.seed)
    order = [each.name for each in importances]
    isolations = isolate(space, configs, values, seed=run.seed)
    if order:
        isolations.sort(key=lambda each: order.index(each.dimension.name))
    return PhaseImportance(phase, rung, len(judged), tuple(importances), tuple(isolations))


def common_rung(trials: Sequence[TrialRecord], rungs: Sequence[int]) -> int | None:
    """Return the highest rung to which enough of the trials have come; None where none has."""
    reached = {rung: sum(trial.reached(rung) for trial in trials) for rung in rungs}
    lowest = next((rung for rung in rungs if reached[rung]), None)
    if lowest is None:
        return None
    return max(rung for rung in rungs if reached[rung] >= COMMON * reached[lowest])
