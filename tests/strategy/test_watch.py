"""Trainings without a future end early; those that may still come through don't."""

from dataclasses import replace

import pytest
from planted_curves import BEST, CHANCE, learning, record

from search.strategy.watch import MIN_PEERS, Watch
from search.trials import Record


def overfitted(top: float = 0.8) -> Record:
    up, down = learning(top, 8, 10), [top - 0.05 * i for i in range(1, 11)]
    return record([*up, *down], learning(1.5, 3))


def watched(peers: list[Record], chance: float | None = CHANCE) -> Watch:
    watch = Watch(chance, BEST)
    for peer in peers:
        watch.look(peer)
    return watch


GOOD = [record(learning(0.9, 6)) for _ in range(MIN_PEERS)]


def test_an_overfitted_training_that_is_behind_ends_with_its_evidence() -> None:
    decision = watched(GOOD).look(overfitted())
    assert decision.action == "stop"
    assert decision.reason.startswith("overfitting: ")
    assert decision.numbers["rank"] == MIN_PEERS + 1


def test_one_among_the_best_tenth_goes_on_whatever_its_curve_says() -> None:
    poor = [record(learning(0.6, 6)) for _ in range(MIN_PEERS)]
    assert watched(poor).look(overfitted()).action == "continue"


def test_one_among_the_best_tenth_by_what_trials_are_ranked_by_goes_on() -> None:
    def ranked(each: Record, objective: float) -> Record:
        evaluations = [replace(one, objective=objective) for one in each.evaluations]
        return Record(each.trial, evaluations)

    watch = watched([ranked(each, 0.1) for each in GOOD])
    assert watch.look(ranked(overfitted(), 0.2)).action == "stop"
    assert watch.look(ranked(overfitted(), 0.05)).action == "continue"


def test_nothing_ends_before_there_are_enough_peers() -> None:
    assert watched(GOOD[:-1]).look(overfitted()).action == "continue"


def test_nothing_ends_while_most_trainings_have_not_begun_to_learn() -> None:
    asleep = [record([0.0] * 20) for _ in range(MIN_PEERS)]
    awake = record([0.0] * 20, dead_units=0.9)
    assert watched(asleep).look(awake).action == "continue"


@pytest.mark.parametrize(
    ("best", "typical", "is_too_early"),
    [
        (0.1, 1.0, True),  # all asleep, and others have learnt much by now
        (0.1, 0.92, True),
        (0.1, 0.85, False),
        (0.93, 0.97, False),  # inputs that say little: half of what can be known is known
        (0.93, 0.995, True),
        (1.0, 0.999, True),  # nobody has learnt anything
    ],
)
def test_trainings_are_told_apart_once_the_better_ones_have_learnt_some_of_what_can_be_learnt(
    best: float, typical: float, is_too_early: bool
) -> None:
    peer = record([0.0])
    peer.evaluations[0] = replace(peer.evaluations[0], validation_loss=typical)
    watch = Watch(1.0, best)
    for _ in range(MIN_PEERS):
        watch.look(peer)
    assert (watch.too_early(peer.evaluations[0].point) is not None) == is_too_early


def test_a_published_default_goes_on() -> None:
    default = overfitted()
    default = Record(
        type(default.trial)(**{**vars(default.trial), "source": "default:a paper"}),
        default.evaluations,
    )
    assert watched(GOOD).look(default).action == "continue"


@pytest.mark.parametrize(("schedule", "action"), [("constant", "stop"), ("cosine", "continue")])
def test_a_learning_rate_that_is_still_to_decay_may_mend_a_bad_place(
    schedule: str, action: str
) -> None:
    stuck = record([0.3, *[0.4] * 19], update_ratio=0.2, config={"schedule": schedule})
    assert watched(GOOD).look(stuck).action == action


def test_without_a_scale_nothing_is_watched() -> None:
    assert watched(GOOD, None).look(overfitted()).action == "continue"


@pytest.mark.parametrize(("budget_evaluations", "action"), [(30, "stop"), (400, "continue")])
def test_what_may_still_come_to_the_best_that_is_known_goes_on(
    budget_evaluations: int, action: str
) -> None:
    slow = [0.7 + 0.003 * i for i in range(20)]
    training = record(slow, budget_evaluations=budget_evaluations, config={"schedule": "constant"})
    assert watched(GOOD).look(training).action == action
