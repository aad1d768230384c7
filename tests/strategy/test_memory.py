import math

from hypothesis import given
from hypothesis import strategies as st

from search.strategy.memory import NUM_BEST, NUM_LATEST, Memory
from search.strategy.ranking import Observation


def observed(number: int, samples: int, loss: float) -> Observation:
    return Observation({"x": number}, samples, loss)


@given(
    st.lists(st.tuples(st.integers(1, 4), st.floats(0, 9) | st.just(math.inf)), max_size=NUM_BEST)
)
def test_a_few_observations_are_all_kept_in_their_order(seen: list[tuple[int, float]]) -> None:
    memory = Memory()
    observations = [observed(n, samples, loss) for n, (samples, loss) in enumerate(seen)]
    memory.extend(observations)
    assert memory.observations() == observations
    assert len(memory) == len(seen)


def test_what_nothing_but_the_cost_is_known_of_is_none_of_the_best() -> None:
    memory = Memory()
    memory.extend([observed(0, 1, 0.5), observed(1, 1, math.nan), observed(2, 1, 0.4)])
    assert [each.config["x"] for each in memory.observations()] == [0, 1, 2]
    assert memory.best(3) == [{"x": 2}, {"x": 0}]


def test_of_many_the_best_and_the_latest_are_kept() -> None:
    memory = Memory()
    first = [observed(n, 2, 1.0 + n) for n in range(NUM_BEST)]
    memory.extend(first)
    memory.extend(observed(n, 1, 0.0) for n in range(5000))
    kept = memory.observations()
    assert kept[:NUM_BEST] == first  # they were seen at the higher rung
    assert [o.config["x"] for o in kept[NUM_BEST:]] == list(range(5000 - NUM_LATEST, 5000))
    assert len(memory) == NUM_BEST + 5000


def test_the_best_are_different_configurations_of_the_highest_rung_without_failures() -> None:
    twice = {"x": 0}
    memory = Memory()
    memory.extend(
        [
            Observation(twice, 2, 0.5),
            Observation(twice, 1, 0.6),
            observed(1, 2, math.inf),
            observed(2, 1, 0.1),
            observed(3, 2, 0.7),
        ]
    )
    assert [config["x"] for config in memory.best(2)] == [0, 3]
    assert [config["x"] for config in memory.best(9)] == [0, 3, 2]
    assert [config["x"] for config in memory.ranked().values()] == [0, 3, 2, 1]
