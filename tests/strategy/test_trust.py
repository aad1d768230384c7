import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulation import evaluation

from search.events import Ending, Trial
from search.strategy.phase import TIME_UP
from search.strategy.trust import (
    MIN_TRIALS,
    Correlation,
    Trust,
    between_rows,
    between_rungs,
    correlate,
)
from search.trials import History, Record

POINTS = (2, 4, 8, 12, 24, 36)
RUNGS = (4, 12, 36)
LOSSES = st.floats(-1e6, 1e6).map(lambda x: round(x, 3))
PAIRS = st.lists(st.tuples(LOSSES, LOSSES), min_size=5, max_size=30)


def record(
    name: str, losses: list[float], *, division: int = 0, status: str = "", reason: str = "done"
) -> Record:
    trial = Trial(name, "coarse", "sobol", {"x": 1.0}, 0, POINTS[-1], POINTS, division)
    found = Record(trial, [evaluation(trial, n + 1, loss) for n, loss in enumerate(losses)])
    if status:
        found.ending = Ending(name, status, reason)  # type: ignore[arg-type]
    return found


def draws(rho: float, number: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    first = generator.standard_normal(number)
    noise = generator.standard_normal(number)
    return first, rho * first + math.sqrt(1 - rho**2) * noise


def of_the_best_third(rho: float, number: int, seed: int) -> Correlation:
    first, second = draws(rho, number, seed)
    kept = np.argsort(first)[: number // 3]
    found = correlate(list(zip(first[kept], second[kept], strict=True)), first.tolist())
    assert found is not None
    return found


def spearman_of(rho: float) -> float:
    return 6 / math.pi * math.asin(rho / 2)


# ------------------------------------------------------------------ the number


@given(PAIRS)
def test_a_correlation_lies_in_its_interval_and_never_beyond_one(pairs: list) -> None:
    found = correlate(pairs, [first for first, _ in pairs])
    constant = any(len({pair[side] for pair in pairs}) == 1 for side in (0, 1))
    assert (found is None) == constant
    if found is not None:
        assert -1.0 <= found.low <= found.value <= found.high <= 1.0
        assert found.value == pytest.approx(found.plain), "nothing was chosen"


@given(PAIRS, st.lists(LOSSES, max_size=30))
def test_only_the_order_of_the_losses_counts(pairs: list, others: list) -> None:
    compared = [*(first for first, _ in pairs), *others]
    found = correlate(pairs, compared)
    bent = [(first**3 + 5.0, math.atan(second / 1e3)) for first, second in pairs]
    again = correlate(bent, [each**3 + 5.0 for each in compared])
    assert (found is None) == (again is None)
    if found is not None and again is not None:
        assert again.value == pytest.approx(found.value, abs=1e-6)


@given(PAIRS, st.randoms())
def test_the_order_of_the_trials_is_of_no_matter(pairs: list, random) -> None:
    shuffled = random.sample(pairs, len(pairs))
    found = correlate(pairs, [first for first, _ in pairs])
    again = correlate(shuffled, [first for first, _ in shuffled])
    if found is None or again is None:
        assert found is again
        return
    assert (found.value, found.low, found.high) == pytest.approx(
        (again.value, again.low, again.high)
    )


def test_fewer_than_five_trials_give_no_number() -> None:
    pairs = [(float(n), float(n)) for n in range(MIN_TRIALS)]
    first = [a for a, _ in pairs]
    assert correlate(pairs[:-1], first) is None
    found = correlate(pairs, first)
    assert found is not None
    assert found.value == pytest.approx(1.0)
    assert found.low < 0.5, "five that keep their order by luck are no certainty"


@pytest.mark.parametrize("rho", [0.3, 0.7, 0.95])
def test_what_the_best_third_shows_is_carried_over_to_all(rho: float) -> None:
    found = [of_the_best_third(rho, 90, seed) for seed in range(200)]
    assert np.median([each.value for each in found]) == pytest.approx(spearman_of(rho), abs=0.08)
    assert np.median([each.plain for each in found]) < spearman_of(rho) - 0.1


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("number", [18, 60])
def test_the_interval_holds_the_truth_in_nine_of_ten_runs(rho: float, number: int) -> None:
    found = [of_the_best_third(rho, number, seed) for seed in range(300)]
    held = np.mean([each.low <= spearman_of(rho) <= each.high for each in found])
    assert 0.82 <= held <= 0.99


def refuted(rho: float, number: int) -> float:
    """Return the share of runs in which an order is refuted at any of a few looks."""

    def is_refuted(seed: int) -> bool:
        first, second = draws(rho, number, seed)
        for so_far in range(30, number + 1, 12):
            kept = np.argsort(first[:so_far])[: so_far // 3]
            pairs = list(zip(first[kept], second[kept], strict=True))
            found = correlate(pairs, first[:so_far].tolist())
            assert found is not None
            if Trust("rungs", 100, 4, 12, found).is_refuted:
                return True
        return False

    return float(np.mean([is_refuted(seed) for seed in range(150)]))


def test_chance_alone_seldom_refutes_a_sound_order_and_no_order_at_all_is_found_out() -> None:
    assert refuted(0.95, 78) <= 0.02
    assert refuted(0.85, 78) <= 0.06
    assert refuted(0.0, 78) >= 0.75


@pytest.mark.parametrize(
    ("value", "low", "high", "words", "is_refuted"),
    [
        (0.8, 0.5, 0.9, "good", False),
        (0.8, 0.1, 0.9, "good, unsure", False),
        (0.6, 0.1, 0.8, "fair, unsure", False),
        (0.4, 0.1, 0.8, "low, unsure", False),
        (0.4, 0.1, 0.6, "low", True),
    ],
)
def test_the_guide_s_numbers_and_the_interval_decide(
    value: float, low: float, high: float, words: str, is_refuted: bool
) -> None:
    trust = Trust("rungs", 9_000, 4, 12, Correlation(value, low, high, 0.3, 12, 36))
    assert trust.is_refuted == is_refuted
    assert trust.describe().endswith(
        f"{value:.2f} [{low:.2f}, {high:.2f}] by 12 of 36 trials, {words}"
    )
    assert trust.to_json()["word"] == words.partition(",")[0]


# ------------------------------------------------------------------ within coarse


def went_on(number: int, *, gain: float = 0.1) -> list[Record]:
    """Trials whose order at the second rung is that at the first."""
    return [record(f"c{n}", [9.0, n + 1, n + 1 - gain, n + 1 - gain]) for n in range(number)]


def test_neighbouring_rungs_are_compared_on_those_that_went_on() -> None:
    stayed = [record(f"s{n}", [9.0, 20.0 + n], status="stopped") for n in range(12)]
    (trust,) = between_rungs([*went_on(6), *stayed], RUNGS, (100, 400))
    assert (trust.between, trust.rows, trust.rung, trust.later) == ("rungs", 100, 4, 12)
    assert trust.correlation.value == pytest.approx(1.0)
    assert (trust.correlation.num_pairs, trust.correlation.num_compared) == (6, 18)


def test_what_comes_after_a_rung_is_compared_and_not_the_best_of_all() -> None:
    """On rows that are used up the best never changes, and would be compared with itself."""
    order = [3, 1, 4, 0, 5, 2]
    rising = [record(f"c{n}", [9.0, n, 10.0 + order[n], 20.0]) for n in range(6)]
    (trust,) = between_rungs(rising, RUNGS, (100,))
    assert trust.correlation.plain == pytest.approx(
        float(np.corrcoef(range(6), order)[0, 1]), abs=1e-9
    )


@pytest.mark.parametrize(
    ("last", "counts"),
    [
        (record("x", [9.0, 3.5, 3.4], status="completed"), True),
        (record("x", [9.0, 3.5, 3.4], status="stopped", reason="overfitting: …"), True),
        (record("x", [9.0, 3.5, 3.4], status="stopped", reason=TIME_UP), False),
        (record("x", [9.0, 3.5, 3.4], status="failed"), False),
        (record("x", [9.0, 3.5, 3.4]), False),
        (record("x", [9.0, 3.5, math.nan, math.nan]), False),
    ],
)
def test_a_training_that_ended_on_its_way_counts_unless_it_failed_or_was_cut_off(
    last: Record, counts: bool
) -> None:
    (trust,) = between_rungs([*went_on(5), last], RUNGS, (100,))
    assert trust.correlation.num_pairs == 5 + counts


def test_each_subsample_is_measured_by_itself() -> None:
    turned = [record(f"d{n}", [9.0, n, 9.0 - n, 9.0], division=1) for n in range(5)]
    small, large = between_rungs([*went_on(5), *turned], RUNGS, (100, 400))
    assert (small.rows, large.rows) == (100, 400)
    assert small.correlation.value == pytest.approx(1.0)
    assert large.correlation.value == pytest.approx(-1.0)


def test_without_enough_trials_there_is_nothing_to_say() -> None:
    assert between_rungs(went_on(4), RUNGS, (100,)) == []
    assert between_rungs([], RUNGS, (100,)) == []


# ------------------------------------------------------------------ between coarse and fine


def history(records: list[Record]) -> History:
    return History(
        itertools.chain.from_iterable(
            [r.trial, *r.evaluations, *([r.ending] if r.ending else [])] for r in records
        )
    )


def survivor(of: str, losses: list[float], status: str = "") -> Record:
    trial = Trial(f"f-{of}", "fine", f"survivor:{of}", {"x": 1.0}, 1, POINTS[-1], POINTS)
    found = Record(trial, [evaluation(trial, n + 1, loss) for n, loss in enumerate(losses)])
    found.ending = Ending(trial.trial_id, status, "") if status else None  # type: ignore[arg-type]
    return found


def test_the_survivors_are_compared_at_the_same_rung() -> None:
    coarse = history([record(f"c{n}", [9.0, float(n)], status="stopped") for n in range(20)])
    fine = [survivor(f"c{n}", [5.0, loss]) for n, loss in enumerate((1.0, 3.0, 2.0, 4.0, 5.0))]
    strangers = [Record(Trial("f9", "fine", "gp", {"x": 2.0}, 1, POINTS[-1], POINTS))]
    (trust,) = between_rows(coarse, [*fine, *strangers], RUNGS, (100,))
    assert (trust.between, trust.rung, trust.later) == ("rows", 4, 4)
    assert (trust.correlation.num_pairs, trust.correlation.num_compared) == (5, 20)
    assert 0.0 < trust.correlation.plain < trust.correlation.value, "five of twenty are alike"
    assert between_rows(coarse, [*fine[1:], *strangers], RUNGS, (100,)) == []


def test_a_survivor_that_failed_on_more_rows_gives_no_pair() -> None:
    coarse = history([record(f"c{n}", [9.0, float(n)], status="stopped") for n in range(9)])
    fine = [survivor(f"c{n}", [5.0, float(n)], "failed" if n == 2 else "") for n in range(6)]
    (trust,) = between_rows(coarse, fine, RUNGS, (100,))
    assert trust.correlation.num_pairs == 5
