"""A recorded run as a world for the simulator."""

from pathlib import Path

from search.artifacts import read_defaults, read_preflight, read_space
from search.events import Ending, Evaluation, Event, Phase, Trial, event_to_json
from search.execution.simulator import Simulator
from search.rundir import PLAN, RunDir
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


def replay(run_dir: Path, phase: Phase) -> tuple[list[dict], list[dict]]:
    """Return a phase's events as Ray made them, and as the simulator makes them."""
    run = RunDir.open(run_dir)
    strategy = _strategy(run, phase)
    happened: list[Event] = []
    world = Replayed(History(run.events(phase)))
    Simulator(world, 1, lambda happening: happened.append(happening.event)).run(strategy, 1e9)
    return _decisions(run.events(phase)), _decisions(happened)


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
