from simulation import SPACE

from search.space import Choice, Config, Float, Space, apply_overrides
from search.strategy.change import Change
from search.strategy.living import LivingSpace
from search.strategy.ranking import name_of

RATE = Float(name="rate", low=1e-4, high=1e-1, log=True, limits=(1e-9, 10.0))
MIX = Float(name="mix", low=0.0, high=1.0)
WHOLE = Space([RATE, MIX, Choice(name="kind", values=("a", "b", "c"))])
FOCUS = apply_overrides(WHOLE, {"mix": {"low": 0.4, "high": 0.6}, "kind": {"values": ["a"]}})


def configs(rates: list[float], *, mix: float = 0.5, kind: str = "a") -> list[Config]:
    return [{"rate": rate, "mix": mix, "kind": kind} for rate in rates]


def test_it_widens_by_a_decade_where_half_of_the_best_lie_at_an_edge() -> None:
    living = LivingSpace(WHOLE, FOCUS)
    (change,) = living.reconsider(configs([0.09, 0.1, 0.08, 1e-3, 1e-3, 1e-2]))
    assert (change.dimension, change.change) == ("rate", "widened")
    living.apply([change])
    after = living.whole["rate"]
    assert isinstance(after, Float)
    assert (after.low, after.high) == (1e-4, 1.0)
    assert living.focus["rate"] == after
    assert living.focus["mix"] == FOCUS["mix"]


def test_it_widens_again_and_again_but_not_beyond_the_limits() -> None:
    living = LivingSpace(WHOLE, WHOLE)
    for high in (1.0, 10.0):
        top = living.whole["rate"]
        assert isinstance(top, Float)
        living.apply(living.reconsider(configs([top.high] * 6)))
        after = living.whole["rate"]
        assert isinstance(after, Float)
        assert after.high == high
    assert living.reconsider(configs([10.0] * 6)) == []


def test_a_range_without_limits_is_never_widened() -> None:
    living = LivingSpace(WHOLE, WHOLE)
    assert living.reconsider(configs([1e-2] * 6, mix=0.0)) == []


def test_a_narrowing_that_the_best_lie_outside_of_is_taken_back() -> None:
    living = LivingSpace(WHOLE, FOCUS)
    best = configs([1e-2] * 4) + configs([1e-2] * 2, mix=0.9, kind="c")
    changes = living.reconsider(best)
    assert {(each.dimension, each.change) for each in changes} == {
        ("mix", "restored"),
        ("kind", "restored"),
    }
    living.apply(changes)
    assert living.focus == WHOLE
    assert living.reconsider(best) == []


def test_what_is_active_under_a_value_that_is_back_is_searched_there_again() -> None:
    decay = Float(name="decay", low=0.1, high=0.9, when={"kind": ("b", "c")})
    whole = Space([*WHOLE, decay])
    living = LivingSpace(whole, apply_overrides(whole, {"kind": {"values": ["a", "b"]}}))
    assert living.focus["decay"].when == {"kind": ("b",)}
    living.apply(living.taken_back("all of it"))
    assert living.focus == whole


def test_one_of_six_outside_is_no_evidence() -> None:
    best = configs([1e-2] * 5) + configs([1e-2], mix=0.9)
    assert LivingSpace(WHOLE, FOCUS).reconsider(best) == []


def test_too_few_that_use_a_dimension_say_nothing_of_it() -> None:
    assert LivingSpace(WHOLE, FOCUS).reconsider(configs([0.1] * 3, mix=0.9)) == []


def test_changes_survive_as_json() -> None:
    living = LivingSpace(WHOLE, FOCUS)
    changes = living.reconsider(configs([0.1] * 6, mix=0.9))
    again = LivingSpace(WHOLE, FOCUS)
    again.apply([Change(**change.to_json()) for change in changes])
    living.apply(changes)
    assert (again.whole, again.focus) == (living.whole, living.focus)


def test_a_fixed_dimension_stays_fixed_when_another_is_restored() -> None:
    focus = SPACE.fix("batch_size", 64)
    focus = apply_overrides(focus, {"num_layers": {"low": 1, "high": 2}})
    living = LivingSpace(SPACE, focus)
    best = [
        {"optimizer": "adam", "learning_rate_adam": 1e-3, "num_layers": 5, "batch_size": 64}
    ] * 6
    living.apply(living.reconsider([*best]))
    assert living.focus["num_layers"] == SPACE["num_layers"]
    assert living.focus["batch_size"] == focus["batch_size"]


def test_a_fixed_dimension_is_set_free_by_what_was_tried_since_not_by_what_it_was_fixed_after() -> (
    None
):
    before: list[Config] = [{"rate": 1e-3, "mix": mix, "kind": "a"} for mix in (0.1, 0.3, 0.6, 0.9)]
    since: list[Config] = [{**config, "rate": 2e-3} for config in before]
    living = LivingSpace(WHOLE, WHOLE.fix("mix", 0.5), {name_of(config) for config in before})
    assert living.reconsider(before) == []
    (change,) = living.reconsider([*before, *since])
    assert (change.dimension, change.change) == ("mix", "restored")


DROPOUT = Choice(name="dropout", values=(0.0, 0.3, 0.5, 0.7), ordered=True)


def test_values_on_the_losing_side_are_left_out_of_where_it_looks_first() -> None:
    whole = Space([DROPOUT, Choice(name="kind", values=("a", "b"))])
    living = LivingSpace(whole, whole)
    best: list[Config] = [
        {"dropout": value, "kind": "a"} for value in (0.7, 0.5, 0.7, 0.7, 0.5, 0.7)
    ]
    drawn: list[Config] = [*best, *({"dropout": v, "kind": "b"} for v in (0.0, 0.3, 0.0, 0.3))]
    (change,) = living.reconsider(best, drawn)
    assert (change.dimension, change.change) == ("dropout", "narrowed")
    living.apply([change])
    assert living.focus["dropout"].values == (0.5, 0.7)  # type: ignore[union-attr]
    assert living.whole == whole, "it may still be proposed"
    assert living.reconsider(best, drawn) == []
    others: list[Config] = [
        {"dropout": value, "kind": "a"} for value in (0.0, 0.3, 0.0, 0.5, 0.7, 0.7)
    ]
    (back,) = living.reconsider(others)
    assert (back.dimension, back.change) == ("dropout", "restored")
    living.apply([back])
    assert living.focus["dropout"] == DROPOUT
    assert living.reconsider(best, drawn) == [], "not to and fro"


def test_five_of_the_best_or_three_of_four_values_are_no_losing_side() -> None:
    living = LivingSpace(Space([DROPOUT]), Space([DROPOUT]))
    drawn: list[Config] = [{"dropout": value} for value in (0.7, 0.5, 0.3) * 3 + (0.0,) * 3]
    assert living.reconsider([{"dropout": 0.7}] * 5, drawn) == []
    assert living.reconsider([{"dropout": value} for value in (0.3, 0.5, 0.7) * 2], drawn) == []


def test_what_descends_from_one_configuration_is_no_evidence_against_other_values() -> None:
    living = LivingSpace(Space([DROPOUT]), Space([DROPOUT]))
    best: list[Config] = [{"dropout": 0.7}] * 6
    of_all_kinds: list[Config] = [{"dropout": value} for value in DROPOUT.values * 5]
    hardly_others: list[Config] = [*best, *best, {"dropout": 0.0}]
    too_few: list[Config] = [{"dropout": value} for value in (0.7,) * 5]
    for drawn in ([], of_all_kinds, hardly_others, too_few):
        assert living.reconsider(best, drawn) == []
