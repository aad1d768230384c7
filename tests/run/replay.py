"""A recorded run as a world for the simulator."""

from pathlib import Path
from typing import Any

from search.artifacts import read_defaults, read_preflight, read_space
from search.events import (
    Asked,
    Ending,
    Evaluation,
    Event,
    Growth,
    Phase,
    Proposals,
    Trial,
    event_to_json,
)
from search.execution.simulator import Simulator
from search.rundir import PLAN, RunDir
from search.strategy.asha import Decision
from search.strategy.budget import Plan
from search.strategy.measured import where_first
from search.strategy.method import Method
from search.strategy.phase import PhaseStrategy
from search.study import resolve_study
from search.trials import History

CLOCK = {"train_seconds", "eval_seconds", "start_seconds", "started_at", "ended_at", "vitals"}
VITALS = {"num_parameters", "sparsity"}


class Replayed:
    """Says what a run's trials said."""

    def __init__(self, history: History) -> None:
        self._history = history

    def evaluate(self, trial: Trial, number: int) -> tuple[float, Evaluation | Ending]:
        record = self._history[trial.trial_id]
        if number > len(record.evaluations):
            assert record.ending is not None
            return 1.0, record.ending
        return 1.0, record.evaluations[number - 1]

    def resume_seconds(self, trial: Trial, number: int) -> float:
        return 0.0


class AsRecorded:
    """A phase that asks its model, and has its answer, when it did in a recorded run.

    How long a model takes is a matter of the machine; a slot that is free doesn't wait for it.
    """

    question = None  # the simulator's own is left out

    def __init__(self, phase: PhaseStrategy, recorded: list[Event]) -> None:
        self._phase = phase
        self._recorded = recorded
        self.happened: list[Event] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._phase, name)

    def wants(self) -> None:
        due = self._recorded[len(self.happened) :][:1]
        if due and isinstance(due[0], Asked | Growth):
            wanted = self._phase.wants()
            if wanted is not None:
                self.apply(wanted)
        if due and isinstance(due[0], Proposals) and self._phase.question is not None:
            self.apply(self._phase.question())

    def apply(self, event: Event) -> Decision:
        decision = self._phase.apply(event)
        self.happened.append(event)
        self.wants()
        return decision


def replay(run_dir: Path, phase: Phase) -> tuple[list[dict], list[dict]]:
    """Return a phase's events as Ray made them, and as the simulator makes them."""
    run = RunDir.open(run_dir)
    recorded = list(run.events(phase))
    strategy = AsRecorded(_strategy(run, phase), recorded)
    Simulator(Replayed(History(recorded)), 1).run(strategy, 1e9)  # type: ignore[arg-type]
    return _decisions(recorded), _decisions(strategy.happened)


def _strategy(run: RunDir, phase: Phase) -> PhaseStrategy:
    study = resolve_study(run.study())
    space, focus = read_space(run, 0), read_space(run, 1)
    assert space is not None
    assert focus is not None
    plan, defaults = Plan.from_json(run.read_json(PLAN)), read_defaults(run)
    first = where_first(space, read_preflight(run), defaults[0].config)
    method = Method.of(study, space, defaults, plan, first)
    if phase == "coarse":
        return method.coarse()
    coarse = History(run.events("coarse"))
    return method.after(coarse)[0].fine(focus, coarse)


def _decisions(events: list[Event]) -> list[dict]:
    """Return events without what only a clock or a network knows."""
    left_out = CLOCK | VITALS
    return [
        {k: repr(v) for k, v in event_to_json(each).items() if k not in left_out} for each in events
    ]
