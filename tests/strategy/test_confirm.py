import math

import pytest
from simulation import DEFAULTS, LADDER, SPACE, Simulation, evaluation

from search.events import Ending, Phase, Trial
from search.space import Config
from search.strategy.coarse import CoarsePhase
from search.strategy.confirm import (
    BASELINE,
    Candidate,
    ConfirmPhase,
    choose_candidates,
)
from search.strategy.fine import FinePhase, first_proposals
from search.trials import History


def config(rate: float) -> Config:
    return {**DEFAULTS[0].config, "learning_rate_adam": rate}


def add(
    history: History,
    trial_id: str,
    given: Config,
    loss: float,
    *,
    rung: int = 0,
    source: str = "sobol",
    status: str = "stopped",
) -> None:
    """Enter a trial that ended at a rung of its phase."""
    phase: Phase = "fine" if trial_id.startswith("f") else "coarse"
    budget = LADDER.full if phase == "fine" else LADDER.coarse[-1]
    trial = Trial(trial_id, phase, source, given, 0, budget, LADDER.evaluation_points(budget))
    history.apply(trial)
    for each in range(trial.points.index(LADDER.rungs[rung]) + 1):
        history.apply(evaluation(trial, each + 1, loss, seconds=0.5))
    history.apply(Ending(trial_id, status, "x"))  # type: ignore[arg-type]


def defaults(first: float = 0.6, second: float = 0.5, status: str = "stopped") -> History:
    coarse = History()
    for number, (default, loss) in enumerate(zip(DEFAULTS, (first, second), strict=True)):
        source = f"default:{default.source}"
        add(coarse, f"c000{number}", default.config, loss, source=source, status=status)
    return coarse


def names(candidates: list[Candidate]) -> list[str]:
    return [candidate.name for candidate in candidates]


def test_finalists_are_fine_s_best_however_long_they_were_trained_then_the_baseline() -> None:
    coarse, fine = defaults(), History()
    add(coarse, "c0002", config(2e-3), 0.01)
    add(fine, "f0000", config(1e-3), 0.30, rung=3, status="completed")
    add(fine, "f0001", config(3e-3), 0.10, rung=1)
    add(fine, "f0002", config(4e-3), 0.20, rung=3, status="completed")
    add(fine, "f0003", config(5e-3), 0.00, rung=3, status="failed")
    chosen = choose_candidates(coarse, fine, DEFAULTS, LADDER, 3)
    assert names(chosen) == ["f0001", "f0002", "f0000", BASELINE]
    assert [each.source for each in chosen] == [
        "finalist:f0001",
        "finalist:f0002",
        "finalist:f0000",
        "baseline:another paper",
    ]
    assert chosen[0].why == "f0001: validation loss 0.1 after 12 of 108 samples"
    assert chosen[1].why == "f0002: validation loss 0.2 after 108 of 108 samples"
    assert chosen[0].seconds_per_sample == pytest.approx(0.5)


def test_coarse_s_best_follow_where_fine_s_are_too_few() -> None:
    coarse, fine = defaults(), History()
    add(coarse, "c0002", config(2e-3), 0.1, rung=1)
    add(coarse, "c0003", config(3e-3), 0.2, rung=2, status="completed")
    add(fine, "f0000", config(1e-3), 0.3, rung=1)
    chosen = choose_candidates(coarse, fine, DEFAULTS, LADDER, 4)
    # The default that isn't the baseline may be a finalist.
    assert names(chosen) == ["f0000", "c0002", "c0003", "c0000", BASELINE]
    assert chosen[2].why == "c0003: validation loss 0.2 after 36 of 108 samples"


def test_no_configuration_is_confirmed_twice() -> None:
    coarse, fine = defaults(), History()
    add(coarse, "c0002", config(2e-3), 0.1, rung=1)
    add(fine, "f0000", config(2e-3), 0.3, rung=3, status="completed", source="survivor:c0002")
    add(fine, "f0001", DEFAULTS[1].config, 0.2, rung=3, status="completed")
    chosen = choose_candidates(coarse, fine, DEFAULTS, LADDER, 3)
    assert names(chosen) == ["f0000", "c0000", BASELINE]
    assert chosen[-1].config == DEFAULTS[1].config


@pytest.mark.parametrize(("losses", "best"), [((0.6, 0.5), 1), ((0.4, 0.5), 0)])
def test_the_baseline_is_the_default_that_did_best(losses: tuple[float, float], best: int) -> None:
    baseline = choose_candidates(defaults(*losses), History(), DEFAULTS, LADDER, 3)[-1]
    assert (baseline.name, baseline.source) == (BASELINE, f"baseline:{DEFAULTS[best].source}")
    assert baseline.config == DEFAULTS[best].config
    assert DEFAULTS[best].source in baseline.why


@pytest.mark.parametrize("coarse", [History(), defaults(status="failed")])
def test_without_a_default_that_came_through_the_first_one_is_the_baseline(coarse: History) -> None:
    (baseline,) = choose_candidates(coarse, History(), DEFAULTS, LADDER, 3)
    assert baseline.config == DEFAULTS[0].config
    assert baseline.seconds_per_sample is None
    assert "no published default reached a rung" in baseline.why


def candidates(number: int) -> list[Candidate]:
    return [
        Candidate(f"f{each:04d}", config(1e-3 * (each + 1)), f"finalist:f{each:04d}", "", 0.5)
        for each in range(number)
    ]


def test_every_candidate_runs_in_full_with_the_same_seeds_seed_by_seed() -> None:
    phase = ConfirmPhase(candidates(3), LADDER, num_seeds=4, seed=7)
    Simulation(phase, slots=5, faults=False).run(10_000)
    trials = [record.trial for record in phase.history]
    assert phase.num_trials == len(trials) == 12
    assert phase.ask() is None
    assert len({trial.trial_id for trial in trials}) == 12
    seeds = [trial.seed for trial in trials]
    assert all(len(set(seeds[start : start + 3])) == 1 for start in range(0, 12, 3))
    assert len(set(seeds)) == 4
    assert {trial.budget_samples for trial in trials} == {LADDER.full}
    assert [trial.config for trial in trials[:3]] == [c.config for c in candidates(3)]
    assert all(r.ending and r.ending.status == "completed" for r in phase.history)


@pytest.mark.parametrize(("num", "expected"), [(0, [0, 0, 0]), (2, [1, 2, 1]), (3, [1, 2, 3])])
def test_the_same_run_of_every_candidate_has_the_same_division(
    num: int, expected: list[int]
) -> None:
    phase = ConfirmPhase(candidates(2), LADDER, num_seeds=3, seed=0, num_divisions=num)
    Simulation(phase, slots=1, faults=False).run(10_000)
    found = [record.trial.division for record in phase.history]
    assert found == [each for each in expected for _ in range(2)]


def test_confirmation_seeds_differ_from_the_searches() -> None:
    coarse = CoarsePhase(SPACE, DEFAULTS, LADDER, num_trials=50, seed=7)
    Simulation(coarse).run(10_000)
    fine = FinePhase(
        SPACE,
        SPACE,
        first_proposals(coarse.history, LADDER),
        coarse.history,
        LADDER,
        num_trials=9,
        seed=7,
    )
    Simulation(fine).run(10_000)
    confirm = ConfirmPhase(candidates(1), LADDER, num_seeds=10, seed=7)
    Simulation(confirm, faults=False).run(10_000)
    seeds = [r.trial.seed for phase in (coarse, fine, confirm) for r in phase.history]
    assert len(set(seeds)) == len(seeds)


def test_confirmation_stops_nobody() -> None:
    phase = ConfirmPhase(candidates(2), LADDER, num_seeds=2, seed=0)
    for loss in (0.1, 5.0, math.nan):
        trial = phase.ask()
        assert trial is not None
        phase.apply(trial)
        for each in range(len(trial.points)):
            assert phase.apply(evaluation(trial, each + 1, loss)).action == "continue"
