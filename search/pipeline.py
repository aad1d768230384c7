"""The craft, in order.

Look at the data and the model first. Search wide and short on a stratified subsample, then
narrow on evidence, then search long. Prove the winner on all the data against the published
default. Explain every decision.

Each stage leaves its files in the run directory and reads only those of earlier stages; a stage
whose files are there is not done again. That is all there is to resuming.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol

import pyarrow as pa

from search.artifacts import (
    Status,
    read_changes,
    read_space,
    space_file,
    write_provenance,
    write_result,
    write_space,
    write_tables,
    write_trust,
)
from search.best import read_confirmed, write_best, write_ensemble
from search.data import DataOptions, Dataset, prepare_dataset
from search.data.audit import audit_table
from search.data.batches import Resident
from search.data.columns import joined
from search.data.features import Features, num_rows_to_keep
from search.data.phase_rows import RowPlan, check_classes, describe_divisions
from search.data.source import read_table
from search.errors import Interrupted, RunDirError, RunFailed, SieveError, Unwritable
from search.execution.capacity import check_workers
from search.execution.clock import RunClock
from search.execution.context import PhaseContext
from search.execution.driver import Observer, PhaseDriver
from search.execution.forecast import foresee
from search.execution.session import RaySession
from search.execution.shelf import Shelf, check_room
from search.execution.signals import StopRequest
from search.execution.worlds import GuessedWorld
from search.findings import Finding, failures
from search.insight.curves import describe as describe_verdicts
from search.insight.ensemble import choose_ensemble
from search.insight.evidence import Account, Evidence
from search.insight.failures import explain_nothing_converged
from search.insight.findings import check_names, describe, explain_failures
from search.insight.result import Confirmed, Proof, group_confirmed, prove
from search.insight.selection import NoEnsemble
from search.insight.truth import Truth
from search.rundir import (
    AFTER,
    AUDIT,
    BEFORE,
    CLUSTER,
    DONE,
    PLAN,
    PREFLIGHT,
    PROVENANCE,
    SUBSAMPLE,
    RunDir,
)
from search.space import Space, apply_overrides
from search.speed import Speed
from search.strategy.budget import Plan, make_plan
from search.strategy.change import Change
from search.strategy.confirm import best_default
from search.strategy.deadline import Deadline
from search.strategy.fine import FinePhase
from search.strategy.grid import GridPhase, check_grids
from search.strategy.measured import fitting
from search.strategy.method import Method
from search.strategy.narrow import summarise
from search.strategy.phase import PhaseStrategy
from search.strategy.proof import ProofPlan
from search.strategy.trust import describe_too_few
from search.study import Study
from search.task import ModelModule, load_model
from search.training.check import look_at_network
from search.training.job import Rows
from search.training.preflight import preflight_seconds
from search.training.scoring import METRICS, chance_loss, resolve_metric
from search.training.smoke import SHARE, SmokeRung
from search.trials import History, Phase

if TYPE_CHECKING:
    from search.execution.experiment import Experiment


class Display(Observer, Protocol):
    """Who is told of the run's course.

    Attributes:
        metric: Set when the data have told the task.
        mode: Likewise.
    """

    metric: str
    mode: Literal["max", "min"]

    def phase_started(
        self, phase: str, *, at: float, ends_by: float | None, num_trials: int | None
    ) -> None:
        """A phase began."""

    def phase_ended(self, phase: str, at: float) -> None:
        """A phase ended."""


class Run:
    """One run: a study, a run directory, and the stages in order.

    Args:
        study: What to do.
        run_dir: Where everything is written.
        display: Who is told; made when the metric is known.
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
        self.study = study
        self.dir = run_dir
        self.display = display
        self.clock = RunClock(run_dir.elapsed(repair=repair))
        self._address = address
        self._repair = repair
        self._search_path = search_path
        self._stop = StopRequest()

    def go(self) -> dict[str, Any]:
        """Do all stages that aren't done yet; return what ``result.json`` holds.

        Raises:
            SieveError: Something is wrong that the user can mend.
            Interrupted: A signal came; everything so far is saved.
        """
        try:
            with self._stop, ExitStack() as stack:
                self.audit()
                self.load_data()
                self.check_model()
                self.ray = stack.enter_context(self._ray_session())
                self.check_cluster()
                self.preflight()
                self.heed_memory()
                self.plan = self.make_plan()
                self.method = self._method(self.plan)
                coarse = self.search_coarse()
                self.look_at_default(coarse)
                space = self.narrow(coarse)
                fine = self.search_fine(space, coarse)
                confirmed = self.confirm(coarse, fine)
        except (Interrupted, RunFailed, KeyboardInterrupt) as error:
            self._leave_unfinished(error)
            raise
        return self.prove(confirmed)

    def look_ahead(self) -> dict[str, Any]:
        """Say what the run would come to: only what measures the speed is trained.

        Returns:
            A forecast as JSON, with the plan (``plan``) and its words (``describe``).

        Raises:
            SieveError: Something is wrong that the user can mend.
        """
        with self._stop, ExitStack() as stack:
            self.load_data()
            self.check_model()
            self.ray = stack.enter_context(self._ray_session())
            speed = self._measure_speed()
            plan = self._divide(speed)
        # Guessed curves get no verdict.
        method = self._method(replace(plan, chance=None))
        foreseen = foresee(
            method, plan, GuessedWorld(speed), elapsed=self.clock.elapsed(), thinks=False
        )
        return {**foreseen.to_json(), "plan": plan.to_json(), "describe": plan.describe()}

    def _ray_session(self) -> RaySession:
        return RaySession(
            self.study,
            self.data,
            self._address,
            self._stop.arm,
            tell=lambda words: self._say("cluster", "machines", words),
            go_on=self._stop.check,
        )

    # ------------------------------------------------------------------ before the search

    @cached_property
    def _options(self) -> DataOptions:
        return DataOptions.of(self.study.data, self.study.seed)

    @cached_property
    def _table(self) -> pa.Table:
        return read_table(self._options.uri)

    def audit(self) -> None:
        """Look for what is wrong with the data; a failure that isn't accepted stops the run."""
        check_names(self.study.checks.accept)
        if self.study.checks.audit and not self.dir.exists(PROVENANCE):
            findings = audit_table(self._table, self._options)
            self.dir.write_json(AUDIT, [finding.to_json() for finding in findings])
            self._heed("audit", findings, AUDIT)

    def _heed(self, stage: str, findings: list[Finding], file: str) -> None:
        accepted = self.study.checks.accept
        for finding in findings:
            if finding.status != "PASS":
                message = f"{finding.check}: {finding.message}"
                self._say(stage, finding.status.lower(), message, quiet=True)
        self._say(stage, stage, f"{stage}: {describe(findings, accepted)}")
        if failed := failures(findings, accepted):
            raise RunFailed(explain_failures(failed, stage, f"{self.dir.place}/{file}"))

    def load_data(self) -> None:
        """Read, split and prepare the data; refuse other data than an earlier session's."""
        self.data: Dataset = prepare_dataset(self._table, self._options)
        check_classes(self.study.coarse.classes, self.data.spec)
        num_seeds = self.study.confirm.num_seeds
        self.rows = RowPlan.of(self.data, seed=self.study.seed, num_fresh=num_seeds)
        self.evidence = Evidence(self.dir, self.data, self._features())
        del self._table
        self.metric = resolve_metric(self.study.metric, self.data.spec.task)
        self.display.metric, self.display.mode = self.metric, self._mode
        if not self.dir.exists(PROVENANCE):
            for warning in self.data.warnings:
                self._say("data", "warning", warning)
        write_provenance(self.dir, self.study.data, self.data)

    def _features(self) -> Features:
        """What the rows hold by which trials are judged: all that is kept of the table itself."""
        schema, spec = self.data.schema, self.data.spec
        num_rows = num_rows_to_keep(len(schema.kinds), spec.num_outputs)
        return Features.of(self._table, schema, self.rows.judged(num_rows))

    def check_model(self) -> None:
        """Load the model module and look whether its network fits the data."""
        self.model: ModelModule = load_model(self.study.model)
        spec = self.data.spec
        self.space = apply_overrides(self.model.space(spec), self.study.space)
        check_grids(self.study, self.space)
        self.defaults = self.model.defaults(spec)
        look = self.rows.search(64)
        data = Resident(self.data, "cpu")
        first = self.defaults[0].config
        self._num_parameters = look_at_network(self.model, first, spec, data, Rows.of(look))
        if not self.dir.exists(space_file(0)):
            write_space(self.dir, 0, self.space, defaults=self.defaults)

    def check_cluster(self) -> None:
        """Refuse a cluster whose nodes differ, or don't all see the run directory."""
        findings = self.ray.check_nodes(self.dir.place)
        if findings:
            self.dir.write_json(CLUSTER, [finding.to_json() for finding in findings])
            self._heed("cluster", findings, CLUSTER)

    def preflight(self) -> None:
        """Look for what is wrong with the model, and measure what training costs here."""
        if self.dir.exists(PLAN):
            return
        budget = self.study.time_budget
        findings: list[Finding] = []
        if self.study.checks.preflight:
            findings = self.ray.preflight(self._context_to_look(), preflight_seconds(budget))
        speed = self._measure_speed() if budget is not None else None
        measured = None if speed is None else speed.to_json()
        found = [finding.to_json() for finding in findings]
        self.dir.write_json(PREFLIGHT, {"speed": measured, "findings": found})
        self._heed("preflight", findings, PREFLIGHT)

    def heed_memory(self) -> None:
        """Leave out of the space what the preflight has seen no room for."""
        found = [Finding.from_json(each) for each in self.dir.read_json(PREFLIGHT)["findings"]]
        self.space, changes = fitting(self.space, found)
        if changes and not self.dir.exists(PLAN):
            write_space(self.dir, 0, self.space, changes, self.defaults)
            self._say_changes(changes)

    def make_plan(self) -> Plan:
        """Divide the budget between the phases."""
        if self.dir.exists(PLAN):
            return Plan.from_json(self.dir.read_json(PLAN))
        check_workers(self.study.confirm.workers_per_run, self.ray.resources.slots)
        limit = self.study.training.max_checkpoint_bytes
        measured = self.dir.read_json(PREFLIGHT)["speed"]
        plan = self._divide(None if measured is None else Speed(**measured))
        self.dir.write_json(SUBSAMPLE, self.rows.describe(plan.coarse_rows, plan.fine_rows))
        self.dir.write_json(PLAN, plan.to_json())
        self._say("plan", "plan", plan.describe(), **plan.to_json())
        if room := check_room(limit, self._num_parameters, plan.slots):
            self._say("plan", "room", room)
        return plan

    def _measure_speed(self) -> Speed:
        return self.ray.measure_speed(self._context_to_look())

    def _context_to_look(self) -> PhaseContext:
        return self._context("coarse", [self.rows.search(len(self.rows.train))])

    def _method(self, plan: Plan) -> Method:
        return Method.of(self.study, self.space, self.defaults, plan)

    def _divide(self, speed: Speed | None) -> Plan:
        return make_plan(
            self.study,
            num_rows=len(self.rows.train),
            speed=speed,
            slots=self.ray.resources.slots,
            elapsed=self.clock.elapsed(),
            chance=chance_loss(self.data, self.rows.train, self.rows.validation),
            full_epochs=self.model.full_epochs,
        )

    # ------------------------------------------------------------------ the search

    def search_coarse(self) -> History:
        """Wide and short: defaults and Sobol points under ASHA, on a subsample."""
        return self._run_phase(self.method.coarse(), lambda: self.plan.coarse_ends_at)

    def look_at_default(self, coarse: History) -> None:
        """Where the best published default errs: know it before tuning it."""
        if not self.dir.exists(BEFORE):
            default = best_default(coarse, self.plan.ladder)
            self._account(BEFORE, lambda: self.evidence.before(default))

    def look_at_winner(self, proof: Proof) -> None:
        """Where the winner errs: what tuning has mended, and what it can't."""
        if "missing" in self._said_before():
            self._account(BEFORE, lambda: self.evidence.before_by(proof))
        self._account(AFTER, lambda: self.evidence.after(proof, self._said_before()))

    def _said_before(self) -> dict[str, Any]:
        try:
            said: dict[str, Any] = self.dir.read_json(BEFORE)
        except RunDirError as error:
            return {"missing": str(error)}
        return said

    def _account(self, file: str, find: Callable[[], Account]) -> None:
        try:
            account = find()
        except Exception as error:  # an explanation that fails must not cost the run
            account = Account.missing(f"not found: {type(error).__name__}: {error}")
        self.dir.write_json(file, account.values)
        self._say("weakness", "weakness", account.line)

    def narrow(self, coarse: History) -> Space:
        """From the survivors to where fine looks first, each change with its evidence."""
        space = read_space(self.dir, 1)
        if space is not None:
            return space
        narrowed = self.method.narrow(coarse)
        if narrowed is None:
            raise RunFailed(explain_nothing_converged(coarse))
        self._say_changes(narrowed.changes)
        write_space(self.dir, 1, narrowed.focus, narrowed.changes)
        return narrowed.focus

    def _say_changes(self, changes: list[Change]) -> None:
        for change in changes:
            self._say("narrow", change.change, f"{change.dimension}: {change.why}", quiet=True)
        if changes:
            self._say("narrow", "narrowed", summarise(changes))

    def search_fine(self, focus: Space, coarse: History) -> History:
        """Narrow and long: the survivors again, then a model's proposals, under ASHA."""
        strategy = self.method.fine(focus, coarse)
        deadline = Deadline(lambda: self.method.fine_ends_at(coarse, strategy.history, self.plan))
        return self._run_phase(strategy, lambda: deadline.at(self.clock.elapsed()))

    def confirm(self, coarse: History, fine: History) -> History:
        """Finalists and baseline, several seeds each, on all the data; the test rows' only use."""
        proof = self.method.proof(coarse, fine, self.plan)
        if not self.dir.exists("confirm"):
            self._explain_proof(proof)
        strategy = self.method.confirm(proof, len(self.rows.fresh))
        return self._run_phase(strategy, lambda: float("inf"))

    def _explain_proof(self, proof: ProofPlan) -> None:
        for candidate in proof.candidates:
            self._say("confirm", "candidate", candidate.why)
        if other := proof.describe():
            self._say("confirm", "length", other, samples=proof.samples)
        if fresh := self.rows.fresh:
            self._say("confirm", "divisions", describe_divisions(fresh), quiet=True)

    def _run_phase(self, strategy: PhaseStrategy, ends_at: Callable[[], float]) -> History:
        phase = strategy.phase
        if self.dir.exists(f"{phase}/{DONE}"):
            return History(self.dir.events(phase, repair=self._repair))
        left = ends_at() - self.clock.elapsed()
        ends_by = time.time() + left if left < float("inf") else None
        self.display.phase_started(
            phase, at=time.time(), ends_by=ends_by, num_trials=strategy.num_trials
        )
        workers = self.study.confirm.workers_per_run if phase == "confirm" else 1
        driver = PhaseDriver(
            strategy,
            self.dir,
            clock=self.clock,
            slots=lambda: self.ray.slots() // workers,
            ends_at=ends_at,
            stop_requested=self._stop.requested,
            observer=self.display,
            repair=self._repair,
            shelf=Shelf(
                self.dir.trial_storage(phase) or self.dir.trial_folder(phase),
                self.study.training.max_checkpoint_bytes,
            ),
            book=self.ray.book,
        )
        self.experiment.run_phase(driver)
        self.dir.fetch(f"{phase}/trials")
        self._stop.check()
        if isinstance(strategy, FinePhase) and strategy.living.changes:
            changes = [*read_changes(self.dir, 1), *strategy.living.changes]
            write_space(self.dir, 2, strategy.living.focus, changes)
        if isinstance(strategy, GridPhase) and (rest := strategy.describe_rest()):
            self._say(phase, "grid", rest)
        verdicts = write_tables(self.dir, strategy.history, phase, self.plan)
        if said := describe_verdicts(verdicts.values()):
            self._say(phase, "verdicts", f"curves: {said}")
        if phase != "confirm":
            self._say_trust(phase)
        if phase == "coarse" and self._smoke_rung is not None:
            self._say(phase, "smoke", self._smoke_rung.describe(list(strategy.history)))
        self.dir.write_json(f"{phase}/{DONE}", {"num_trials": len(strategy.history)})
        self.display.phase_ended(phase, time.time())
        return strategy.history

    def _say_trust(self, phase: Literal["coarse", "fine"]) -> None:
        measured = write_trust(self.dir, self.plan, phase)
        for trust in measured:
            self._say(phase, "trust", trust.describe(), **trust.to_json())
        if not measured:
            self._say(phase, "trust", describe_too_few(phase), quiet=True)

    @cached_property
    def experiment(self) -> Experiment:
        """What carries the phases out; its processes start with the first one."""
        plan, rows = self.plan, self.rows
        nested = [rows.search(size) for size in plan.coarse_sizes]
        coarse = self._context("coarse", nested, plan.ladder.coarse)
        contexts = {
            "coarse": replace(coarse, smoke_rung=self._smoke_rung),
            "fine": self._context("fine", [rows.search(plan.fine_rows)], plan.ladder.fine),
            "confirm": self._context("confirm", rows.confirm()),
        }
        return self.ray.experiment(contexts, f"{self.dir.place}/ray")

    @cached_property
    def _smoke_rung(self) -> SmokeRung | None:
        number, plan = self.study.coarse.classes, self.plan
        if number is None:
            return None
        rows = self.rows.few_classes(number, plan.coarse_rows)
        return SmokeRung(number, max(1, plan.ladder.base // SHARE), rows)

    def _context(
        self, phase: Phase, rows: list[dict[str, Any]], rungs: tuple[int, ...] = ()
    ) -> PhaseContext:
        confirm = phase == "confirm"
        return PhaseContext(
            model_path=self.model.path,
            search_path=self._search_path,
            rows=rows,
            metric=self.metric,
            trial_folder=self.dir.trial_folder(phase),
            storage=self.dir.trial_storage(phase),
            num_workers=self.study.confirm.workers_per_run if confirm else 1,
            checkpoint_interval_s=self.study.training.checkpoint_interval_s,
            early_stopping=self.study.training.early_stopping and not confirm,
            num_cpus=self.ray.resources.num_cpus,
            num_gpus=self.ray.resources.num_gpus,
            keep_best=confirm,
            rungs=rungs,
            speed_limit=self.plan.speed_limit if rungs else None,
            promote_by=self.study.promote_by,
            max_silence_s=self.study.training.max_silence_s,
        )

    # ------------------------------------------------------------------ the proof

    def prove(self, confirmed: History) -> dict[str, Any]:
        """Compare winner and baseline, and write result, best model and report."""
        by_rows = self.data.spec.task == "classification"
        groups = group_confirmed(confirmed)
        proof = prove(
            groups,
            metric=self.metric,
            mode=self._mode,
            resolution=1.0 / len(self.rows.test) if by_rows else 0.0,
        )
        if proof is None:
            error = RunFailed(explain_nothing_converged(confirmed))
            self._leave_unfinished(error)
            raise error
        self._say("confirm", "verdict", proof.comparison.statement)
        self.look_at_winner(proof)
        write_best(self.dir, proof.winner, self.data, self.model, self.metric)
        ensemble = self._offer_ensemble(groups, proof.winner)
        return self._write_result("complete", **proof.to_json(), ensemble=ensemble)

    def _offer_ensemble(self, confirmed: list[Confirmed], winner: Confirmed) -> dict[str, Any]:
        """Average the proof's runs, and say what that is worth; or say why there is no ensemble."""
        target_sd = self.data.preparation.target_scale[1]
        values = joined(self.data.inputs["target"]).to_numpy(zero_copy_only=False)
        truth = Truth(values, self.data.spec.task, self.metric, target_sd)
        try:
            read = read_confirmed(self.dir, confirmed, self.model)
            ensemble = choose_ensemble(confirmed, winner, read, truth)
        except NoEnsemble as none:
            write_ensemble(self.dir, None)
            self._say("confirm", "ensemble", f"no ensemble: {none}")
            return {"members": [], "reason": str(none)}
        self._say("confirm", "ensemble", ensemble.statement)
        return ensemble.to_json() | {"weights_bytes": write_ensemble(self.dir, ensemble)}

    def _leave_unfinished(self, error: BaseException) -> None:
        """Leave a result and a report of what there is; an interrupted run can be resumed."""
        if not hasattr(self, "plan"):
            return
        goes_on = isinstance(error, Unwritable) or not isinstance(error, SieveError)
        with suppress(Unwritable):  # the reason is told, whether or not there is room for it
            self._write_result("interrupted" if goes_on else "failed", reason=str(error))

    def _write_result(self, status: Status, **more: Any) -> dict[str, Any]:
        return write_result(
            self.dir,
            self.plan,
            status=status,
            metric=self.metric,
            mode=self._mode,
            wall_seconds=self.clock.elapsed(),
            **more,
        )

    @property
    def _mode(self) -> Literal["max", "min"]:
        return METRICS[self.metric].mode

    def _say(
        self, phase: str, event: str, message: str, *, quiet: bool = False, **numbers: Any
    ) -> None:
        self.dir.journal(phase, event, message, elapsed=self.clock.elapsed(), **numbers)
        if not quiet:
            self.display.message(message, phase, time.time())
