"""Between the data and the search: the machines, the model on them, what it all costs, the plan."""

from __future__ import annotations

from dataclasses import replace

import torch

from search.artifacts import read_preflight, write_space
from search.execution.context import PhaseContext
from search.execution.machines import check_workers
from search.execution.session import RaySession
from search.execution.shelf import check_room
from search.findings import Finding
from search.insight.nodes import Question
from search.rundir import CLUSTER, PLAN, PREFLIGHT, RAY_LOGS, SUBSAMPLE
from search.speed import Speed
from search.stages.material import Material
from search.stages.phase_context import make_phase_context
from search.stages.run_context import RunContext
from search.strategy.budget import Plan, make_plan
from search.strategy.measured import describe_first, fitting, num_on_a_gpu, where_first
from search.training.preflight import preflight_seconds
from search.training.scoring import chance_loss


class Start:
    """Looks at the machines and at the model on them, and divides the budget.

    Args:
        run: The run.
        material: Its data and model.
        address: Of a Ray cluster; None: a local one.

    Attributes:
        ray: The connection, a context: it lasts as long as that.
    """

    def __init__(self, run: RunContext, material: Material, address: str | None) -> None:
        self._run = run
        self._material = material
        self._of_nodes: list[Finding] = []
        self.ray = RaySession(
            run.study,
            material.data,
            address,
            run.stop,
            tell=lambda words: run.say("cluster", "machines", words),
            log=run.dir.below(RAY_LOGS),
            uses_gpu=material.model.uses_gpu and (address is not None or torch.cuda.is_available()),
        )

    def check_cluster(self) -> None:
        """Refuse a cluster whose nodes differ, or don't all see the run directory and the model.

        Nodes that join later are looked at then: where they are refused, the run ends.
        """
        run = self._run
        question = Question(run.dir.place, self._material.model.path, run.search_path)
        if findings := self.ray.check_nodes(question, self._heed_nodes):
            self._heed_nodes(findings)

    def _heed_nodes(self, findings: list[Finding]) -> None:
        self._of_nodes += findings
        self._run.dir.write_json(CLUSTER, [finding.to_json() for finding in self._of_nodes])
        self._run.heed("cluster", findings, CLUSTER)

    def preflight(self) -> list[Finding]:
        """Look for what is wrong with the model, or return what an earlier session has found."""
        study = self._run.study
        if self._run.dir.exists(PLAN):
            return read_preflight(self._run.dir)
        if not study.checks.preflight:
            return []
        seconds = preflight_seconds(study.time_budget)
        return self.ray.preflight(self._context(), self._material.space, seconds)

    def heed(self, found: list[Finding]) -> None:
        """Write down what preflight has found and what training costs here.

        Args:
            found: What :meth:`preflight` has returned.

        Raises:
            RunFailed: Something is wrong that the study doesn't accept by name.
        """
        run = self._run
        self._share_gpus(found)
        if run.dir.exists(PLAN):
            return
        speed = self.measure_speed() if run.study.time_budget is not None else None
        measured = None if speed is None else speed.to_json()
        findings = [finding.to_json() for finding in found]
        run.dir.write_json(PREFLIGHT, {"speed": measured, "findings": findings})
        run.heed("preflight", found, PREFLIGHT)

    def look_ahead(self) -> tuple[Speed, Plan]:
        """Return the training's speed, and the plan that a run would make of it."""
        if self.ray.resources.num_gpus:
            self._share_gpus(self.preflight())
        speed = self.measure_speed()
        return speed, self.divide(speed if self._run.study.time_budget is not None else None)

    def _share_gpus(self, findings: list[Finding]) -> None:
        if self._run.study.confirm.workers_per_run > 1:
            return  # processes that train together need a GPU each
        shared = self.ray.share_gpus(num_on_a_gpu(findings))
        if shared > 1:
            self._run.say("preflight", "gpus", f"{shared} trials share a GPU")

    def fit_space(self) -> Material:
        """Leave out of the space what there is no room for, and see where to look first."""
        run, material, found = self._run, self._material, read_preflight(self._run.dir)
        space, changes = fitting(material.space, found)
        first = where_first(space, found, material.defaults[0].config)
        if not run.dir.exists(PLAN):
            if changes:
                write_space(run.dir, 0, space, changes, material.defaults)
                run.say_changes(changes)
            if first is not None:
                run.say("preflight", "first", describe_first(first), low=first.low, high=first.high)
        return replace(material, space=space, first=first)

    def make_plan(self) -> Plan:
        """Divide the budget between the phases."""
        run, rows = self._run, self._material.rows
        if (workers := run.study.confirm.workers_per_run) > 1:
            check_workers(workers, self.ray.resources.slots)
        if run.dir.exists(PLAN):
            return Plan.from_json(run.dir.read_json(PLAN))
        measured = run.dir.read_json(PREFLIGHT)["speed"]
        plan = self.divide(None if measured is None else Speed(**measured))
        run.dir.write_json(SUBSAMPLE, rows.describe(plan.coarse_rows, plan.fine_rows))
        run.dir.write_json(PLAN, plan.to_json())
        run.say("plan", "plan", plan.describe(), **plan.to_json())
        limit = run.study.training.max_checkpoint_bytes
        if room := check_room(limit, self._material.num_parameters, plan.slots):
            run.say("plan", "room", room)
        return plan

    def measure_speed(self) -> Speed:
        """Measure the training's speed with every slot busy."""
        return self.ray.measure_speed(self._context())

    def divide(self, speed: Speed | None) -> Plan:
        """Return the plan that a speed allows; None: trials alone are counted."""
        material = self._material
        rows = material.rows
        return make_plan(
            self._run.study,
            num_rows=len(rows.train),
            speed=speed,
            slots=self.ray.resources.slots,
            elapsed=self._run.clock.elapsed(),
            chance=chance_loss(material.data, rows.train, rows.validation),
            full_epochs=material.model.full_epochs,
        )

    def _context(self) -> PhaseContext:
        rows = self._material.rows
        everything = [rows.search(len(rows.train))]
        return make_phase_context(
            self._run, self._material, self.ray.resources, "coarse", everything
        )
