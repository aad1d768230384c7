"""The coarse phase: published defaults first, then scrambled Sobol points, under ASHA.

Among these are points around the defaults, as long as they aren't worse than the others.

It trains on a subsample. Where its own order doesn't hold from rung to rung the subsample grows:
trials that start from then on are trained on more rows and compete among themselves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from search.events import Growth, Promotion, Trial
from search.space import Dimension, Space
from search.strategy.around import AroundDefaults
from search.strategy.budget import Ladder
from search.strategy.groups import Group, groups_by_importance, hold_config
from search.strategy.ranking import best_config
from search.strategy.search_phase import Proposal, SearchPhase
from search.strategy.sobol import SobolPoints
from search.strategy.trust import MIN_SPEAKING, Trust, between_rungs
from search.strategy.watch import Watch
from search.task import Default
from search.trials import History, Record

TRIALS_PER_GROUP = 6
"""Before the next group's turn: in 54 trials there are three rounds of three groups."""
LOOK_AGAIN = 1.25
"""Trust is measured anew when so many times as many trials have gone beyond the first rung."""


def default_proposals(space: Space, defaults: Sequence[Default]) -> list[Proposal]:
    """Return the published configurations that lie in the space, which coarse tries first."""
    return [(d.config, f"default:{d.source}") for d in defaults if space.contains(d.config)]


class CoarsePhase(SearchPhase):
    """Wide and short.

    Args:
        space: The whole space.
        defaults: Published configurations, tried first.
        ladder: The rungs of the whole run; coarse uses all but the last.
        num_trials: Limit of the number of trials; None: no limit.
        seed: Seeds the Sobol scrambling and the trainings.
        max_run_seconds: Stop a trial whose full run would take longer.
        num_brackets: Of successive halving, side by side.
        watch: Ends trainings by their curves; None: ASHA alone decides.
        sizes: Training rows of the nested subsamples, rising; with one or none it can't grow.
        by_group: Vary one group of dimensions at a time, the others as in the best known
            configuration.
        first: A dimension as it is to be looked at first: every second point takes it from there;
            None: none.
    """

    def __init__(
        self,
        space: Space,
        defaults: Sequence[Default],
        ladder: Ladder,
        *,
        num_trials: int | None,
        seed: int,
        max_run_seconds: float = math.inf,
        num_brackets: int = 1,
        watch: Watch | None = None,
        sizes: Sequence[int] = (),
        by_group: bool = False,
        first: Dimension | None = None,
    ) -> None:
        super().__init__(
            "coarse",
            space,
            ladder,
            ladder.coarse,
            default_proposals(space, defaults),
            num_trials=num_trials,
            seed=seed,
            max_run_seconds=max_run_seconds,
            num_brackets=num_brackets,
            watch=watch,
        )
        self._sobol = SobolPoints(len(space.searched), seed)
        may_vary = space.searched and not by_group
        self._around = AroundDefaults(space, self._given if may_vary else (), seed)
        self._heard: set[str] = set()
        self._sizes = sizes
        self._by_group = by_group
        self._first = space if first is None else space.replace(first)
        self._rounds: list[tuple[Group, ...]] = []
        self._growth: Growth | None = None
        self._begin_to_measure()

    def _begin_to_measure(self) -> None:
        self._num_beyond, self._next_look = 0, MIN_SPEAKING

    def propose(self, number: int) -> Proposal:
        """Return a point around a default, or the Sobol point that follows.

        Of that, all but the group whose turn it is is held, where the search goes by groups.
        """
        around = self._around.propose(number)
        if around is not None:
            return around
        number -= len(self._given) + self._around.num_started
        config = (self.space if number % 2 else self._first).from_unit(self._sobol[number])
        if not self._by_group:
            return config, "sobol"
        best = best_config(self.seen.observations())
        return hold_config(self.space, config, best, self._group(number)), "sobol"

    def _group(self, number: int) -> Group:
        """Return the group whose turn it is; a round's order rests on what was known before it."""
        number_of_round, turn = divmod(number // TRIALS_PER_GROUP, self._num_groups)
        if number_of_round < len(self._rounds):
            return self._rounds[number_of_round][turn]
        return self._order_now()[turn]

    @property
    def _num_groups(self) -> int:
        return max(len({dimension.group for dimension in self.space.searched}), 1)

    def _order_now(self) -> tuple[Group, ...]:
        known = self.history if self._rounds else History()
        return groups_by_importance(self.space, known, self.ladder, seed=self.seed) or ((),)

    def started(self, event: Trial | Promotion) -> None:
        """Keep the order of a round when its first trial starts: a resumed run has it, too."""
        super().started(event)
        if isinstance(event, Trial) and event.is_around:
            self._around.num_started += 1
        number = len(self.history) - 1 - len(self._given)
        if self._by_group and isinstance(event, Trial) and number >= 0:
            while len(self._rounds) <= number // (TRIALS_PER_GROUP * self._num_groups):
                self._rounds.append(self._order_now())

    def wants(self) -> Growth | None:
        """Let the subsample grow when its order has proven not to hold."""
        return self._growth

    def left(self, record: Record) -> None:
        """Measure the trust in the subsample when enough trials have gone beyond the first rung."""
        self._hear(record)
        is_beyond = record.evaluations and record.evaluations[-1].point > self.rungs[0]
        if not is_beyond or record.trial.division != self.division:
            return
        self._num_beyond += 1
        if self._num_beyond < self._next_look or self.division + 1 >= len(self._sizes):
            return
        self._next_look = math.ceil(LOOK_AGAIN * self._num_beyond)
        measured = between_rungs(self._on_these_rows(), self.rungs, self._sizes)
        low = [t for t in measured if t.is_refuted and t.correlation.num_pairs >= MIN_SPEAKING]
        self._growth = self._grown(low[0]) if low else None

    def _hear(self, record: Record) -> None:
        """Tell once how a trial that was drawn came out at the lowest rung."""
        trial, value = record.trial, record.value_at(self.rungs[0])
        if value is not None and not trial.is_default and trial.trial_id not in self._heard:
            self._heard.add(trial.trial_id)
            self._around.hear(value, is_around=trial.is_around, division=trial.division)

    def _on_these_rows(self) -> list[Record]:
        return [each for each in self.history if each.trial.division == self.division]

    def _grown(self, trust: Trust) -> Growth:
        rows = self._sizes[self.division + 1]
        why = f"{trust.describe()}: trials that start from now on are trained on {rows:,} rows"
        return Growth(self.division + 1, why, {**trust.to_json(), "grown_to": rows})

    def grow(self, growth: Growth) -> None:
        """Train what starts from now on on more rows; it isn't compared with what was before."""
        self.division = growth.division
        self._growth = None
        self._begin_to_measure()
        self._brackets.renew()
        self._looks.forget_waiting()
