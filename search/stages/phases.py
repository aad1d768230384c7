"""Carries the search's phases and the proof out on Ray, and leaves their tables and verdicts."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Literal

from search.artifacts import read_changes, write_space, write_tables, write_trust
from search.data.phase_rows import Rows
from search.events import Phase
from search.execution.context import PhaseContext
from search.execution.driver import PhaseDriver
from search.execution.session import RaySession
from search.execution.shelf import Shelf
from search.insight.curves import describe as describe_verdicts
from search.insight.failures import explain_nothing_learnt
from search.rundir import DONE
from search.stages.material import Material
from search.stages.phase_context import make_phase_context, num_workers
from search.stages.run_context import RunContext
from search.strategy.budget import Plan
from search.strategy.fine import FinePhase
from search.strategy.grid import GridPhase, few_configs
from search.strategy.phase import PhaseStrategy
from search.strategy.trust import describe_too_few
from search.training.smoke import SHARE, SmokeRung
from search.trials import History


class Phases:
    """Carries out one phase after the other, in the processes that have measured before.

    Args:
        run: The run.
        material: Its data and model.
        plan: The budget's division.
        ray: Where trials run.
    """

    def __init__(self, run: RunContext, material: Material, plan: Plan, ray: RaySession) -> None:
        self._run = run
        self._material = material
        self._plan = plan
        self._ray = ray

    def run(self, strategy: PhaseStrategy, ends_at: Callable[[], float]) -> History:
        """Carry a phase out, unless that is done already.

        Args:
            strategy: The phase.
            ends_at: When it starts no more trials, in run time.

        Raises:
            Interrupted: A signal came.
            Unwritable: The run directory's disk or storage has no room, or doesn't answer.
        """
        run, phase = self._run, strategy.phase
        if run.dir.exists(f"{phase}/{DONE}"):
            return History(run.dir.events(phase, repair=run.repair))
        self._announce(strategy, ends_at() - run.clock.elapsed())
        self._ray.experiment.run_phase(self._driver(strategy, ends_at), self._context(phase))
        run.dir.fetch(f"{phase}/trials")
        run.stop.check()
        self._leave_space(strategy)
        self._tell_what_it_showed(strategy)
        run.dir.write_json(f"{phase}/{DONE}", {"num_trials": len(strategy.history)})
        run.display.phase_ended(phase, time.time())
        return strategy.history

    def _announce(self, strategy: PhaseStrategy, left: float) -> None:
        now = time.time()
        ends_by = now + left if left < float("inf") else None
        self._run.display.phase_started(
            strategy.phase, at=now, ends_by=ends_by, num_trials=strategy.num_trials
        )
        few = few_configs(strategy.space) if isinstance(strategy, GridPhase) else None
        if few is not None and not self._run.dir.exists(strategy.phase):
            why = f"configurations in the whole space: {few}; each is tried once in this phase"
            self._run.say(strategy.phase, "grid", why)

    def _driver(self, strategy: PhaseStrategy, ends_at: Callable[[], float]) -> PhaseDriver:
        run, phase = self._run, strategy.phase
        workers = num_workers(run, phase)
        return PhaseDriver(
            strategy,
            run.dir,
            clock=run.clock,
            slots=lambda: self._ray.slots() // workers,
            ends_at=ends_at,
            stop_requested=run.stop.requested,
            observer=run.display,
            repair=run.repair,
            shelf=Shelf(
                run.dir.trial_storage(phase) or run.dir.trial_folder(phase),
                run.study.training.max_checkpoint_bytes,
                run.dir.after_events,
            ),
            book=self._ray.book,
        )

    def _leave_space(self, strategy: PhaseStrategy) -> None:
        if isinstance(strategy, FinePhase) and strategy.living.changes:
            changes = [*read_changes(self._run.dir, 1), *strategy.living.changes]
            write_space(self._run.dir, 2, strategy.living.focus, changes)

    def _tell_what_it_showed(self, strategy: PhaseStrategy) -> None:
        run, phase = self._run, strategy.phase
        if isinstance(strategy, GridPhase) and (rest := strategy.describe_rest()):
            run.say(phase, "grid", rest)
        verdicts = write_tables(run.dir, strategy.history, phase, self._plan)
        if said := describe_verdicts(verdicts.values()):
            run.say(phase, "verdicts", f"curves: {said}")
        if phase != "confirm":
            if why := explain_nothing_learnt(strategy.history, self._plan.chance):
                run.say(phase, "chance", why)
            self._tell_trust(phase)
        if phase == "coarse" and self._smoke_rung is not None:
            run.say(phase, "smoke", self._smoke_rung.describe(list(strategy.history)))

    def _tell_trust(self, phase: Literal["coarse", "fine"]) -> None:
        measured = write_trust(self._run.dir, self._plan, phase)
        for trust in measured:
            self._run.say(phase, "trust", trust.describe(), **trust.to_json())
        if not measured:
            self._run.say(phase, "trust", describe_too_few(phase), quiet=True)

    def _context(self, phase: Phase) -> PhaseContext:
        plan, rows = self._plan, self._material.rows
        share = plan.evaluated_share
        match phase:
            case "coarse":
                nested = [rows.search(size, share) for size in plan.coarse_sizes]
                context = self._shared(phase, nested, plan.ladder.coarse)
                return replace(context, smoke_rung=self._smoke_rung)
            case "fine":
                # All rungs: its ladder is shortened where its trainings are.
                parts = [rows.search(plan.fine_rows, share)]
                return self._shared(phase, parts, plan.ladder.rungs)
            case "confirm":
                return self._shared(phase, rows.confirm())

    def _shared(
        self, phase: Phase, parts: list[dict[str, Rows]], rungs: tuple[int, ...] = ()
    ) -> PhaseContext:
        limit = self._plan.speed_limit if rungs else None
        return make_phase_context(
            self._run, self._material, self._ray.resources, phase, parts, rungs, limit
        )

    @cached_property
    def _smoke_rung(self) -> SmokeRung | None:
        number, plan = self._run.study.coarse.classes, self._plan
        if number is None:
            return None
        rows = self._material.rows.few_classes(number, plan.coarse_rows)
        return SmokeRung(number, max(1, plan.ladder.base // SHARE), rows)
