"""How long the proof's runs are, and the time that is kept for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from search.strategy.budget import Plan
from search.strategy.confirm import Candidate

SAFE = 0.9
"""Of the time that is set aside: trainings side by side take longer than was measured."""


@dataclass(frozen=True)
class ProofPlan:
    """The confirmation, foreseen.

    Attributes:
        candidates: As they would be chosen now, the baseline last.
        plan: The run's plan.
        num_runs: How many configurations there will be; those not known yet count as the slowest
            known.
        num_seeds: Runs of each.
    """

    candidates: Sequence[Candidate]
    plan: Plan
    num_runs: int
    num_seeds: int

    @property
    def samples(self) -> int:
        """Training samples of each run.

        A full run's; more where half of the finalists still improved at the end of theirs, as many
        as fill the time that is set aside for the proof: cheap finalists are trained longer. Fewer
        where finalists are so slow that full runs would leave too little time to search.
        """
        full, finalists = self.plan.ladder.full, self.candidates[:-1]
        room = SAFE * self.plan.most_proof_s / self._seconds_of(full)
        if room < 1.0:
            return max(1, int(full * room))
        num_improving = sum(each.is_improving for each in finalists)
        if not finalists or 2 * num_improving < len(finalists):
            return full
        room = SAFE * self.plan.proof_s / self._seconds_of(full)
        return max(full, int(full * min(room, self.plan.longest / full)))

    @property
    def seconds(self) -> float:
        """The wall time to be kept for it."""
        return self._seconds_of(self.samples)

    def _seconds_of(self, samples: int) -> float:
        paces = [c.seconds_per_sample for c in self.candidates if c.seconds_per_sample is not None]
        known = [pace * samples for pace in paces]
        missing = [max(known, default=0.0)] * (self.num_runs - len(known))
        return self.plan.confirm_seconds([*known, *missing], self.num_seeds)

    def describe(self) -> str:
        """Return in words that it is longer or shorter than full runs; empty where it isn't."""
        samples, full = self.samples, self.plan.ladder.full
        if samples == full:
            return ""
        why = "at least half of the finalists still improved at the end of their training"
        if samples < full:
            why = "the finalists are slow"
        return (
            f"{why}: each run of the proof trains {samples / full:.2g} times as long, "
            f"{samples:,} samples"
        )
