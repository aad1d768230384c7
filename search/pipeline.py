"""The craft, in order.

Look at the data and the model first. Search wide and short on a stratified subsample, then
narrow on evidence, then search long. Prove the winner on all the data against the published
default. Explain every decision.

Each stage leaves its files in the run directory and reads only those of earlier stages; a stage
whose files are there is not done again. That is all there is to resuming. What the stages are
made of is in :mod:`search.stages`; what is decided in them, in :mod:`search.strategy`.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from search.artifacts import read_space, write_space
from search.data import DataOptions
from search.data.phase_rows import describe_divisions
from search.data.source import read_table
from search.errors import Interrupted, RunFailed, SieveError
from search.execution.clock import RunClock
from search.execution.forecast import foresee
from search.execution.session import RaySession
from search.execution.worlds import GuessedWorld
from search.insight.failures import explain_nothing_converged
from search.rundir import RunDir
from search.space import Space
from search.stages.audit import Audit
from search.stages.conclusion import Conclusion
from search.stages.material import Material, load_material
from search.stages.phases import Phases
from search.stages.run_context import Display, RunContext
from search.stages.start import Start
from search.strategy.budget import Plan
from search.strategy.deadline import Deadline
from search.strategy.method import Method
from search.strategy.proof import ProofPlan
from search.study import Study
from search.trials import History


class Run:
    """One run: a study, a run directory, and the stages in order.

    Args:
        study: What to do.
        run_dir: Where everything is written.
        display: Who is told.
        address: Of a Ray cluster; None: a local one.
        repair: Accept a damaged event log, keeping what stands before the damage.
        search_path: Folders from which workers import the model module.
    """

    def __init__(
        self,
        study: Study,
        run_dir: RunDir,
        display: Display,
        *,
        address: str | None = None,
        repair: bool = False,
        search_path: tuple[str, ...] = (),
    ) -> None:
        clock = RunClock(run_dir.elapsed(repair=repair))
        self._run = RunContext(study, run_dir, display, clock, repair, search_path)
        self._address = address
        self._audit = Audit(self._run)
        self._conclusion: Conclusion | None = None

    def go(self) -> dict[str, Any]:
        """Do all stages that aren't done yet; return what ``result.json`` holds.

        Raises:
            SieveError: Something is wrong that the user can mend.
            Interrupted: A signal came; everything so far is saved.
        """
        try:
            with self._run.stop, ExitStack() as stack:
                material = self.look_at_data()
                start = Start(self._run, material, self._address)
                stack.enter_context(start.ray)
                start.check_cluster()
                found = start.preflight()
                self._audit.heed()
                start.heed(found)
                material, plan = start.fit_space(), start.make_plan()
                conclusion = self._conclusion = Conclusion(self._run, material, plan)
                search = Search(self._run, material, plan, start.ray)
                coarse = search.coarse()
                conclusion.look_at_default(coarse)
                focus = search.narrow(coarse)
                search.shorten(coarse)
                fine = search.fine(focus, coarse)
                confirmed = search.confirm(coarse, fine)
        except (Interrupted, RunFailed, KeyboardInterrupt) as error:
            if self._conclusion is not None:
                self._conclusion.leave_unfinished(error)
            raise
        return conclusion.prove(confirmed)

    def look_ahead(self) -> dict[str, Any]:
        """Say what the run would come to: only what measures the speed is trained.

        Returns:
            A forecast as JSON, with the plan (``plan``) and its words (``describe``).

        Raises:
            SieveError: Something is wrong that the user can mend.
        """
        study, clock = self._run.study, self._run.clock
        with self._run.stop, ExitStack() as stack:
            material = self.look_at_data(audited=False)
            start = Start(self._run, material, self._address)
            stack.enter_context(start.ray)
            speed, plan = start.look_ahead()
        # Guessed curves get no verdict.
        method = Method.of(study, material.space, material.defaults, replace(plan, chance=None))
        world = GuessedWorld(speed)
        foreseen = foresee(method, plan, world, elapsed=clock.elapsed(), thinks=False)
        return {**foreseen.to_json(), "plan": plan.to_json(), "describe": plan.describe()}

    def look_at_data(self, *, audited: bool = True) -> Material:
        """Read the data, look for what is wrong with them, and whether the model fits them.

        Args:
            audited: Audit them, unless the study says otherwise or an earlier session has.
        """
        options = DataOptions.of(self._run.study.data, self._run.study.seed)
        table = read_table(options.uri)
        if audited:
            self._audit.start(table, options)
        try:
            material = load_material(self._run, table, options)
        except SieveError:
            self._audit.heed()  # it may say why
            raise
        self._audit.heed_if_small()
        return material


class Search:
    """Coarse, narrow, fine, confirm.

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
        self._method = Method.of(run.study, material.space, material.defaults, plan, material.first)
        self._phases = Phases(run, material, plan, ray)

    def coarse(self) -> History:
        """Wide and short: defaults and Sobol points under ASHA, on a subsample."""
        return self._phases.run(self._method.coarse(), lambda: self._plan.coarse_ends_at)

    def narrow(self, coarse: History) -> Space:
        """From the survivors to where fine looks first, each change with its evidence."""
        run = self._run
        space = read_space(run.dir, 1)
        if space is not None:
            return space
        narrowed = self._method.narrow(coarse)
        if narrowed is None:
            raise RunFailed(explain_nothing_converged(coarse))
        run.say_changes(narrowed.changes)
        write_space(run.dir, 1, narrowed.focus, narrowed.changes)
        return narrowed.focus

    def shorten(self, coarse: History) -> None:
        """Where the best trainings were over soon, what follows is shorter."""
        self._method, why = self._method.after(coarse)
        if why is not None and not self._run.dir.exists("fine"):
            self._run.say("narrow", "shorter", why)

    def fine(self, focus: Space, coarse: History) -> History:
        """Narrow and long: the survivors again, then a model's proposals, under ASHA."""
        strategy, method, plan = self._method.fine(focus, coarse), self._method, self._plan
        deadline = Deadline(lambda: method.fine_ends_at(coarse, strategy.history, plan))
        return self._phases.run(strategy, lambda: deadline.at(self._run.clock.elapsed()))

    def confirm(self, coarse: History, fine: History) -> History:
        """Finalists and baseline, several seeds each, on all the data; the test rows' only use."""
        proof = self._method.proof(coarse, fine, self._plan)
        if not self._run.dir.exists("confirm"):
            self._explain(proof)
        strategy = self._method.confirm(proof, len(self._material.rows.fresh))
        return self._phases.run(strategy, lambda: float("inf"))

    def _explain(self, proof: ProofPlan) -> None:
        run = self._run
        for candidate in proof.candidates:
            run.say("confirm", "candidate", candidate.why)
        if other := proof.describe():
            run.say("confirm", "length", other, samples=proof.samples)
        if fresh := self._material.rows.fresh:
            run.say("confirm", "divisions", describe_divisions(fresh), quiet=True)
