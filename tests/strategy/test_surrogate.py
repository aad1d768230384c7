import math

import numpy as np
import pytest
from simulation import LADDER, SPACE, curve, final_loss

from search.space import Float, Space
from search.strategy.ranking import Observation
from search.strategy.surrogate import MAX_OBSERVATIONS, Fitted, Surrogate

FULL, LOWEST = LADDER.full, LADDER.rungs[0]


def observe(number: int, seed: int = 0, space: Space = SPACE) -> list[Observation]:
    """Return random configurations, each seen at the lower rungs and some in full."""
    points = np.random.default_rng(seed).random((number, len(space.searched)))
    configs = [space.from_unit(point) for point in points]
    return [
        Observation(config, rung, curve(config, rung / FULL))
        for n, config in enumerate(configs)
        for level, rung in enumerate(LADDER.rungs)
        if n % 3**level == 0
    ]


def model(observations: list[Observation], space: Space = SPACE) -> Surrogate:
    return Surrogate(space, observations, full=FULL, lowest=LOWEST)


def test_it_ranks_configurations_at_the_full_budget_from_lower_rungs() -> None:
    surrogate = model(observe(120))
    points = np.random.default_rng(9).random((100, len(SPACE.searched)))
    new = [c for c in map(SPACE.from_unit, points) if math.isfinite(final_loss(c))]
    mean, _ = surrogate.predict(new)
    assert np.corrcoef(mean, np.minimum([final_loss(c) for c in new], 1.5))[0, 1] > 0.6


def test_proposals_are_better_than_random_ones_and_different() -> None:
    losses, random = [], []
    for seed in range(3):
        surrogate = model(observe(80, seed))
        configs = surrogate.propose(6, [], np.random.default_rng(seed))
        assert len({repr(config) for config in configs}) == 6
        for config in configs:
            SPACE.validate(config)
        losses += [min(final_loss(config), 5.0) for config in configs]
        points = np.random.default_rng(seed).random((50, len(SPACE.searched)))
        random += [min(final_loss(SPACE.from_unit(point)), 5.0) for point in points]
    assert np.median(losses) < np.quantile(random, 0.2)


def test_what_runs_already_is_not_proposed_again() -> None:
    space = Space([Float(name="x", low=0.0, high=1.0)])
    observations = [Observation({"x": x}, FULL, (x - 0.4) ** 2) for x in (0.0, 0.1, 0.9, 1.0)]
    surrogate = model(observations, space)

    def first(running: list[float]) -> float:
        configs = [{"x": x} for x in running]
        return float(surrogate.propose(1, configs, np.random.default_rng(0))[0]["x"])

    wanted = first([])
    assert abs(first([wanted]) - wanted) > 0.02


def test_failures_keep_proposals_away() -> None:
    space = Space([Float(name="x", low=0.0, high=1.0), Float(name="y", low=0.0, high=1.0)])
    points = np.random.default_rng(0).random((40, 2))
    observations = [
        Observation({"x": x, "y": y}, FULL, math.inf if x > 0.5 else 1.0 + 0.01 * y)
        for x, y in points.tolist()
    ]
    found = model(observations, space).propose(12, [], np.random.default_rng(1))
    assert sum(float(config["x"]) > 0.5 for config in found) <= 3  # at random it would be 6


def test_what_is_slow_is_proposed_less_where_it_is_no_better() -> None:
    space = Space([Float(name="x", low=0.0, high=1.0), Float(name="y", low=0.0, high=1.0)])
    points = np.random.default_rng(0).random((40, 2))
    observations = [
        Observation({"x": x, "y": y}, FULL, (y - 0.5) ** 2, 1.0 if x < 0.5 else 50.0)
        for x, y in points.tolist()
    ]

    def share_slow(by_time: bool) -> float:
        surrogate = Surrogate(space, observations, full=FULL, lowest=LOWEST, by_time=by_time)
        found = surrogate.propose(20, [], np.random.default_rng(1))
        return sum(float(config["x"]) > 0.5 for config in found) / 20

    assert share_slow(True) < 0.25 < share_slow(False)


def test_what_is_too_slow_to_be_proven_is_not_proposed_however_good_it_is() -> None:
    space = Space([Float(name="x", low=0.0, high=1.0), Float(name="y", low=0.0, high=1.0)])
    points = np.random.default_rng(0).random((40, 2))
    observations = [
        Observation({"x": x, "y": y}, FULL, math.nan if x > 0.7 else 1.0 - x, math.exp(9.0 * x))
        for x, y in points.tolist()
    ]

    def share_slow(limit: float) -> float:
        surrogate = Surrogate(
            space, observations, full=FULL, lowest=LOWEST, max_seconds_per_sample=limit
        )
        found = surrogate.propose(20, [], np.random.default_rng(1))
        return sum(float(config["x"]) > 0.75 for config in found) / 20

    assert share_slow(math.exp(9.0 * 0.7)) < 0.1 < 0.5 < share_slow(math.inf)


def test_a_large_batch_is_drawn_from_the_posterior_and_differs() -> None:
    configs = model(observe(80)).propose(200, [], np.random.default_rng(0))
    assert len({repr(config) for config in configs}) == 200
    points = np.random.default_rng(5).random((200, len(SPACE.searched)))
    random = [min(final_loss(SPACE.from_unit(point)), 5.0) for point in points]
    assert np.median([min(final_loss(c), 5.0) for c in configs]) < np.median(random)


def test_the_hyperparameters_can_be_packed_and_begun_from() -> None:
    first = model(observe(60))
    again = Fitted.unpack(first.fitted.pack())
    np.testing.assert_array_equal(again.pack(), first.fitted.pack())
    second = Surrogate(SPACE, observe(60), full=FULL, lowest=LOWEST, start=again, refit=False)
    np.testing.assert_array_equal(second.fitted.pack(), first.fitted.pack())


@pytest.mark.parametrize("loss", [1.0, math.inf])
def test_observations_that_are_all_alike_leave_it_valid_proposals(loss: float) -> None:
    observations = [Observation(o.config, o.samples, loss) for o in observe(20)]
    for config in model(observations).propose(4, [], np.random.default_rng(0)):
        SPACE.validate(config)


def test_the_same_observations_and_seed_give_the_same_proposals() -> None:
    def proposals(seed: int) -> list[object]:
        return list(model(observe(40)).propose(4, [], np.random.default_rng(seed)))

    assert proposals(1) == proposals(1) != proposals(2)


def test_of_many_observations_those_of_the_highest_rungs_are_kept() -> None:
    observations = observe(MAX_OBSERVATIONS)
    assert len(observations) > MAX_OBSERVATIONS
    surrogate = model(observations)
    assert len(surrogate.process.values) == MAX_OBSERVATIONS
    num_full = sum(o.samples == FULL for o in observations)
    assert (surrogate.process.inputs[:, -1] == 1.0).sum() == num_full


def test_what_is_known_is_proposed_again_only_where_it_may_be() -> None:
    space = Space([Float(name="x", low=0.0, high=1.0)])
    short = [Observation({"x": x / 20}, LOWEST, (x / 20 - 0.4) ** 2) for x in range(21)]
    surrogate = model(short, space)
    again = ({"x": 0.4}, {"x": 2.0})
    fresh = surrogate.propose(6, [], np.random.default_rng(0))
    known = surrogate.propose(6, [], np.random.default_rng(0), again=again)
    assert {"x": 0.4} in known
    assert {"x": 0.4} not in fresh
    assert {"x": 2.0} not in known, "it isn't in the space"
