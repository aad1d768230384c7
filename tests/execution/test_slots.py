"""What Ray Tune is told of slots; that their processes stay is seen in a whole run."""

import pickle

import pytest
from ray.tune.execution import tune_controller
from ray.tune.utils.object_cache import _ObjectCache

from search.execution import slots
from search.execution.cluster import TrialResources
from search.execution.slot_book import SlotBook
from search.execution.slots import SlotResources, kept_slots

RESOURCES = TrialResources(num_cpus=2, num_gpus=0.5, slots=3)


def test_two_slots_are_different_resources_and_need_the_same() -> None:
    first, again, second = (SlotResources(slot, RESOURCES) for slot in (0, 0, 1))
    assert first == again == pickle.loads(pickle.dumps(first))
    assert first != second
    assert len({first, again, second}) == 2
    assert first.required_resources == second.required_resources == {"CPU": 2.0, "GPU": 0.5}


def test_tune_keeps_every_actor_until_the_end_and_is_left_as_it_was() -> None:
    with kept_slots(3, lambda: False, lambda slot: None):
        cache = tune_controller._ObjectCache(may_keep_one=True)
    assert tune_controller._ObjectCache is _ObjectCache
    for slot in range(3):
        assert cache.cache_object(SlotResources(slot, RESOURCES), f"actor {slot}")
    assert list(cache.flush_cached_objects()) == []
    assert cache.pop_cached_object(SlotResources(1, RESOURCES)) == "actor 1"
    assert not cache.has_cached_object(SlotResources(1, RESOURCES))
    assert list(cache.flush_cached_objects(force_all=True)) == ["actor 0", "actor 2"]
    assert cache.num_cached_objects == 0


def test_an_actor_that_has_long_had_nothing_to_do_makes_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waiting: list[str] = []
    gone: list[int] = []

    def let_go(slot: int) -> None:
        gone.append(slot)
        waiting.clear()

    with kept_slots(2, lambda: bool(waiting), let_go):
        cache = tune_controller._ObjectCache(may_keep_one=True)
    cache.cache_object(SlotResources(0, RESOURCES), "actor 0")
    assert list(cache.flush_cached_objects()) == []
    monkeypatch.setattr(slots, "IDLE_S", -1.0)
    assert list(cache.flush_cached_objects()) == ["actor 0"]
    assert not cache.has_cached_object(SlotResources(0, RESOURCES))
    assert cache.num_cached_objects == 0
    monkeypatch.undo()
    cache.cache_object(SlotResources(1, RESOURCES), "actor 1")
    cache.cache_object(SlotResources(2, RESOURCES), "actor 2")
    assert list(cache.flush_cached_objects()) == []
    waiting.append("a trial")
    assert list(cache.flush_cached_objects()) == ["actor 1"], "one is enough"
    assert gone == [0, 1]


def test_the_next_trial_goes_where_a_process_waits_and_never_where_one_has_gone() -> None:
    book = SlotBook()
    assert [book.take(), book.take(), book.take()] == [0, 1, 2]
    book.free(1)
    book.free(0)
    assert book.take() == 0
    book.lose(2)
    assert [book.take(), book.take()] == [1, 3]
    book.free(3)
    assert not book.has_spare(room=3)
    assert book.has_spare(room=2)
    book.lose(3)
    assert not book.has_spare(room=2), "it has gone"
    assert book.take() == 4
