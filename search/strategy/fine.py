"""The fine phase: the survivors again, then a model's proposals, under ASHA.

The model is asked beside the training and proposes a batch at a time, so that no slot waits for
it. It learns from every rung of both phases; a share of the proposals is random whatever it
says.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from search.space import Config, Space
from search.strategy.budget import Ladder
from search.strategy.ranking import observations_of, rank_records
from search.strategy.search_phase import Proposal, SearchPhase
from search.strategy.searchers import SEARCHERS, Question
from search.trials import History, Promotion, Proposals, Trial

MIN_OBSERVATIONS = 8
"""Fewer don't tell a model more than chance does."""
NUM_FIRST = 3
RANDOM_SHARE = 0.15
"""Of the proposals, drawn at random whatever the model says."""
MIN_BATCH = 6
FOCUS_SHARE = 0.5
"""Of the random proposals, drawn from the narrowed space."""


def first_proposals(coarse: History, ladder: Ladder) -> list[Proposal]:
    """Return coarse's best configurations, which fine trains on in full."""
    ranked = rank_records(coarse, ladder.coarse)[:NUM_FIRST]
    return [(dict(r.trial.config), f"survivor:{r.trial.trial_id}") for r in ranked]


class FinePhase(SearchPhase):
    """Narrow and long.

    Args:
        space: Where to search.
        focus: The narrowed space: where to look first.
        first: Configurations to try first, with their sources.
        coarse: The coarse phase's history; its observations are the model's first.
        ladder: The rungs of the whole run.
        num_trials: Limit of the number of trials; None: no limit.
        searcher: Who proposes: a key of :data:`~search.strategy.searchers.SEARCHERS`.
        slots: Trials at a time; a batch of proposals is as large.
        seed: Seeds proposals and trainings.
        max_run_seconds: Stop a trial whose full run would take longer.
    """

    def __init__(
        self,
        space: Space,
        focus: Space,
        first: Sequence[Proposal],
        coarse: History,
        ladder: Ladder,
        *,
        num_trials: int | None,
        searcher: str = "gp",
        slots: int = 1,
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
        self._focus = focus
        self._coarse = observations_of(coarse, ladder.coarse)
        self._searcher = searcher
        self._batch = max(MIN_BATCH, slots)
        self._stock: deque[Config] = deque()
        self._state: tuple[float, ...] = ()
        self._num_answers = 0
        self._is_asked = False

    def propose(self, number: int) -> Proposal:
        """Return what the model proposed, or a random point."""
        generator = np.random.default_rng([self.seed, number])
        if self._stock and generator.random() >= RANDOM_SHARE:
            return self._stock[0], self._searcher
        space = self._focus if generator.random() < FOCUS_SHARE else self.space
        return space.from_unit(generator.random(len(space.searched))), "random"

    def started(self, event: Trial | Promotion) -> None:
        """Take a proposal that is tried from the stock."""
        super().started(event)
        if isinstance(event, Trial) and event.source == self._searcher and self._stock:
            self._stock.popleft()

    def question(self) -> Callable[[], Proposals] | None:
        """Ask the model for a batch when two thirds of the last one are used up.

        The rest bridges the time of thinking: what is tried, and in which order, then doesn't
        depend on when the answer comes.
        """
        known = len(self._coarse) + len(self.seen)
        is_stocked = len(self._stock) > self._batch // 3
        if self._is_asked or is_stocked or known < MIN_OBSERVATIONS or not self.space.searched:
            return None
        self._is_asked = True
        question = Question(
            space=self.space,
            focus=self._focus,
            observations=(*self._coarse, *self.seen),
            rungs=self.ladder.rungs,
            num=self._batch,
            running=(*(trial.config for trial in self.running.values()), *self._stock),
            state=self._state,
            seed=(self.seed, self._num_answers),
        )
        return partial(SEARCHERS[self._searcher], question)

    def take(self, proposals: Proposals) -> None:
        """Take up the model's batch."""
        self._stock.extend(proposals.configs)
        self._state = proposals.state
        self._num_answers += 1
        self._is_asked = False
