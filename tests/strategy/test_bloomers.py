import pytest

from search.events import Ending, Evaluation, Pause, Trial
from search.strategy.bloomers import MIN_PEERS, Curves, flat_ones
from search.trials import History


def peers(curves: Curves, number: int = 20) -> None:
    """Enter curves that fall from 1 by a half and more, slower and slower."""
    for n in range(number):
        end = 0.5 - 0.01 * n
        curves.enter([1.0, end + 0.05, end])


@pytest.mark.parametrize("chance", [None, 1.0])
@pytest.mark.parametrize(
    ("losses", "kind"),
    [
        ([1.0, 1.0, 0.999], "flat"),
        ([1.0, 1.1, 1.2], "flat"),
        ([1.02, 1.01, 1.01], "flat"),
        ([3.0, 2.9, 2.8], "improving"),
        ([3.0, 3.1, 3.2], "settled"),
        ([1.0, 0.9, 0.7], "improving"),
        ([1.0, 0.4, 0.39], "settled"),
        ([1.0, 0.3, 0.5], "settled"),
    ],
)
def test_a_curve_is_compared_with_those_of_its_rung(
    losses: list[float], kind: str, chance: float | None
) -> None:
    curves = Curves(chance)
    peers(curves)
    assert curves.kind(losses) == kind


def test_one_loss_is_enough_to_be_flat() -> None:
    curves = Curves()
    for n in range(20):
        curves.enter([1.0 if n % 5 == 0 else 0.5 + 0.01 * n])
    assert [curves.kind([loss]) for loss in (1.0, 0.99, 0.6)] == ["flat", "flat", "settled"]


def test_with_few_peers_nothing_is_said_of_a_curve() -> None:
    curves = Curves()
    kinds = []
    for _ in range(MIN_PEERS):
        kinds.append(curves.kind([1.0, 1.0]))
        curves.enter([1.0, 0.5])
    assert kinds == ["settled"] * MIN_PEERS
    assert curves.kind([1.0, 1.0]) == "flat"


def phase(curves: dict[str, list[float]], *, source: str = "sobol", division: int = 0) -> History:
    """Return a phase whose trials were evaluated at 10 and 20 samples and then waited."""
    history = History()
    for name, losses in curves.items():
        points = (10, 20, 60)
        history.apply(Trial(name, "coarse", source, {"x": 1.0}, 0, 60, points, division))
        for number, loss in enumerate(losses, 1):
            at = points[number - 1]
            history.apply(Evaluation(name, number, at, at, loss, loss, 0, 0, 0, 1.0))
        history.apply(Pause(name, "its rank"))
    for record in history.paused:
        history.apply(record.not_called_again())
    return history


def add(history: History, more: History) -> None:
    """Enter the trials of another phase."""
    for record in more:
        assert history.apply(record.trial)
        for event in (*record.evaluations, record.ending):
            assert event is not None
            history.apply(event)


def names(history: History, chance: float | None = None) -> list[str]:
    return [record.trial.trial_id for record in flat_ones(list(history), (20, 60), chance)]


STEEP = {f"c{n}": [1.0, 0.5 + 0.01 * n] for n in range(10)}


def test_those_are_flat_that_waited_and_hadn_t_begun_to_learn() -> None:
    history = phase({**STEEP, "late": [1.0, 0.99], "early": [1.0]})
    assert names(history) == names(history, chance=1.0) == ["late"]


def test_who_was_stopped_isn_t_among_them() -> None:
    history = phase(STEEP)
    history.apply(Trial("late", "coarse", "sobol", {"x": 1.0}, 0, 60, (10, 20, 60)))
    for number, point in enumerate((10, 20), 1):
        history.apply(Evaluation("late", number, point, point, 1.0, 1.0, 0, 0, 0, 1.0))
    history.apply(Ending("late", "stopped", "dead: nothing is learnt"))
    assert names(history) == []


def test_what_a_model_proposed_is_no_measure() -> None:
    flat = {f"gp{n}": [1.0, 0.99] for n in range(30)}
    history = phase(STEEP)
    add(history, phase(flat, source="gp"))
    assert names(history) == list(flat)


def test_only_the_newest_rows_are_compared() -> None:
    history = phase({**STEEP, "old": [1.0, 0.99]})
    newer = {f"n{n}": [2.0, 1.0 + 0.01 * n] for n in range(10)}
    add(history, phase({**newer, "late": [2.0, 1.99]}, division=1))
    assert names(history) == ["late"]
