from search.space import Choice, Config, Float, Space
from search.strategy.cover import Cover

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


def test_a_space_without_unordered_choices_calls_nobody() -> None:
    cover = Cover(Space([DROPOUT]), RUNGS)
    cover.pause("only", {"dropout": 0.5}, 1, 0.5, 0.1)
    assert cover.call() is None
