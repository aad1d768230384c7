import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.events import Ending, Evaluation, Event, Trial, event_from_json, event_to_json
from search.trials import History, Record

POINTS = (5, 10, 20, 30)


def trial(trial_id: str = "c0000") -> Trial:
    return Trial(trial_id, "coarse", "sobol", {"rate": 0.1, "n": 3}, 7, 30, POINTS)


def evaluation(number: int, loss: float, trial_id: str = "c0000") -> Evaluation:
    point = POINTS[number - 1]
    return Evaluation(trial_id, number, point, point + 2, loss, loss, 0.5, 0.5, 0.1, 2.0 * number)


def record(losses: list[float], status: Any = None) -> Record:
    history = History([trial()])
    for number, loss in enumerate(losses, start=1):
        history.apply(evaluation(number, loss))
    if status is not None:
        history.apply(Ending("c0000", status, "because"))
    return history["c0000"]


def test_what_a_sample_costs_is_that_of_the_whole_budget_wherever_it_is_asked() -> None:
    history, training, evaluating = History([trial()]), 0.2, 3.0
    for number, point in enumerate(POINTS, start=1):
        in_evaluations = number * evaluating
        seconds = point * training + in_evaluations
        measured = (0.1, 0.1, 0.5, 0.5, 0.1, seconds, in_evaluations)
        history.apply(Evaluation("c0000", number, point, point, *measured))
        whole = 30 * training + len(POINTS) * evaluating
        assert history["c0000"].seconds_per_sample == pytest.approx(whole / 30)


def same(one: Event, other: Event) -> bool:
    return repr(one) == repr(other)  # NaN differs from itself


numbers = st.floats() | st.integers(-5, 5).map(float)


@given(st.lists(numbers, min_size=6, max_size=6))
def test_every_event_survives_a_line_of_json(values: list[float]) -> None:
    a, b, c, d, e, f = values
    events: list[Event] = [
        Trial("c0001", "fine", "tpe", {"x": 0.1, "s": "sgd", "n": 2, "b": True}, 3, 30, POINTS),
        Evaluation("c0001", 1, 5, 7, a, b, c, d, e, f),
        Ending("c0001", "failed", "raised\nin two lines", a, b, None, error="Traceback …"),
        Ending("c0001", "completed", "done", a, b, c, test_loss=d, test_metric=e, sparsity=f),
    ]
    for event in events:
        line = json.dumps({**event_to_json(event), "elapsed": 1.5})
        assert "\n" not in line
        assert same(event_from_json(json.loads(line)), event)


@pytest.mark.parametrize(
    "values",
    [
        *(3, None, [], "x", {}, {"event": "birth"}, {"event": "ending", "trial_id": "a"}),
        {**event_to_json(trial()), "colour": "red"},
    ],
)
def test_what_is_no_event_is_refused(values: Any) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        event_from_json(values)


def test_a_record_s_loss_is_the_best_finite_one() -> None:
    assert record([0.5, 0.2, math.nan, 0.4]).loss == 0.2
    assert record([]).loss == math.inf
    assert record([math.nan, math.inf]).loss == math.inf
    assert record([0.5, 0.2], "failed").loss == math.inf
    assert record([0.5, 0.2], "stopped").loss == 0.2
    best = record([0.5, 0.2, 0.2]).best
    assert best is not None
    assert best.evaluation == 2


@pytest.mark.parametrize(
    ("losses", "status", "expected"),
    [
        ([0.5, 0.4, 0.6], None, {5: 0.5, 10: 0.4, 20: 0.4, 30: None}),
        ([0.5, 0.4, 0.6], "stopped", {10: 0.4, 20: 0.4, 30: None}),
        ([0.5, 0.4, 0.6], "completed", {20: 0.4, 30: 0.4}),  # early: nothing would change
        ([0.5, 0.4, 0.6, 0.3], "completed", {20: 0.4, 30: 0.3, 31: None, 90: None}),
        ([0.5, 0.4], "failed", {5: math.inf, 30: math.inf}),
        ([math.nan, 0.4], None, {5: math.inf, 10: 0.4}),
        ([], None, {5: None}),
        ([], "completed", {5: math.inf}),
    ],
)
def test_the_value_at_a_point(
    losses: list[float], status: Any, expected: dict[int, float | None]
) -> None:
    found = record(losses, status)
    assert {point: found.value_at(point) for point in expected} == expected


def test_the_value_at_a_point_never_rises_with_the_point() -> None:
    found = record([0.5, 0.7, 0.2, 0.3])
    losses = [found.value_at(point) for point in POINTS]
    assert losses == sorted(losses, reverse=True)


def test_by_the_metric_a_record_is_ranked_by_its_best_metric_and_still_kept_by_its_loss() -> None:
    history = History([trial()])
    for number, (loss, objective) in enumerate([(0.5, 0.3), (0.4, 0.2), (0.6, 0.1)], start=1):
        history.apply(replace(evaluation(number, loss), objective=objective))
    found = history["c0000"]
    assert (found.value, found.loss) == (0.1, 0.4)
    assert [found.value_at(point) for point in POINTS] == [0.3, 0.2, 0.1, None]
    assert found.best is not None
    assert found.best.evaluation == 2
    assert found.standing == "validation metric 0.5"
    assert record([0.5, 0.4]).standing == "validation loss 0.4"
    assert record([math.nan]).standing == "no finite validation loss"


def test_what_a_record_cost() -> None:
    running = record([0.5, 0.4])
    assert (running.samples_seen, running.seconds) == (12, 4.0)
    assert (record([]).samples_seen, record([]).seconds) == (0, 0.0)
    history = History([trial(), evaluation(1, 0.5)])
    history.apply(Ending("c0000", "completed", "done", train_seconds=3.0, eval_seconds=0.5))
    assert history["c0000"].seconds == 3.5
    assert history.samples_seen == 7


def test_a_history_keeps_the_order_and_takes_everything_once() -> None:
    history = History([trial("b"), trial("a")])
    assert [r.trial.trial_id for r in history] == ["b", "a"]
    assert history.apply(evaluation(1, 0.5, "a"))
    assert not history.apply(evaluation(1, 0.1, "a"))
    assert not history.apply(trial("a"))
    assert history["a"].loss == 0.5
    assert history.apply(Ending("a", "stopped", "because"))
    assert not history.apply(Ending("a", "completed", "again"))
    assert not history.apply(evaluation(2, 0.1, "a"))
    assert history["a"].ending == Ending("a", "stopped", "because")
    assert history["a"].loss == 0.5
    assert [r.trial.trial_id for r in history.running] == ["b"]
    assert [r.trial.trial_id for r in history.ended] == ["a"]
    assert ("a" in history, "c" in history, len(history)) == (True, False, 2)
