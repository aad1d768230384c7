"""The fine phase: the survivors again, then Bayesian proposals in the narrowed space, under ASHA.

The model learns from observations of one fidelity only: the highest rung that enough trials
have reached (Falkner et al., 2018, BOHB). A stopped trial's early loss never passes for a
final one, which is what makes TPE with a stopping pruner worse than random search.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from search.space import Config, Space
from search.strategy import tpe
from search.strategy.budget import Ladder
from search.strategy.phase import Proposal, SearchPhase, rank_records, trial_seed
from search.trials import History, Record

MIN_OBSERVATIONS = 20
"""Fewer, all of them trials that rungs have let through, teach the model what good ones are like
but not what bad ones are like."""
NUM_FIRST = 3
RANDOM_SHARE = 0.1
"""Of the proposals, drawn at random whatever the model says."""
_ATTEMPTS = 5


def first_proposals(coarse: History, ladder: Ladder) -> list[Proposal]:
    """Return coarse's best configurations, which fine trains on in full."""
    ranked = rank_records(coarse, ladder.coarse)[:NUM_FIRST]
    return [(dict(r.trial.config), f"survivor:{r.trial.trial_id}") for r in ranked]


class FinePhase(SearchPhase):
    """Narrow and long.

    Args:
        space: The fine space.
        first: Configurations to try first, with their sources.
        coarse: The coarse phase's history; its observations are the model's first.
        ladder: The rungs of the whole run; fine uses the upper three.
        num_trials: Limit of the number of trials; None: no limit.
        seed: Seeds proposals and trainings.
        max_run_seconds: Stop a trial whose full run would take longer.
    """

    def __init__(
        self,
        space: Space,
        first: Sequence[Proposal],
        coarse: History,
        ladder: Ladder,
        *,
        num_trials: int | None,
        seed: int,
        max_run_seconds: float = math.inf,
    ) -> None:
        super().__init__(
            "fine",
            space,
            ladder,
            ladder.fine,
            first,
            num_trials=num_trials,
            seed=seed + 1,
            max_run_seconds=max_run_seconds,
        )
        self._coarse = coarse

    def propose(self, number: int) -> Proposal:
        """Return a random point, or the model's suggestion."""
        generator = np.random.default_rng([self.seed, number])
        if generator.random() < RANDOM_SHARE:
            return self.space.from_unit(generator.random(len(self.space.searched))), "random"
        return self._suggest(number), "tpe"

    def _suggest(self, number: int) -> Config:
        observations = self.observations()
        known = [record.trial.config for record in self.history]
        config: Config = {}
        for attempt in range(_ATTEMPTS):
            seed = trial_seed(self.seed, number * _ATTEMPTS + attempt)
            config = tpe.suggest(self.space, observations, seed=seed)
            if config not in known:
                break
        return config

    def observations(self) -> list[tpe.Observation]:
        """Return the losses at the highest rung that enough trials have reached.

        Failed trials count at every rung, as failures.
        """
        records: list[Record] = [*self._coarse, *self.history]
        failed = [r for r in records if r.ending is not None and r.ending.status == "failed"]
        at_rung: list[tuple[Record, float]] = []
        for rung in reversed(self.ladder.rungs):
            losses = [(r, r.loss_at(rung)) for r in records if r not in failed]
            at_rung = [(r, loss) for r, loss in losses if loss is not None]
            if len(at_rung) >= MIN_OBSERVATIONS:
                break
        return [
            *(tpe.Observation(r.trial.config, loss) for r, loss in at_rung),
            *(tpe.Observation(r.trial.config, math.inf) for r in failed),
        ]
