import math
import statistics

import pytest
from simulation import DEFAULTS, SPACE

from search.strategy.around import MOST, AroundDefaults
from search.strategy.coarse import default_proposals

GIVEN = default_proposals(SPACE, DEFAULTS)


def around() -> AroundDefaults:
    return AroundDefaults(SPACE, GIVEN, seed=0)


def drawn(made: AroundDefaults, number: int) -> int:
    """Return how many of so many trials are drawn around a default."""
    return sum(made.propose(each) is not None for each in range(number))


def test_a_point_differs_from_its_default_in_some_dimensions_and_not_by_much() -> None:
    made, rate = around(), SPACE["learning_rate_adam"]
    published = {source.replace("default", "around"): config for config, source in GIVEN}
    kept: list[float] = []
    moves: list[float] = []
    for number in range(1000):
        proposal = made.propose(number)
        if proposal is None:
            continue
        made.num_started += 1
        config, source = proposal
        SPACE.validate(config)
        nearest = published[source]
        shared = config.keys() & nearest.keys()
        kept.append(statistics.mean(config[name] == nearest[name] for name in shared))
        if "learning_rate_adam" in shared:
            before, after = (rate.to_unit(c["learning_rate_adam"]) for c in (nearest, config))
            moves += [after - before] if after != before else []
    assert 0.45 < statistics.mean(kept) < 0.75
    assert 0.15 < statistics.stdev(moves) < 0.3


def test_without_evidence_and_with_good_evidence_every_second_point_is_one() -> None:
    made = around()
    assert 0.45 < drawn(made, 1000) / 1000 < 0.55
    for number in range(10):
        made.hear(1.0 + number, is_around=False, division=0)
        made.hear(0.5, is_around=True, division=0)
    assert made.share == MOST
    assert 0.45 < drawn(made, 1000) / 1000 < 0.55


def test_defaults_that_are_worse_than_chance_are_soon_left() -> None:
    made = around()
    for number in range(6):
        made.hear(1.0 + number / 10, is_around=False, division=0)
        made.hear(math.inf if number % 2 else 9.0, is_around=True, division=0)
    assert made.share < 0.01


@pytest.mark.parametrize(
    ("loss", "division"),
    [pytest.param(1.0, 0, id="as good as chance"), pytest.param(9.0, 1, id="worse on other rows")],
)
def test_what_does_not_speak_against_them_costs_them_nothing(loss: float, division: int) -> None:
    made = around()
    for _ in range(20):
        made.hear(1.0, is_around=False, division=0)
        made.hear(loss, is_around=True, division=division)
    assert made.share == MOST


def test_without_a_default_there_is_none() -> None:
    assert drawn(AroundDefaults(SPACE, (), seed=0), 100) == 0
