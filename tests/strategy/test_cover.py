from search.space import Choice, Config, Float, Space
from search.strategy.cover import Cover
from search.strategy.ranking import name_of

NORM = Choice(name="norm", values=("batch", "layer", "none"))
DROPOUT = Choice(name="dropout", values=(0.0, 0.5), ordered=True)
SPACE = Space([NORM, DROPOUT, Float(name="rate", low=0.1, high=1.0)])
RUNGS = (1, 3, 9)


def config(norm: str, dropout: float = 0.0) -> Config:
    return {"norm": norm, "dropout": dropout, "rate": 0.5}


def test_the_best_trial_that_waits_with_a_value_is_called_and_goes_on_rung_by_rung() -> None:
    cover = Cover(SPACE, RUNGS)
    cover.reach(config("batch"), 9)
    cover.pause("worse", config("layer"), 1, 0.9, 0.5)
    cover.pause("better", config("layer"), 1, 0.8, 0.4)
    cover.pause("known", config("batch", 0.5), 1, 0.1, 0.1)
    call = cover.call()
    assert call is not None
    assert (call.trial_id, call.rung) == ("better", 3)
    assert call.reason == "none with norm = layer has come so far yet"
    cover.leave("better")
    cover.reach(config("layer"), 3)
    assert cover.call() is None, "one is enough"
    cover.pause("better", config("layer"), 3, 0.7, 0.7)
    call = cover.call()
    assert call is not None
    assert (call.trial_id, call.rung) == ("better", 9)
    cover.leave("better")
    cover.reach(config("layer"), 9)
    assert cover.call() is None


def test_a_value_waits_for_a_trial_that_is_none_of_the_worst() -> None:
    cover = Cover(SPACE, RUNGS)
    cover.reach(config("batch"), 9)
    cover.pause("hopeless", config("none"), 1, 2.3, 1.0)
    assert cover.call() is None
    cover.pause("fair", config("none"), 1, 0.9, 0.6)
    call = cover.call()
    assert call is not None
    assert call.trial_id == "fair"


def test_what_goes_on_by_itself_brings_its_value_along_and_nobody_is_called_for_it() -> None:
    cover = Cover(SPACE, RUNGS)
    cover.pause("first", config("layer"), 1, 0.5, 0.5)
    cover.reach(config("layer"), 3)
    assert cover.call() is None
    cover.pause("later", config("layer"), 1, 0.4, 0.2)
    assert cover.call() is None


def names(*configs: Config) -> dict[str, Config]:
    return {name_of(each): each for each in configs}


def test_the_best_configuration_is_tried_with_each_value_that_nobody_brings_along() -> None:
    cover = Cover(SPACE, RUNGS)
    best, second = config("batch"), config("none", 0.5)
    cover.reach(best, 3)

    def cross() -> tuple[Config, str] | None:
        return cover.cross(lambda: names(best, second), 0)

    crossed = cross()
    assert crossed == (config("none"), "value:norm"), "the value that has done better comes first"
    assert cross() == crossed, "it hasn't started"
    cover.started(*crossed)
    crossed = cross()
    assert crossed == (config("layer"), "value:norm")
    cover.started(*crossed)
    assert cross() is None, "once is enough"


def test_nothing_is_crossed_where_one_waits_with_the_value_or_it_was_tried() -> None:
    cover = Cover(SPACE, RUNGS)
    best = config("batch")
    cover.reach(best, 3)
    cover.pause("waits", config("layer", 0.5), 1, 0.5, 0.5)
    assert cover.cross(lambda: names(best, config("none")), 0) is None
    assert cover.cross(dict, 0) is None, "nothing is known yet"


SIZED = Space([NORM, Float(name="size", low=0.0, high=1.0, when={"norm": ("layer",)})])


def test_what_the_best_has_no_use_for_is_as_in_the_best_that_has() -> None:
    cover = Cover(Space([*SIZED, DROPOUT]), RUNGS)
    best = {"norm": "batch", "dropout": 0.5}
    others = [{"norm": "layer", "size": size, "dropout": 0.0} for size in (0.3, 0.9)]
    cover.reach(best, 3)
    crossed = cover.cross(lambda: names(best, *others), 0)
    assert crossed == ({"norm": "layer", "size": 0.3, "dropout": 0.5}, "value:norm")


def test_what_none_that_was_tried_has_a_use_for_is_drawn() -> None:
    cover = Cover(SIZED, RUNGS)
    cover.reach({"norm": "batch"}, 3)
    crossed = cover.cross(lambda: names({"norm": "batch"}), 0)
    assert crossed is not None
    SIZED.validate(crossed[0])
    assert crossed[0]["norm"] == "layer"


def test_a_space_without_unordered_choices_calls_nobody() -> None:
    cover = Cover(Space([DROPOUT]), RUNGS)
    cover.pause("only", {"dropout": 0.5}, 1, 0.5, 0.1)
    assert cover.call() is None
