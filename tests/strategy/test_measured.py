"""What doesn't fit into memory isn't searched."""

from dataclasses import replace

import pytest

from search.findings import Finding, warn
from search.space import Choice, Fixed, Float, Space
from search.strategy.measured import describe_first, fitting, num_on_a_gpu, where_first

BATCH = Choice(name="batch_size", values=(32, 64, 128, 256), ordered=True)
SPACE = Space([BATCH, Choice(name="optimizer", values=("sgd", "adam"))])


def measured(limit: float | None) -> list[Finding]:
    said = [Finding("batch_size", "PASS", "training samples by batch size", value=64.0)]
    more = [] if limit is None else [warn("batch_size", "too large", "they go", value=limit)]
    return [*said, *more, warn("learning_rate", "high", "look", value=3.0)]


def test_batches_that_do_not_fit_are_left_out_with_their_evidence() -> None:
    space, (change,) = fitting(SPACE, measured(128.0))
    assert space["batch_size"].values == (32, 64)  # type: ignore[union-attr]
    assert space["optimizer"] == SPACE["optimizer"]
    assert (change.change, change.numbers) == ("narrowed", {"limit": 128.0})
    assert "128 rows and more" in change.why


@pytest.mark.parametrize("limit", [None, 512.0, 16.0])
def test_what_fits_stays_and_something_always_does(limit: float | None) -> None:
    assert fitting(SPACE, measured(limit)) == (SPACE, [])


def test_a_batch_size_that_the_study_gives_stays() -> None:
    given = Space([Fixed(name="batch_size", value=256)])
    assert fitting(given, measured(64.0)) == (given, [])


@pytest.mark.parametrize(("share", "number"), [(1.0, 1), (0.6, 1), (0.5, 2), (0.3, 3), (0.01, 8)])
def test_as_many_share_a_gpu_as_it_has_the_memory_for(share: float, number: int) -> None:
    found = Finding("gpu_memory", "PASS", "a trial takes up to", value=share)
    assert num_on_a_gpu([*measured(None), found]) == number


def test_where_nothing_was_measured_a_trial_has_a_gpu_of_its_own() -> None:
    assert num_on_a_gpu([*measured(64.0), Finding("gpu_memory", "PASS", "no GPU here")]) == 1


RATES = Space(
    [
        Choice(name="optimizer", values=("sgd", "adam")),
        Float(name="learning_rate_sgd", low=1e-5, high=1.0, log=True),
        Float(name="learning_rate_adam", low=1e-5, high=0.1, log=True),
    ]
)
FELL = Finding("learning_rate", "PASS", "the loss falls", value=0.3, interval=(1e-4, 0.3))


def test_where_the_loss_fell_is_looked_at_first_within_the_space() -> None:
    first = where_first(RATES, [FELL], {"optimizer": "adam", "learning_rate_adam": 1e-3})
    assert first is not None
    assert (first.name, first.low, first.high) == ("learning_rate_adam", 1e-4, 0.1)
    assert "learning_rate_adam between 0.0001 and 0.1" in describe_first(first)


@pytest.mark.parametrize(
    ("space", "finding", "optimizer"),
    [
        (RATES, Finding("learning_rate", "PASS", "the loss falls", value=0.3), "adam"),
        (RATES, replace(FELL, interval=(0.2, 0.3)), "adam"),
        (RATES, replace(FELL, interval=(1e-9, 10.0)), "adam"),
        (RATES, FELL, "rmsprop"),
        (Space([BATCH]), FELL, "adam"),
        (Space([Fixed(name="learning_rate", value=0.1)]), FELL, "adam"),
    ],
)
def test_without_a_measurement_in_the_space_nothing_is_looked_at_first(
    space: Space, finding: Finding, optimizer: str
) -> None:
    assert where_first(space, [finding], {"optimizer": optimizer}) is None


def test_the_interval_survives_its_file() -> None:
    assert Finding.from_json(FELL.to_json()).interval == (1e-4, 0.3)
    assert "interval" not in Finding("gradients", "PASS", "").to_json()
