import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.data import DataOptions, load_dataset
from search.data.phase_rows import (
    MAX_VALIDATION_ROWS,
    PROBE_ROWS,
    RowPlan,
    check_classes,
    describe_divisions,
)
from search.errors import StudyError
from search.task import Spec

DIGITS = load_dataset(DataOptions("sklearn:digits"))
PLAN = RowPlan.of(DIGITS, seed=0)
SIZES = st.integers(1, len(PLAN.train))


@given(SIZES)
def test_a_search_phase_never_sees_a_test_row(num_rows: int) -> None:
    parts = PLAN.search(num_rows)
    assert set(parts) == {"train", "validation", "probe"}
    splits = DIGITS.splits
    assert set(parts["train"]) <= set(splits.train)
    assert set(parts["validation"]) == set(splits.validation)
    assert len(parts["train"]) == num_rows
    assert not set(splits.test) & set(np.concatenate(list(parts.values())))


@given(SIZES, SIZES)
def test_the_rows_of_a_smaller_phase_are_among_those_of_a_larger(one: int, two: int) -> None:
    small, large = (PLAN.search(size)["train"] for size in sorted((one, two)))
    assert set(small) <= set(large)


@given(SIZES)
def test_the_training_loss_is_measured_on_rows_that_are_trained_on(num_rows: int) -> None:
    parts = PLAN.search(num_rows)
    assert set(parts["probe"]) <= set(parts["train"])
    assert len(parts["probe"]) == min(num_rows, PROBE_ROWS)


def test_confirm_has_all_rows() -> None:
    (parts,) = PLAN.confirm()
    for name, rows in DIGITS.splits.parts().items():
        assert sorted(parts[name]) == list(rows)
    assert set(parts["probe"]) <= set(parts["train"])


def test_each_seed_of_a_proof_on_few_rows_has_validation_rows_of_its_own() -> None:
    plan = RowPlan.of(DIGITS, seed=0, num_fresh=3)
    first, *fresh = plan.confirm()
    assert list(first["train"]) == list(PLAN.train)
    everything = set(first["train"]) | set(first["validation"])
    for parts in fresh:
        assert set(parts["train"]) | set(parts["validation"]) == everything
        assert not set(parts["train"]) & set(parts["validation"])
        assert set(parts["probe"]) <= set(parts["train"])
        assert list(parts["test"]) == list(first["test"])
    assert len(describe_divisions(plan.fresh).splitlines()) == 1


@given(st.integers(2, 9), SIZES)
def test_few_classes_have_the_rows_of_the_first_ones_alone(number: int, num_rows: int) -> None:
    parts = PLAN.few_classes(number, num_rows)
    for name, rows in parts.items():
        assert len(rows) > 0, name
        assert set(DIGITS.strata[rows]) <= set(range(number))
    assert set(parts["train"]) <= set(DIGITS.splits.train)
    assert set(parts["validation"]) <= set(DIGITS.splits.validation)
    assert len(parts["train"]) <= num_rows


def test_where_validation_lacks_the_first_classes_their_training_rows_judge() -> None:
    strata = np.array([3, 3, 5, 5, 7, 7])
    plan = RowPlan(np.arange(4), np.array([4, 5]), np.array([], dtype=np.int64), strata)
    parts = plan.few_classes(1, 9)
    assert [list(parts[name]) for name in ("train", "validation")] == [[0, 1], [0, 1]]


@pytest.mark.parametrize(
    ("number", "spec", "words"),
    [
        (10, DIGITS.spec, "'coarse.classes' = 10: it takes fewer classes than the data have"),
        (2, replace(DIGITS.spec, task="regression", num_outputs=1), "this is regression"),
    ],
)
def test_a_smoke_rung_takes_fewer_classes_than_there_are(
    number: int, spec: Spec, words: str
) -> None:
    with pytest.raises(StudyError, match=re.escape(words)):
        check_classes(number, spec)
    check_classes(None, spec)
    check_classes(9, DIGITS.spec)


def test_a_search_phase_has_enough_validation_rows_and_confirm_all() -> None:
    validation = np.arange(MAX_VALIDATION_ROWS + 500)
    plan = RowPlan(np.arange(9), validation, np.arange(9), np.zeros(len(validation), np.int64))
    assert len(plan.search(5)["validation"]) == MAX_VALIDATION_ROWS
    assert len(plan.confirm()[0]["validation"]) == len(validation)


@pytest.mark.parametrize(("share", "kept"), [(1.5, 5_000), (0.5, 2_500), (0.01, 1_500)])
def test_dear_evaluations_look_at_fewer_rows_of_the_same_order(share: float, kept: int) -> None:
    rows = np.arange(6_000)
    plan = RowPlan(rows, rows + 6_000, rows[:9], np.zeros(12_000, np.int64))
    parts, all_of_them = plan.search(5_000, share), plan.search(5_000)
    assert len(parts["validation"]) == kept
    assert len(parts["probe"]) == kept // 5
    assert set(parts["validation"]) <= set(all_of_them["validation"])
    assert list(parts["train"]) == list(all_of_them["train"])


def test_the_plan_follows_from_the_seed() -> None:
    same, other = RowPlan.of(DIGITS, seed=0), RowPlan.of(DIGITS, seed=1)
    assert list(same.train) == list(PLAN.train)
    assert list(other.train) != list(PLAN.train)
    assert list(other.test) == list(PLAN.test)


def test_the_description_has_each_phases_size_and_rates() -> None:
    described = PLAN.describe(200, 600)
    assert json.loads(json.dumps(described)) == described
    assert {phase: each["num_rows"] for phase, each in described.items()} == {
        "coarse": 200,
        "fine": 600,
        "confirm": len(PLAN.train),
    }
    assert set(described["coarse"]["rates"]) == {str(digit) for digit in range(10)}
    for rate in described["coarse"]["rates"].values():
        assert rate == pytest.approx(200 / len(PLAN.train), abs=0.02)
    assert set(described["confirm"]["rates"].values()) == {1.0}


@given(SIZES)
def test_the_rows_that_trials_are_judged_by_are_those_of_all_divisions(num_rows: int) -> None:
    plan = RowPlan.of(DIGITS, seed=0, num_fresh=2)
    divisions = (plan.validation, *(validation for _, validation in plan.fresh))
    wanted = set(np.concatenate([order[:num_rows] for order in divisions]).tolist())
    assert plan.judged(num_rows).tolist() == sorted(wanted)
    assert not wanted & set(plan.test.tolist())
