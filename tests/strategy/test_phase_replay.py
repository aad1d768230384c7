import math
from collections.abc import Callable

import pytest
from simulation import DEFAULTS, LADDER, SPACE, Simulation, Step, evaluation, through_json

from search.events import Ending, Evaluation, Pause, Promotion, Trial
from search.space import apply_overrides
from search.strategy.coarse import CoarsePhase
from search.strategy.confirm import ConfirmPhase, choose_candidates
from search.strategy.fine import FinePhase, first_proposals
from search.strategy.grid import GridPhase
from search.strategy.phase import PhaseStrategy, trial_seed
from search.strategy.ranking import observations_of
from search.trials import History, rank_by_value, rank_records


def coarse_phase() -> CoarsePhase:
    return CoarsePhase(SPACE, DEFAULTS, LADDER, num_trials=60, seed=3)


@pytest.fixture(scope="module")
def coarse_history() -> History:
    phase = coarse_phase()
    Simulation(phase).run(10_000)
    return phase.history


def fine_phase(coarse: History) -> FinePhase:
    first = first_proposals(coarse, LADDER)
    return FinePhase(SPACE, SPACE, first, coarse, LADDER, num_trials=60, seed=3)


def confirm_phase(coarse: History) -> ConfirmPhase:
    candidates = choose_candidates(coarse, History(), DEFAULTS, LADDER, 3)
    return ConfirmPhase(candidates, LADDER, num_seeds=3, seed=3)


def grid_phase() -> GridPhase:
    space = apply_overrides(SPACE, {"num_layers": {"value": 1}, "batch_size": {"value": 64}})
    given = [(default.config, "default:a paper") for default in DEFAULTS]
    return GridPhase(
        "coarse", space, LADDER, LADDER.coarse, given, num_points=6, num_trials=None, seed=3
    )


PHASES: dict[str, Callable[[History], PhaseStrategy]] = {
    "coarse": lambda _: coarse_phase(),
    "grid": lambda _: grid_phase(),
    "fine": fine_phase,
    "confirm": confirm_phase,
}


def check_every_cut(steps: list[Step], fresh: Callable[[], PhaseStrategy]) -> None:
    events = through_json([step.event for step in steps])
    for cut in range(1, len(steps)):
        phase = fresh()
        phase.restore(events[:cut])
        assert phase.ask() == steps[cut - 1].ask
        decisions = [phase.apply(event) for event in events[cut:]]
        assert decisions == [step.decision for step in steps[cut:]]


@pytest.mark.parametrize("name", PHASES)
def test_a_phase_replayed_at_any_cut_goes_on_as_if_nothing_had_happened(
    name: str, coarse_history: History
) -> None:
    phase = PHASES[name](coarse_history)
    steps = Simulation(phase).run(250, ask_ahead=True)
    assert len(steps) > 200
    if name != "confirm":
        assert any(step.decision.action == "pause" for step in steps)
        assert any(isinstance(step.event, Promotion) for step in steps)
    check_every_cut(steps, lambda: PHASES[name](coarse_history))


def test_the_simulated_runs_have_failures_early_ends_and_pauses(coarse_history: History) -> None:
    endings = [(r.ending.status, len(r.evaluations)) for r in coarse_history if r.ending]
    assert {status for status, _ in endings} == {"completed", "failed"}
    assert coarse_history.paused
    complete = len(LADDER.evaluation_points(LADDER.coarse[-1]))
    assert {number == complete for status, number in endings if status == "completed"} == {
        True,
        False,
    }


def test_evaluations_delivered_twice_change_nothing() -> None:
    once, twice = coarse_phase(), coarse_phase()
    steps = Simulation(once, faults=False).run(200)
    decisions = []
    for step in steps:
        decisions.append(twice.apply(step.event))
        if isinstance(step.event, Evaluation) and step.decision.action == "continue":
            assert twice.apply(step.event).action == "continue"
            assert twice.apply(step.event).reason == ""
    assert decisions == [step.decision for step in steps]
    assert twice.ask() == once.ask()


def test_an_ending_or_an_evaluation_after_the_ending_changes_nothing() -> None:
    once, twice = coarse_phase(), coarse_phase()
    steps = Simulation(once).run(300)
    for step in steps:
        assert twice.apply(step.event) == step.decision
        if isinstance(step.event, Ending):
            record = twice.history[step.event.trial_id]
            late = evaluation(record.trial, len(record.evaluations) or 1, 1e-9)
            late = Evaluation(**{**vars(late), "evaluation": 99})
            assert twice.apply(late).action == "continue"
            assert twice.apply(Ending(step.event.trial_id, "completed", "again")).reason == ""
    assert twice.ask() == once.ask()
    assert [r.loss for r in twice.history] == [r.loss for r in once.history]


def test_a_pause_that_a_crash_kept_from_being_written_down_still_stands() -> None:
    phase = coarse_phase()
    steps = Simulation(phase).run(300)
    cut = next(i for i, step in enumerate(steps) if step.decision.action == "pause")
    paused = steps[cut]
    assert isinstance(steps[cut + 1].event, Pause | Evaluation)
    again = coarse_phase()
    again.restore(through_json([step.event for step in steps[: cut + 1]]))
    assert again.history[paused.event.trial_id] in again.history.running
    assert again.pending(paused.event.trial_id) == paused.decision
    trial = again.history[paused.event.trial_id].trial
    number = len(again.history[trial.trial_id].evaluations) + 1
    decision = again.apply(evaluation(trial, number, 1e-9))
    assert (decision.action, decision.reason) == ("pause", paused.decision.reason)
    again.apply(Pause(trial.trial_id, decision.reason))
    assert again.pending(trial.trial_id) is None
    assert trial.trial_id not in again.running


def test_a_trial_that_completes_early_counts_at_the_later_rungs() -> None:
    phase = coarse_phase()
    for number, loss in enumerate((0.1, 0.2, 0.3, 0.4)):
        trial = phase.ask()
        assert isinstance(trial, Trial)
        phase.apply(trial)
        phase.apply(evaluation(trial, 1, loss))
        if number < 3:
            if number == 0:  # it ends at the rung itself, and isn't counted there twice
                phase.apply(evaluation(trial, 2, loss))
            phase.apply(Ending(trial.trial_id, "completed", "early stop"))
        else:
            decision = phase.apply(evaluation(trial, 2, loss))
            assert decision.action == "pause"
            assert (decision.numbers["rank"], decision.numbers["of"]) == (4, 4)


def test_a_trial_too_slow_to_be_proven_is_stopped_but_not_a_default() -> None:
    phase = CoarsePhase(
        SPACE, DEFAULTS[:1], LADDER, num_trials=None, seed=0, max_run_seconds=LADDER.full * 2.0
    )
    for kind, seconds, action in (("default", 9.0, "pause"), ("sobol", 9.0, "stop")):
        trial = phase.ask()
        assert isinstance(trial, Trial)
        assert trial.source.startswith(kind)
        phase.apply(trial)
        assert phase.apply(evaluation(trial, 1, 0.5, seconds=seconds)).action == "continue"
        decision = phase.apply(evaluation(trial, 2, 0.4, seconds=seconds))
        assert decision.action == action
    assert "too slow: a full run would take" in decision.reason
    phase.apply(Ending(trial.trial_id, "stopped", decision.reason))
    told = [each for each in phase.seen.observations() if each.config == trial.config]
    assert [(math.isnan(each.loss), each.seconds_per_sample > 0) for each in told] == [(True, True)]
    assert phase.history[trial.trial_id] not in rank_by_value(phase.history), "no finalist either"
    assert [o.config for o in observations_of(phase.history, LADDER.coarse) if o.loss < 1] == [
        DEFAULTS[0].config
    ]


def test_a_search_phase_has_enough_when_five_were_judged_or_failed() -> None:
    phase = coarse_phase()
    for number in range(5):
        assert not phase.has_enough
        trial = phase.ask()
        while isinstance(trial, Promotion):
            phase.apply(trial)
            trial = phase.ask()
        assert trial is not None
        phase.apply(trial)
        if number % 2:
            phase.apply(Ending(trial.trial_id, "failed", "raised"))
        else:
            phase.apply(evaluation(trial, 1, 0.5))
            phase.apply(evaluation(trial, 2, 0.5))
    assert phase.has_enough


def test_ranking_puts_the_higher_rung_first_and_leaves_failures_out(
    coarse_history: History,
) -> None:
    ranked = rank_records(coarse_history, LADDER.coarse)
    levels = [
        max(i for i, rung in enumerate(LADDER.coarse) if r.value_at(rung) is not None)
        for r in ranked
    ]
    assert levels == sorted(levels, reverse=True)
    top = [r.value_at(LADDER.coarse[-1]) for r in ranked if levels[ranked.index(r)] == 2]
    assert top == sorted(top)
    assert all(r.ending is None or r.ending.status != "failed" for r in ranked)


def test_the_limit_ends_a_phase_and_trials_have_seeds_of_their_own() -> None:
    phase = coarse_phase()
    Simulation(phase).run(10_000)
    assert phase.ask() is None
    assert len({record.trial.seed for record in phase.history}) == 60
    assert trial_seed(3, 5) == trial_seed(3, 5) != trial_seed(4, 5)
    assert all(0 <= trial_seed(0, number) < 2**31 for number in range(1000))


def test_trials_are_planned_up_to_the_top_rung_of_their_phase(coarse_history: History) -> None:
    for phase, top in (
        (coarse_phase(), LADDER.coarse[-1]),
        (fine_phase(coarse_history), LADDER.full),
        (confirm_phase(coarse_history), LADDER.full),
    ):
        trial = phase.ask()
        assert isinstance(trial, Trial)
        assert trial.budget_samples == trial.points[-1] == top
