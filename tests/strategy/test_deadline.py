import itertools

from search.strategy.deadline import Deadline


def test_it_is_worked_out_more_often_towards_the_end_but_seldom_in_all() -> None:
    asked: list[float] = []
    now = 0.0

    def compute() -> float:
        asked.append(now)
        return 1000.0

    deadline = Deadline(compute)
    while now < 1000.0:
        assert deadline.at(now) == 1000.0
        now += 0.01
    assert 100 < len(asked) < 1500
    gaps = [b - a for a, b in itertools.pairwise(asked)]
    assert max(gaps[:5]) > 9 > 0.5 > min(gaps[-5:])


def test_it_follows_what_moves() -> None:
    ends = [100.0]
    deadline = Deadline(lambda: ends[-1])
    assert deadline.at(0.0) == 100.0
    ends.append(50.0)
    assert deadline.at(0.5) == 100.0
    assert deadline.at(1.5) == 50.0
