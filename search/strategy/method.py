"""The method that a study describes: which phases there are, and what each leaves to the next.

A run on Ray, a simulation and the benchmarks take their phases from here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from search.space import Dimension, Space
from search.strategy.advice import advise, agreement, shorter
from search.strategy.budget import Ladder, Plan
from search.strategy.change import Change
from search.strategy.coarse import CoarsePhase, default_proposals
from search.strategy.confirm import ConfirmPhase, choose_candidates
from search.strategy.fine import FinePhase, first_proposals
from search.strategy.grid import FEW, GridPhase, few_configs
from search.strategy.groups import Group, groups_by_importance
from search.strategy.narrow import choose_survivors, gather_evidence, narrow, widened
from search.strategy.proof import ProofPlan
from search.strategy.search_phase import Proposal, SearchPhase
from search.strategy.watch import Watch
from search.study import Study
from search.task import Default
from search.trials import History


@dataclass(frozen=True)
class Narrowed:
    """The space after coarse.

    Attributes:
        focus: Where fine looks first.
        changes: One for every dimension; none where the study keeps the space.
    """

    focus: Space
    changes: list[Change]


@dataclass(frozen=True)
class Method:
    """Coarse, narrow, fine and confirm as a study wants them.

    Attributes:
        study: The study.
        space: The whole space.
        defaults: Published configurations.
        ladder: The rungs of the whole run.
        coarse_trials: Limit of the number of trials; None: time alone.
        fine_trials: Likewise.
        slots: Trials at a time.
        max_run_seconds: Stop a trial whose full run would take longer.
        chance: Loss of the best prediction that ignores the inputs; None where it isn't known:
            curves then get no verdict.
        sizes: Training rows of coarse's nested subsamples; none: they aren't questioned.
        first: A dimension as coarse is to look at it first; None: none.
    """

    study: Study
    space: Space
    defaults: Sequence[Default]
    ladder: Ladder
    coarse_trials: int | None = None
    fine_trials: int | None = None
    slots: int = 1
    max_run_seconds: float = math.inf
    chance: float | None = None
    sizes: tuple[int, ...] = ()
    first: Dimension | None = None

    @classmethod
    def of(
        cls,
        study: Study,
        space: Space,
        defaults: Sequence[Default],
        plan: Plan,
        first: Dimension | None = None,
    ) -> Method:
        """Return the method with the budget that a plan gives it."""
        return cls(
            study=study,
            space=space,
            defaults=defaults,
            ladder=plan.ladder,
            coarse_trials=plan.coarse_trials,
            fine_trials=plan.fine_trials,
            slots=plan.slots,
            max_run_seconds=plan.max_run_seconds,
            chance=plan.chance if study.verdicts else None,
            sizes=plan.coarse_sizes,
            first=first,
        )

    @cached_property
    def few(self) -> int | None:
        """How many configurations there are, where they are so few that each is tried; or None."""
        return few_configs(self.space)

    def coarse(self) -> SearchPhase:
        """Wide and short: the defaults, and Sobol points or a grid, under ASHA."""
        if self.study.coarse.searcher == "grid" or self.few is not None:
            given = default_proposals(self.space, self.defaults)
            return self._grid("coarse", self.space, self.ladder.coarse, given, Watch(self.chance))
        return CoarsePhase(
            self.space,
            self.defaults,
            self.ladder,
            num_trials=self.coarse_trials,
            seed=self.study.seed,
            max_run_seconds=self.max_run_seconds,
            num_brackets=self.study.budget.num_brackets,
            watch=Watch(self.chance),
            sizes=self.sizes,
            by_group=self.study.coarse.order == "by-group",
            first=self.first,
        )

    def narrow(self, coarse: History) -> Narrowed | None:
        """From the survivors to where fine looks first; None when no trial survived."""
        evidence = gather_evidence(
            self.space,
            coarse,
            self.ladder,
            share=self.study.narrow.survivors,
            seed=self.study.seed,
        )
        if not evidence.survivors:
            return None
        if not self.study.narrow.enabled:
            return Narrowed(self.space, [])
        focus, changes = narrow(self.space, evidence)
        focus, moved = advise(focus, self.space, agreement(evidence.survivors, self.chance))
        return Narrowed(focus, [*changes, *moved])

    def after(self, coarse: History) -> tuple[Method, str | None]:
        """Return the method from here on, and why it differs from this one; None where it doesn't.

        Where most survivors of coarse were at their best within a tenth of their training, what
        follows is a rung shorter: fine and the proof. Not where the study sets the length, nor
        where fine has more rows than coarse had: on few rows a training is over sooner.
        """
        if self.study.budget.full_epochs is not None or len(self.sizes) != 1:
            return self, None
        survivors = choose_survivors(coarse.ended, self.ladder, self.study.narrow.survivors)
        why = shorter(agreement(survivors, self.chance))
        if why is None:
            return self, None
        ladder = self.ladder.shorter
        words = f"{why}: from here on a full run has {ladder.full:,} training samples"
        return replace(self, ladder=ladder), f"{words} instead of {self.ladder.full:,}"

    def fine(self, focus: Space, coarse: History) -> SearchPhase:
        """Narrow and long: the survivors again, then a model's proposals or a grid, under ASHA."""
        if self.study.fine.searcher == "grid" or self.few is not None:
            space = focus if self.few is None else self.space
            given = first_proposals(coarse, self.ladder)
            watch = Watch.after(self.chance, coarse)
            return self._grid("fine", space, self._fine_rungs, given, watch)
        return FinePhase(
            widened(self.space, focus),
            focus,
            first_proposals(coarse, self.ladder),
            coarse,
            self.ladder,
            num_trials=self.fine_trials,
            searcher=self.study.fine.searcher,
            slots=self.slots,
            is_living=self.study.narrow.enabled,
            groups=self._groups(coarse),
            by_time=self.study.time_budget is not None,
            seed=self.study.seed,
            max_run_seconds=self.max_run_seconds,
            num_brackets=self.study.budget.num_brackets,
            watch=Watch.after(self.chance, coarse),
            sizes=self.sizes,
        )

    def _grid(
        self,
        phase: Literal["coarse", "fine"],
        space: Space,
        rungs: tuple[int, ...],
        given: Sequence[Proposal],
        watch: Watch,
    ) -> GridPhase:
        return GridPhase(
            phase,
            space,
            self.ladder,
            rungs,
            given,
            num_points=self.study.grid_points if self.few is None else FEW,
            num_trials=self.coarse_trials if phase == "coarse" else self.fine_trials,
            seed=self.study.seed + (phase == "fine"),
            max_run_seconds=self.max_run_seconds,
            num_brackets=self.study.budget.num_brackets,
            watch=watch,
        )

    @property
    def _fine_rungs(self) -> tuple[int, ...]:
        """So many that one of few trials comes to the last."""
        num_rungs = len(self.ladder.fine)
        if self.few is not None:
            num_rungs = min(num_rungs, 1 + int(math.log(self.few, self.ladder.factor) + 1e-9))
        return self.ladder.fine[-num_rungs:]

    def _groups(self, coarse: History) -> Sequence[Group]:
        if self.study.fine.order == "together":
            return ()
        return groups_by_importance(self.space, coarse, self.ladder, seed=self.study.seed)

    def fine_ends_at(self, coarse: History, fine: History, plan: Plan) -> float:
        """Return when fine must end, in run time, so that the proof fits in."""
        return plan.time_budget_s - self.proof(coarse, fine, plan).seconds

    def proof(self, coarse: History, fine: History, plan: Plan) -> ProofPlan:
        """Finalists and baseline, as they would be chosen now, and how long they would train."""
        wanted = self.study.confirm
        number = wanted.num_finalists
        candidates = choose_candidates(coarse, fine, self.defaults, self.ladder, number)
        plan = replace(plan, ladder=self.ladder)
        return ProofPlan(candidates, plan, number + 1, wanted.num_seeds)

    def confirm(self, proof: ProofPlan, num_divisions: int = 0) -> ConfirmPhase:
        """Every candidate over several seeds, in full; see :class:`ConfirmPhase`."""
        return ConfirmPhase(
            proof.candidates,
            self.ladder,
            num_seeds=proof.num_seeds,
            seed=self.study.seed,
            samples=proof.samples,
            num_divisions=num_divisions,
        )
