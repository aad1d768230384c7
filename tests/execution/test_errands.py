"""What is done in slots before there are trials, without Ray."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import pytest

from search.data import Dataset
from search.data.batches import Resident
from search.errors import DataError, ModelError, RunFailed, SieveError
from search.execution.errands import MAX_LOSSES, ErrandDriver, Errands
from search.execution.slot_book import SlotBook

Data = Callable[[], Resident]


@dataclass(frozen=True)
class Says:
    """Finds something, or raises."""

    what: Any

    def do(self, dataset: Dataset, data: Data) -> Any:
        if isinstance(self.what, Exception):
            raise self.what
        return self.what


def driver_of(*names: str, slots: Callable[[], int] = lambda: 2) -> ErrandDriver:
    return ErrandDriver(names, slots=slots, stop_requested=lambda: False, book=SlotBook())


def done(what: Any) -> str:
    nothing = cast(Dataset, None)
    return Errands({"a": Says(what)}, "own.py", 0.0).do("a", nothing, cast(Data, None))


def test_each_is_done_once_in_a_slot_that_others_use_again() -> None:
    driver = driver_of("a", "b", "c")
    first, second = driver.next_trial(), driver.next_trial()
    assert first is not None
    assert second is not None
    assert [(each.name, each.slot) for each in (first, second)] == [("a", 0), ("b", 1)]
    assert driver.next_trial() is None, "no slot is free"
    assert driver.report("b", done({"speed": 1.5})).action == "stop"
    third = driver.next_trial()
    assert third is not None
    assert (third.name, third.slot) == ("c", 1)
    assert not driver.done
    for name in "ac":
        driver.report(name, done(None))
    assert driver.done
    assert driver.next_trial() is None
    assert driver.found("b") == {"speed": 1.5}
    assert driver.found("c") is None


@pytest.mark.parametrize(
    ("raised", "kind", "says"),
    [
        (DataError("too large; give fewer rows"), DataError, "too large; give fewer rows"),
        (KeyError("width"), ModelError, "model own.py: KeyError: 'width'"),
    ],
)
def test_what_is_raised_in_a_process_is_raised_where_it_is_asked_for(
    raised: Exception, kind: type[SieveError], says: str
) -> None:
    driver = driver_of("a")
    driver.next_trial()
    driver.report("a", done(raised))
    with pytest.raises(kind) as caught:
        driver.found("a")
    assert str(caught.value) == says
    assert type(caught.value) is kind


def test_an_errand_that_has_lost_its_process_gets_another_but_not_forever() -> None:
    driver = driver_of("a")
    slots = []
    for number in range(MAX_LOSSES):
        assert not driver.interrupted
        handout = driver.next_trial()
        assert handout is not None
        slots.append(handout.slot)
        driver.lost("a", f"killed {number}")
    assert slots == list(range(MAX_LOSSES)), "a slot is its process"
    assert driver.interrupted
    assert driver.done
    assert driver.cant_go_on == "the process that looked at the model died: killed 2"


def test_machines_that_end_the_run_end_errands() -> None:
    def gone() -> int:
        raise RunFailed("no machine comes")

    driver = driver_of("a", slots=gone)
    assert driver.next_trial() is None
    assert driver.done
    assert driver.cant_go_on == "no machine comes"
