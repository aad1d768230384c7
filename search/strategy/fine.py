"""The fine phase: the survivors again, then a model's proposals, under ASHA.

The model is asked beside the training and proposes a batch at a time, so that no slot waits for
it. It learns from every rung of both phases; a share of the proposals is random whatever it
says.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial

import numpy as np
from threadpoolctl import ThreadpoolController

from search.events import Asked, Evaluation, Promotion, Proposals, Trial
from search.space import Config, Space
from search.strategy.asha import Decision
from search.strategy.budget import Ladder
from search.strategy.change import Change
from search.strategy.cover import EVERY, Cover
from search.strategy.groups import Group, hold_config
from search.strategy.living import NUM_BEST, LivingSpace
from search.strategy.ranking import (
    best_config,
    is_wordless,
    name_of,
    observations_of,
)
from search.strategy.search_phase import LOOK, Proposal, SearchPhase
from search.strategy.searchers import SEARCHERS, Question
from search.strategy.trust import SURVIVOR, Trust, between_rows
from search.strategy.watch import Watch
from search.trials import History, Record, rank_records

MIN_OBSERVATIONS = 8
"""Fewer don't tell a model more than chance does."""
NUM_SURVIVORS, AT_ONCE, APART = 5, 2, 6
"""Survivors that are trained again; those of them at once; the others are every so many-th trial.
Five pairs of a loss on coarse's rows and one on fine's are the least that say anything of these
rows, but most survivors come far again, and the model knows of better ones."""
RANDOM_SHARE = 0.15
"""Of the proposals, drawn at random whatever the model says."""
MIN_BATCH, MAX_BATCH = 3, 500
BATCHES_PER_GROUP = 2
FOCUS_SHARE = 0.5
"""Of the random proposals, drawn from the narrowed space."""
MAX_AGAIN = 100
"""Of coarse's best, and of those whose curves were flat: the model may propose them again."""
MAX_WORDLESS = 1000
"""Trials that ended before the lowest rung: the last so many aren't proposed again."""


def first_proposals(coarse: History, ladder: Ladder) -> list[Proposal]:
    """Return coarse's best configurations, which fine trains on in full."""
    ranked = rank_records(coarse, ladder.coarse)[:NUM_SURVIVORS]
    return [(dict(r.trial.config), f"{SURVIVOR}{r.trial.trial_id}") for r in ranked]


class FinePhase(SearchPhase):
    """Narrow and long.

    Args:
        space: Where to search.
        focus: The narrowed space: where to look first.
        first: Configurations to try first, with their sources; all but :data:`AT_ONCE` of them
            in between.
        coarse: The coarse phase's history; its observations are the model's first.
        ladder: The rungs of the whole run.
        num_trials: Limit of the number of trials; None: no limit.
        searcher: Who proposes: a key of :data:`~search.strategy.searchers.SEARCHERS`.
        slots: Trials at a time; a batch of proposals is as large.
        is_living: Whether evidence may change the space.
        groups: Search these groups of dimensions one after the other; none: all together.
        by_time: Time is what is scarce, so that slow configurations must be worth it.
        seed: Seeds proposals and trainings.
        max_run_seconds: Stop a trial whose full run would take longer.
        num_brackets: Of successive halving, side by side.
        watch: Ends trainings by their curves; None: ASHA alone decides.
        sizes: Training rows of coarse's nested subsamples; none: they aren't questioned.

    Attributes:
        living: The space, as evidence changes it.
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
        is_living: bool = True,
        groups: Sequence[Group] = (),
        by_time: bool = False,
        seed: int,
        max_run_seconds: float = math.inf,
        num_brackets: int = 1,
        watch: Watch | None = None,
        sizes: Sequence[int] = (),
    ) -> None:
        super().__init__(
            "fine",
            space,
            ladder,
            ladder.fine,
            first[:AT_ONCE],
            num_trials=num_trials,
            seed=seed + 1,
            max_run_seconds=max_run_seconds,
            num_brackets=num_brackets,
            watch=watch,
            before=coarse,
        )
        before = frozenset(name_of(record.trial.config) for record in coarse)
        self.living = LivingSpace(space, focus, before)
        self.seen.extend(observations_of(coarse, ladder.coarse))
        self._coarse, self._sizes = coarse, sizes
        self._drawn = {name_of(each.trial.config) for each in coarse if each.trial.is_drawn}
        self._later = deque(first[AT_ONCE:])
        # Where there will be few trials, all the same.
        self._apart = APART if num_trials is None else min(APART, num_trials // NUM_SURVIVORS or 1)
        self._survivors_told = False
        self._cover = Cover(space, self.rungs)
        self._is_living = is_living
        self._groups = groups
        self._by_time = by_time
        self._searcher = searcher
        self._batch = min(max(MIN_BATCH, slots), MAX_BATCH)
        self._again = _worth_another_try(coarse, ladder, self._flat)
        for config, _ in self._later:  # their turn comes anyway
            self._again.pop(name_of(config), None)
        self._wordless: deque[Config] = deque(maxlen=MAX_WORDLESS)
        self._stock: deque[Config] = deque()
        self._looked: list[Config] = []
        self._state: tuple[float, ...] = ()
        self._num_answers = 0
        self._question: Callable[[], Proposals] | None = None

    def ask(self) -> Trial | Promotion | None:
        """Return, now and then, what brings a value of a choice as far as none before."""
        turn, place = divmod(self._num_started, EVERY)
        number = len(self.history)
        if place < EVERY - 1 or number < len(self._given):
            return super().ask()
        may_start = not self._is_full and not self._is_due(number)
        crossed = self._cover.cross(self.seen.ranked, turn) if may_start else None
        return self._new_trial(*crossed) if crossed else self._cover.call() or super().ask()

    def _is_due(self, number: int) -> bool:
        """Whether trial ``number`` is to be one of the survivors that are left."""
        return bool(self._later) and (number + 1) % self._apart == 0

    def decide(self, record: Record, evaluation: Evaluation) -> Decision:
        """Decide as ever, and keep which values have come how far."""
        decision = super().decide(record, evaluation)
        trial, point, numbers = record.trial, evaluation.point, decision.numbers
        if point in self.rungs and not decision.failed:
            self._cover.reach(trial.config, point)
        if decision.action == "pause" and "rank" in numbers:
            rank = numbers["rank"] / numbers["of"]
            self._cover.pause(trial.trial_id, trial.config, point, record.value, rank)
        return decision

    def propose(self, number: int) -> Proposal:
        """Return what the model proposed, or a random point; now and then a survivor."""
        if self._is_due(number):
            return self._later[0]
        generator = np.random.default_rng([self.seed, number])
        if self._stock and generator.random() >= RANDOM_SHARE:
            return self._stock[0], self._searcher
        in_focus = generator.random() < FOCUS_SHARE
        space = self.living.focus if in_focus else self.living.whole
        config = space.from_unit(generator.random(len(space.searched)))
        best = best_config(self.seen.observations()) if self._group else None
        return hold_config(self.living.whole, config, best, self._group), "random"

    def started(self, event: Trial | Promotion) -> None:
        """Take a proposal that is tried from the stock."""
        super().started(event)
        if isinstance(event, Promotion):
            self._cover.leave(event.trial_id)
            self._cover.reach(self.history[event.trial_id].trial.config, event.rung)
        else:
            self._again.pop(name_of(event.config), None)
            self._cover.started(event.config, event.source)
            if event.is_drawn:
                self._drawn.add(name_of(event.config))
            if event.source.startswith(LOOK):
                self._looked.append(event.config)
                self._stock = deque(c for c in self._stock if c != event.config)
            if self._later and event.source == self._later[0][1]:
                self._later.popleft()
            if event.source == self._searcher and self._stock:
                self._stock.popleft()

    def wants(self) -> Asked | None:
        """Ask the model for a batch when two thirds of the last one are used up.

        The rest bridges the time of thinking: what is tried, and in which order, then doesn't
        depend on when the answer comes.
        """
        is_stocked = len(self._stock) > self._batch // 3
        too_early = len(self.seen) < MIN_OBSERVATIONS or not self.space.searched
        if self._question is not None or is_stocked or too_early:
            return None
        return Asked(self._num_answers)

    @property
    def question(self) -> Callable[[], Proposals] | None:
        """What the model was asked and hasn't answered yet."""
        return self._question

    @property
    def has_proposals(self) -> bool:
        """Whether the stock holds some."""
        return bool(self._stock)

    def ask_model(self) -> None:
        """Put a question that rests on what is known now."""
        changes = self._reconsider() if self._is_living else []
        living = LivingSpace(self.living.whole, self.living.focus)
        living.apply(changes)
        question = Question(
            space=living.whole,
            focus=living.focus,
            observations=tuple(self.seen.observations()),
            rungs=self.ladder.rungs,
            num=self._batch,
            running=(*(trial.config for trial in self.running.values()), *self._stock),
            again=tuple(self._again.values()),
            wordless=tuple(self._wordless),
            state=() if changes else self._state,
            seed=(self.seed, self._num_answers),
            group=self._group,
            by_time=self._by_time,
            max_seconds_per_sample=self._limit_of_speed.seconds_per_sample,
        )
        self._question = partial(_answer, self._searcher, question, changes)

    def _reconsider(self) -> list[Change]:
        """Return what the best speak for, and what can't be trusted of coarse's narrowing."""
        drawn = [c for name, c in self.seen.ranked().items() if name in self._drawn]
        changes = self.living.reconsider(self.seen.best(NUM_BEST), drawn)
        refuted = self._refuted()
        if refuted is None:
            return changes
        found = refuted.correlation.describe()
        why = f"coarse's order doesn't hold on fine's rows, {found}: taken back"
        changed = {change.dimension for change in changes}
        return [*changes, *self.living.taken_back(why, changed)]

    def _refuted(self) -> Trust | None:
        """Return what speaks against coarse's order, where the survivors have told more of it."""
        if not self._survivors_told:
            return None
        self._survivors_told = False
        rungs = self.ladder.common
        measured = between_rows(self._coarse, self.history, rungs, self._sizes)
        return next((trust for trust in reversed(measured) if trust.is_refuted), None)

    def left(self, record: Record) -> None:
        """Take note that a survivor has come to a rung, or that a trial ended without a word."""
        self._survivors_told |= record.trial.source.startswith(SURVIVOR)
        if is_wordless(record, self.rungs[0]):
            self._wordless.append(record.trial.config)

    @property
    def _group(self) -> Group | None:
        """The group whose turn it is."""
        turn = self._num_answers // BATCHES_PER_GROUP
        return self._groups[turn % len(self._groups)] if self._groups else None

    def take(self, proposals: Proposals) -> None:
        """Take up the model's batch, and the space that it was proposed from."""
        self.living.apply([Change(**change) for change in proposals.changes])
        self._stock.extend(c for c in proposals.configs if c not in self._looked)
        self._state = proposals.state
        self._num_answers += 1
        self._question = None


def _worth_another_try(
    coarse: History, ladder: Ladder, flat: Mapping[str, Config]
) -> dict[str, Config]:
    """Return configurations by name that coarse hasn't trained in full."""
    best = [each.trial.config for each in rank_records(coarse, ladder.coarse)[:MAX_AGAIN]]
    return {name_of(config): config for config in [*best, *list(flat.values())[:MAX_AGAIN]]}


def _answer(searcher: str, question: Question, changes: list[Change]) -> Proposals:
    # Small matrices on busy cores: a second thread only waits for the first. And one thread's sums
    # are the same on every machine.
    with _linear_algebra().limit(limits=1, user_api="blas"):
        answer = SEARCHERS[searcher](question)
    return replace(answer, changes=tuple(change.to_json() for change in changes))


@cache
def _linear_algebra() -> ThreadpoolController:
    return ThreadpoolController()
