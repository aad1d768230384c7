import math

import pytest
from simulation import DEFAULTS, LADDER, evaluation

from search.events import Ending, Trial
from search.strategy.budget import LONGER, Plan, make_plan
from search.strategy.confirm import BASELINE, Candidate, choose_candidates
from search.strategy.proof import SAFE, ProofPlan
from search.study import resolve_study
from search.trials import History

FULL = LADDER.full
UNKNOWN = Candidate(BASELINE, {}, BASELINE, "", None)


def plan(
    slots: int = 1,
    proof_s: float = math.inf,
    longest: int = FULL,
    *,
    coarse_ends_at: float = math.inf,
    time_budget_s: float = math.inf,
) -> Plan:
    until = (coarse_ends_at, time_budget_s)
    return Plan(LADDER, 10, 10, *until, None, None, math.inf, proof_s, longest, slots)


def candidates(number: int, *, improving: int = 0, pace: float = 0.5) -> list[Candidate]:
    """Return candidates with the same pace, the first of which still improve."""
    return [
        Candidate(f"f{each:04d}", {"x": each}, f"finalist:f{each:04d}", "", pace, each < improving)
        for each in range(number)
    ]


def test_time_is_kept_for_runs_that_are_not_known_yet_too() -> None:
    known, work = candidates(2), 4 * 3 * 0.5 * FULL
    kept = ProofPlan(known, plan(1), 4, 3).seconds
    assert kept == pytest.approx(work, abs=15)
    assert ProofPlan(known, plan(4), 4, 3).seconds > work / 4
    assert ProofPlan([*known, UNKNOWN], plan(1), 4, 3).seconds == kept
    assert ProofPlan([UNKNOWN], plan(1), 4, 3).seconds < 15
    assert ProofPlan(candidates(4), plan(1), 2, 3).seconds == pytest.approx(work, abs=15)


def proof_of(improving: int, *, times: float, longest: int = 3 * FULL) -> ProofPlan:
    """Return the proof of four candidates in ``times`` the time that full runs take."""
    chosen = candidates(4, improving=improving)
    needed = ProofPlan(chosen, plan(), 4, 3).seconds
    return ProofPlan(chosen, plan(proof_s=times * needed / SAFE, longest=longest), 4, 3)


@pytest.mark.parametrize(
    ("improving", "times", "samples"),
    [
        pytest.param(3, 1.5, 1.5 * FULL, id="fills the time that is set aside"),
        pytest.param(2, 1.5, 1.5 * FULL, id="most finalists decide"),
        pytest.param(3, 9.0, 3 * FULL, id="not longer than the plan allows"),
        pytest.param(3, 0.5, FULL, id="never shorter"),
        pytest.param(1, 1.5, FULL, id="not where most had come to their end"),
    ],
)
def test_finalists_that_still_improve_are_trained_longer(
    improving: int, times: float, samples: float
) -> None:
    proof = proof_of(improving, times=times)
    assert proof.samples == int(samples)
    assert bool(proof.describe()) == (samples > FULL)
    assert proof.seconds <= max(proof.plan.proof_s, proof_of(0, times=1.0).seconds) + 1e-6


@pytest.mark.parametrize(
    ("budget", "improving", "times"),
    [({}, 3, LONGER), ({}, 1, 1), ({"full_epochs": 10}, 3, 1)],
)
def test_without_a_time_budget_the_proof_is_longer_unless_the_study_says_how_long(
    budget: dict[str, float], improving: int, times: int
) -> None:
    made = make_plan(
        resolve_study({"budget": budget}), num_rows=5000, speed=None, slots=2, elapsed=0
    )
    found = ProofPlan(candidates(4, improving=improving), made, 4, 3)
    assert found.samples == times * made.ladder.full


def history(losses: list[float]) -> History:
    trial = Trial("f0000", "fine", "gp", {"x": 1}, 0, FULL, LADDER.evaluation_points(FULL))
    found = History([trial])
    for number, loss in enumerate(losses):
        found.apply(evaluation(trial, number + 1, loss))
    found.apply(Ending("f0000", "completed", "x"))
    return found


def test_a_finalist_improves_while_its_best_evaluation_is_among_the_last() -> None:
    number = len(LADDER.evaluation_points(FULL))
    falling = [1.0 / (each + 1) for each in range(number)]
    for losses, improves in ((falling, True), (falling[::-1], False)):
        found = choose_candidates(History(), history(losses), DEFAULTS, LADDER, 1)
        assert [each.is_improving for each in found] == [improves, False]


@pytest.mark.parametrize("pace", [0.5, 2.0, 5.0])
def test_slow_finalists_take_half_of_fine_s_time_and_then_train_less(pace: float) -> None:
    chosen = candidates(4, improving=3, pace=pace)
    made = plan(proof_s=1_000.0, coarse_ends_at=500.0, time_budget_s=3_500.0)
    assert made.most_proof_s == 2_000.0
    proof = ProofPlan(chosen, made, 4, 3)
    needed = 12 * pace * FULL
    assert (proof.samples < FULL) is (needed > SAFE * 2_000.0)
    assert proof.seconds <= max(2_000.0, needed + 15)
    if proof.samples < FULL:
        assert proof.seconds > 0.8 * 2_000.0
        assert proof.describe().startswith("the finalists are slow: each run of the proof trains")


def test_a_longer_proof_says_so_with_its_numbers() -> None:
    proof = proof_of(3, times=2.0)
    assert proof.describe() == (
        "at least half of the finalists still improved at the end of their training: "
        "each run of the proof trains "
        f"2 times as long, {2 * FULL:,} samples"
    )
