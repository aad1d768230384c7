"""A whole run directory without Ray: the real phases and driver, trainings that are a formula."""

import json
import math
from pathlib import Path

from search.artifacts import write_result, write_space, write_tables
from search.events import Ending, Evaluation, Trial, event_to_json
from search.execution.clock import RunClock
from search.execution.driver import PhaseDriver
from search.insight.result import group_confirmed, prove
from search.report import Progress
from search.rundir import DONE, PLAN, PROVENANCE, RunDir
from search.space import Choice, Float, Space
from search.strategy.budget import Plan, make_plan
from search.strategy.method import Method
from search.strategy.phase import PhaseStrategy
from search.study import resolve_study
from search.task import Default
from search.trials import History

SPACE = Space(
    [
        Float(name="rate", low=1e-4, high=1.0, log=True, limits=(1e-6, 10.0), group=1),
        Choice(name="kind", values=("plain", "deep"), group=2),
        Float(name="depth", low=1.0, high=9.0, group=2, when={"kind": ("deep",)}),
    ]
)
DEFAULTS = [
    Default({"rate": 0.001, "kind": "plain"}, "a paper"),
    Default({"rate": 0.9, "kind": "plain"}, "a bold paper"),
]
STUDY = {
    "data": "sklearn:wine",
    "budget": {"full_epochs": 5.4},
    "coarse": {"num_trials": 30},
    "fine": {"num_trials": 12},
    "confirm": {"num_finalists": 2, "num_seeds": 3},
}
NUM_ROWS = 200
DIVERGES = 0.3
"""From this learning rate on."""
RAISES = "Traceback (most recent call last):\n"
RAISES += '  File "mymodel.py", line 7, in build\n    raise ValueError(message)\n'
RAISES += "ValueError: depth 8.5 is too deep\n"


def loss_of(trial: Trial, point: int) -> float:
    """Best at a rate of 0.01, deep; it falls with training, and differs a little by seed."""
    rate, luck = float(trial.config["rate"]), (trial.seed % 97) / 97
    off = abs(math.log10(rate) + 2) + 0.3 * (trial.config["kind"] == "plain")
    return 0.1 + 0.2 * off + 0.02 * luck + (2.0 + 0.1 * luck) * math.exp(-point / 150)


def said(trial: Trial, number: int) -> list[dict]:
    """Return what a training sends for its ``number``-th evaluation, from 1."""
    if float(trial.config.get("depth", 0.0)) > 8.0:
        reason = "ValueError: depth 8.5 is too deep"
        return [event_to_json(Ending(trial.trial_id, "failed", reason, error=RAISES))]
    point = trial.points[number - 1]
    diverges = float(trial.config["rate"]) >= DIVERGES
    loss = math.nan if diverges and number > 1 else loss_of(trial, point)
    right = 0.0 if math.isnan(loss) else round(100 * math.exp(-loss)) / 100
    measured = (0.9 * loss, loss, right, right, 0.01, 0.1 * number)
    events = [
        event_to_json(
            Evaluation(trial.trial_id, number, point, point, *measured, eval_seconds=0.02 * number)
        )
    ]
    if point == trial.points[-1]:
        test = {"test_loss": loss, "test_metric": right} if trial.phase == "confirm" else {}
        vitals = {"train_seconds": 0.08 * number, "eval_seconds": 0.02 * number}
        about = {"num_parameters": 50, "samples_seen": point, **vitals, **test}
        reason = "trained for its whole budget"
        events.append(event_to_json(Ending(trial.trial_id, "completed", reason, **about)))
    return events


def carry_out(driver: PhaseDriver) -> None:
    """Train what the driver hands out, one evaluation of each slot after the other."""
    live: dict[str, tuple[Trial, int]] = {}
    while not driver.done:
        while (handout := driver.next_trial()) is not None:
            live[handout.trial.trial_id] = (handout.trial, handout.reported)
        for trial_id, (trial, done) in list(live.items()):
            events = said(trial, done + 1)
            sent = json.dumps({"events": events, "vitals": {}, "note": ""})
            goes_on = driver.report(trial_id, sent).action == "continue"
            live[trial_id] = (trial, done + 1)
            if not goes_on or events[-1]["event"] == "ending":
                del live[trial_id]
        if driver.interrupted:
            break
    driver.close()


class DrivenRun:
    """The stages of a run, one after the other.

    ``stops_after``: how often the driver asks in vain whether to stop; then the run is interrupted.
    """

    def __init__(self, path: Path, *, stops_after: int | None = None) -> None:
        self.study = resolve_study(STUDY)
        self.dir = RunDir.create(path, self.study.to_json(), self.study.digest)
        self.plan: Plan = make_plan(self.study, num_rows=NUM_ROWS, speed=None, slots=2, elapsed=0.0)
        self.method = Method.of(self.study, SPACE, DEFAULTS, self.plan)
        self._left = stops_after

    def go(self) -> RunDir:
        """Do all stages, or those before the interruption; leave a result."""
        data = {"uri": "sklearn:wine", "train": NUM_ROWS, "validation": 100, "test": 100}
        self.dir.write_json(PROVENANCE, {"data": data, "spec": {"task": "classification"}})
        self.dir.write_json(PLAN, self.plan.to_json())
        write_space(self.dir, 0, SPACE, defaults=DEFAULTS)
        coarse = self._phase(self.method.coarse())
        if coarse is None:
            return self._end("interrupted", reason="a signal came")
        narrowed = self.method.narrow(coarse)
        assert narrowed is not None
        write_space(self.dir, 1, narrowed.focus, narrowed.changes)
        self.method, _ = self.method.after(coarse)
        fine = self._phase(self.method.fine(narrowed.focus, coarse))
        if fine is None:
            return self._end("interrupted", reason="a signal came")
        proof = self.method.proof(coarse, fine, self.plan)
        for candidate in proof.candidates:
            self.dir.journal("confirm", "candidate", candidate.why)
        confirmed = self._phase(self.method.confirm(proof))
        assert confirmed is not None
        found = prove(group_confirmed(confirmed), metric="accuracy", mode="max", resolution=0.01)
        assert found is not None
        return self._end("complete", **found.to_json())

    def _phase(self, strategy: PhaseStrategy) -> History | None:
        driver = PhaseDriver(
            strategy,
            self.dir,
            clock=RunClock(0.0),
            slots=lambda: 2,
            ends_at=lambda: math.inf,
            stop_requested=self._stops,
            observer=Progress("accuracy", "max"),
        )
        carry_out(driver)
        if driver.interrupted:
            return None
        write_tables(self.dir, strategy.history, strategy.phase, self.plan)
        self.dir.write_json(f"{strategy.phase}/{DONE}", {"num_trials": len(strategy.history)})
        return strategy.history

    def _stops(self) -> bool:
        if self._left is not None:
            self._left -= 1
        return self._left is not None and self._left <= 0

    def _end(self, status: str, **more: object) -> RunDir:
        options = {"metric": "accuracy", "mode": "max", "wall_seconds": 12.0}
        write_result(self.dir, self.plan, status=status, **options, **more)
        self.dir.close()
        return self.dir
