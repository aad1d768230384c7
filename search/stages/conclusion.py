"""What a run ends with: where the models err, who has won, an ensemble, the result."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import Any

from search.artifacts import Status, write_result
from search.best import read_confirmed, write_best, write_ensemble
from search.data.columns import joined
from search.errors import RunDirError, RunFailed, SieveError, Unwritable
from search.insight.ensemble import choose_ensemble
from search.insight.evidence import Account, Evidence
from search.insight.failures import explain_nothing_converged
from search.insight.result import Confirmed, Proof, group_confirmed, prove, resolution_of
from search.insight.selection import NoEnsemble
from search.insight.truth import Truth
from search.rundir import AFTER, BEFORE
from search.stages.material import Material
from search.stages.run_context import RunContext
from search.strategy.budget import Plan
from search.strategy.confirm import best_default
from search.trials import History


class Conclusion:
    """Says what has come out, before the tuning and after.

    Args:
        run: The run.
        material: Its data and model.
        plan: The budget's division.
    """

    def __init__(self, run: RunContext, material: Material, plan: Plan) -> None:
        self._run = run
        self._material = material
        self._plan = plan

    @cached_property
    def _evidence(self) -> Evidence:
        return Evidence(self._run.dir, self._material.data, self._material.features)

    def look_at_default(self, coarse: History) -> None:
        """Where the best published default errs: know it before tuning it."""
        if not self._run.dir.exists(BEFORE):
            default = best_default(coarse, self._plan.ladder)
            self._account(BEFORE, lambda: self._evidence.before(default))

    def look_at_winner(self, proof: Proof) -> None:
        """Where the winner errs: what tuning has mended, and what it can't."""
        if "missing" in self._said_before():
            self._account(BEFORE, lambda: self._evidence.before_by(proof))
        self._account(AFTER, lambda: self._evidence.after(proof, self._said_before()))

    def _said_before(self) -> dict[str, Any]:
        try:
            said: dict[str, Any] = self._run.dir.read_json(BEFORE)
        except RunDirError as error:
            return {"missing": str(error)}
        return said

    def _account(self, file: str, find: Callable[[], Account]) -> None:
        try:
            account = find()
        except Exception as error:  # an explanation that fails must not cost the run
            account = Account.missing(f"not found: {type(error).__name__}: {error}")
        self._run.dir.write_json(file, account.values)
        self._run.say("weakness", "weakness", account.line)

    def prove(self, confirmed: History) -> dict[str, Any]:
        """Compare winner and baseline, and write result, best model and report.

        Raises:
            RunFailed: No finalist's training has come to an end.
        """
        run, material = self._run, self._material
        groups = group_confirmed(confirmed)
        proof = prove(
            groups,
            metric=material.metric,
            mode=material.mode,
            resolution=resolution_of(material.data.spec.task, len(material.rows.test)),
        )
        if proof is None:
            error = RunFailed(explain_nothing_converged(confirmed))
            self.leave_unfinished(error)
            raise error
        run.say("confirm", "verdict", proof.comparison.statement)
        self.look_at_winner(proof)
        write_best(run.dir, proof.winner, material.data, material.model, material.metric)
        ensemble = self._offer_ensemble(groups, proof.winner)
        return self._write("complete", **proof.to_json(), ensemble=ensemble)

    def _offer_ensemble(self, confirmed: list[Confirmed], winner: Confirmed) -> dict[str, Any]:
        """Average the proof's runs, and say what that is worth; or say why there is no ensemble."""
        run, model = self._run, self._material.model
        try:
            read = read_confirmed(run.dir, confirmed, model)
            ensemble = choose_ensemble(confirmed, winner, read, self._truth())
        except NoEnsemble as none:
            write_ensemble(run.dir, None)
            run.say("confirm", "ensemble", f"no ensemble: {none}")
            return {"members": [], "reason": str(none)}
        run.say("confirm", "ensemble", ensemble.statement)
        return ensemble.to_json() | {"weights_bytes": write_ensemble(run.dir, ensemble)}

    def _truth(self) -> Truth:
        data, metric = self._material.data, self._material.metric
        values = joined(data.inputs["target"]).to_numpy(zero_copy_only=False)
        return Truth(values, data.spec.task, metric, data.preparation.target_scale[1])

    def leave_unfinished(self, error: BaseException) -> None:
        """Leave a result and a report of what there is; an interrupted run can be resumed."""
        goes_on = isinstance(error, Unwritable) or not isinstance(error, SieveError)
        with suppress(Unwritable):  # the reason is told, whether or not there is room for it
            self._write("interrupted" if goes_on else "failed", reason=str(error))

    def _write(self, status: Status, **more: Any) -> dict[str, Any]:
        return write_result(
            self._run.dir,
            self._plan,
            status=status,
            metric=self._material.metric,
            mode=self._material.mode,
            wall_seconds=self._run.clock.elapsed(),
            **more,
        )
