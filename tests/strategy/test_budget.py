import json
import math
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from search.errors import StudyError
from search.files import finite
from search.speed import Speed
from search.strategy.budget import COARSE_PASSES, EVALUATION_SHARE, Ladder, Plan, make_plan
from search.study import resolve_study

FAST = Speed(samples_per_second=50_000.0, eval_seconds=0.01)

factors = st.integers(2, 10)
numbers_of_rungs = st.integers(4, 8)


@st.composite
def ladders(draw: st.DrawFn) -> Ladder:
    base, factor = draw(st.integers(2, 10**6)), draw(factors)
    return Ladder(tuple(base * factor**level for level in range(draw(numbers_of_rungs))), factor)


@given(st.integers(1, 10**12), factors, numbers_of_rungs)
def test_a_ladder_ends_as_close_below_the_full_run_as_it_can(
    full: int, factor: int, num_rungs: int
) -> None:
    if full < 2 * factor ** (num_rungs - 1):
        with pytest.raises(StudyError, match="is too short for"):
            Ladder.below(full, factor, num_rungs)
        return
    ladder = Ladder.below(full, factor, num_rungs)
    assert ladder.full <= full < ladder.full + factor ** (num_rungs - 1)
    assert ladder.full == ladder.rungs[-1]
    assert len(ladder.rungs) == num_rungs
    for low, high in pairwise(ladder.rungs):
        assert type(high) is int
        assert high == low * factor
    assert ladder.coarse == ladder.rungs[:-1]
    assert ladder.fine == ladder.rungs[-4:]


@pytest.mark.parametrize(
    ("full", "factor", "num_rungs", "rungs"),
    [
        (1000, 10, 4, None),  # a lowest rung of one sample leaves no room for two evaluations
        (2000, 10, 4, (2, 20, 200, 2000)),
        (486, 3, 6, (2, 6, 18, 54, 162, 486)),
        (487, 3, 6, (2, 6, 18, 54, 162, 486)),
    ],
)
def test_rungs_are_exact(
    full: int, factor: int, num_rungs: int, rungs: tuple[int, ...] | None
) -> None:
    if rungs is None:
        with pytest.raises(StudyError):
            Ladder.below(full, factor, num_rungs)
    else:
        assert Ladder.below(full, factor, num_rungs).rungs == rungs


@given(ladders())
def test_every_rung_is_an_evaluation_point_and_no_trial_is_judged_on_one(ladder: Ladder) -> None:
    for budget in ladder.rungs:
        points = ladder.evaluation_points(budget)
        assert {rung for rung in ladder.rungs if rung <= budget} <= set(points)
        assert list(points) == sorted(set(points))
        assert points[0] > 0
        assert points[-1] == budget
        assert sum(point <= ladder.rungs[0] for point in points) >= 2
        assert len(points) <= 110
        gaps = [high - low for low, high in pairwise(points)]
        assert max(gaps, default=0) <= max(ladder.base, budget / 10)


def test_a_common_ladder_is_evaluated_at_each_multiple_of_its_lowest_rung() -> None:
    ladder = Ladder((100, 300, 900, 2700), 3)
    assert ladder.evaluation_points(900) == (50, *range(100, 901, 100))
    assert ladder.evaluation_points(100) == (50, 100)
    assert len(ladder.evaluation_points(2700)) == 28


def test_evaluations_lie_further_apart_where_they_are_dear() -> None:
    ladder = Ladder((100, 300, 900, 2700), 3, spacing=550)
    assert ladder.evaluation_points(2700) == (50, 100, 300, 600, 900, 1200, 1800, 2400, 2700)


@pytest.mark.parametrize(("eval_seconds", "share"), [(0.0, 1.0), (0.2, 1.0), (1.0, 0.211)])
def test_where_evaluations_are_dear_beside_the_lowest_rung_the_search_looks_at_fewer_rows(
    eval_seconds: float, share: float
) -> None:
    study, speed = resolve_study({"time_budget": "10m"}), Speed(1_000.0, eval_seconds)
    plan = make_plan(study, num_rows=50_000, speed=speed, slots=2, elapsed=0.0)
    assert plan.evaluated_share == pytest.approx(share, rel=0.01)


@given(st.floats(100, 1e5), st.floats(0.001, 3.0))
def test_with_a_time_budget_evaluations_take_at_most_their_share(
    speed: float, eval_seconds: float
) -> None:
    study = resolve_study({"time_budget": "1h"})
    measured = Speed(speed, eval_seconds)
    plan = make_plan(study, num_rows=100_000, speed=measured, slots=2, elapsed=0.0)
    between = len(plan.ladder.evaluation_points(plan.ladder.full)) - len(plan.ladder.rungs) - 1
    training = plan.ladder.full / speed
    assert between * eval_seconds <= EVALUATION_SHARE * training * 1.001


# ---------------------------------------------------------------------- the plan


def test_without_a_time_budget_the_numbers_of_trials_decide() -> None:
    plan = make_plan(resolve_study({}), num_rows=1000, speed=FAST, slots=4, elapsed=5.0)
    assert (plan.coarse_trials, plan.fine_trials) == (54, 18)
    assert plan.coarse_ends_at == plan.time_budget_s == plan.max_run_seconds == math.inf
    assert 50_000 - 27 < plan.ladder.full <= 50_000


def test_small_data_are_passed_more_often() -> None:
    plan = make_plan(resolve_study({}), num_rows=100, speed=FAST, slots=4, elapsed=0.0)
    assert 20_000 - 27 < plan.ladder.full <= 20_000


def test_full_epochs_are_what_the_user_says() -> None:
    study = resolve_study({"budget": {"full_epochs": 2.5}, "coarse": {"num_trials": 7}})
    plan = make_plan(study, num_rows=1080, speed=FAST, slots=4, elapsed=0.0)
    assert plan.ladder.full == 2700
    assert plan.coarse_trials == 7


def test_a_model_says_how_long_its_full_run_is_where_the_study_does_not() -> None:
    def full(values: dict[str, object], epochs: float | None = 400.0) -> int:
        study = resolve_study(values)
        plan = make_plan(study, num_rows=1080, speed=FAST, slots=4, elapsed=0.0, full_epochs=epochs)
        assert plan.full_epochs == (study.budget.full_epochs or epochs or 50)
        return plan.ladder.full

    assert full({}) == 400 * 1080
    assert full({}, None) == 50 * 1080
    assert full({"budget": {"full_epochs": 2.5}}) == 2700


def test_a_grid_has_all_its_points_where_no_number_is_given() -> None:
    values = {"coarse": {"searcher": "grid"}, "fine": {"searcher": "grid", "num_trials": 7}}
    plan = make_plan(resolve_study(values), num_rows=1000, speed=FAST, slots=4, elapsed=0.0)
    assert (plan.coarse_trials, plan.fine_trials) == (None, 7)


@given(
    st.floats(60, 1e5),
    st.floats(1e3, 1e6),
    st.integers(1, 32),
    st.integers(100, 10**6),
)
def test_all_confirmation_runs_fit_into_their_share(
    budget: float, speed: float, slots: int, num_rows: int
) -> None:
    study = resolve_study({"time_budget": budget})
    measured = Speed(speed, 0.001)
    try:
        plan = make_plan(study, num_rows=num_rows, speed=measured, slots=slots, elapsed=3.0)
    except StudyError:
        assume(False)
    points = plan.ladder.evaluation_points(plan.ladder.full)
    one = plan.ladder.full / speed + len(points) * measured.eval_seconds
    waves = math.ceil(4 * 3 / slots)
    assert waves * one <= study.confirm.share * budget
    assert one <= plan.max_run_seconds
    assert 3.0 < plan.coarse_ends_at < budget
    assert (plan.coarse_trials, plan.fine_trials) == (None, None)


@pytest.mark.parametrize("confirm", [0.2, 0.4])
def test_coarse_has_its_share_of_what_the_proof_leaves_to_the_search(confirm: float) -> None:
    study = resolve_study({"time_budget": "1012s", "confirm": {"share": confirm}})
    plan = make_plan(study, num_rows=10_000, speed=FAST, slots=2, elapsed=0.0)
    assert plan.proof_s == pytest.approx(1000 * confirm)
    assert plan.coarse_ends_at == pytest.approx(6 + 0.15 * 1000 * (1 - confirm))


@given(st.integers(1, 10**7), st.integers(2, 10))
def test_coarse_has_at_most_four_times_the_full_run_s_passes(num_rows: int, factor: int) -> None:
    study = resolve_study({"budget": {"reduction_factor": factor, "full_epochs": 50_000.0}})
    plan = make_plan(study, num_rows=num_rows, speed=FAST, slots=2, elapsed=0.0)
    passes = plan.ladder.full / num_rows
    assert plan.ladder.coarse[-1] / plan.coarse_rows <= COARSE_PASSES * passes * (1 + 1e-9)
    assert 1 <= plan.coarse_rows <= plan.fine_rows <= num_rows


@pytest.mark.parametrize(
    "values",
    [
        {"time_budget": "20s"},
        {"time_budget": "1s"},
        {"time_budget": "10m", "budget": {"full_epochs": 10_000}},
        {"time_budget": "40s", "confirm": {"num_seeds": 50}},
    ],
)
def test_a_time_budget_that_cannot_do_is_refused_in_one_line(values: dict[str, object]) -> None:
    slow = Speed(samples_per_second=500.0, eval_seconds=0.05)
    with pytest.raises(StudyError, match="is too small: one confirmation run gets") as error:
        make_plan(resolve_study(values), num_rows=1000, speed=slow, slots=2, elapsed=2.0)
    assert "\n" not in str(error.value)


def test_a_full_run_too_short_for_its_rungs_is_refused() -> None:
    study = resolve_study({"budget": {"full_epochs": 0.01}})
    with pytest.raises(StudyError, match=r"5 training samples is too short for 4 rungs"):
        make_plan(study, num_rows=500, speed=FAST, slots=2, elapsed=0.0)
    study = resolve_study({"budget": {"reduction_factor": 10, "num_rungs": 8}})
    with pytest.raises(StudyError, match=r"budget\.reduction_factor"):
        make_plan(study, num_rows=500, speed=FAST, slots=2, elapsed=0.0)


@pytest.mark.parametrize("values", [{}, {"time_budget": "5m"}])
def test_a_plan_survives_a_file(values: dict[str, object]) -> None:
    plan = make_plan(resolve_study(values), num_rows=1000, speed=FAST, slots=4, elapsed=5.0)
    text = json.dumps(finite(plan.to_json()), allow_nan=False)
    assert Plan.from_json(json.loads(text)) == plan
    assert "4 trials at a time" in plan.describe()


def test_the_proof_takes_at_least_its_longest_run_and_all_its_work() -> None:
    plan = make_plan(resolve_study({}), num_rows=1000, speed=FAST, slots=4, elapsed=5.0)
    assert plan.confirm_seconds([10.0, 10.0], 3) >= 60.0 / 4
    assert plan.confirm_seconds([100.0], 2) >= 100.0
    assert plan.confirm_seconds([10.0] * 2, 3) < plan.confirm_seconds([10.0] * 3, 3)
    assert plan.confirm_seconds([], 3) < 20
