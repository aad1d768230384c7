"""What Ray Tune is told of slots; that their processes stay is seen in a whole run."""

import pickle

from ray.tune.execution import tune_controller
from ray.tune.utils.object_cache import _ObjectCache

from search.execution.cluster import TrialResources
from search.execution.slots import SlotResources, kept_slots

RESOURCES = TrialResources(num_cpus=2, num_gpus=0.5, slots=3)


def test_two_slots_are_different_resources_and_need_the_same() -> None:
    first, again, second = (SlotResources(slot, RESOURCES) for slot in (0, 0, 1))
    assert first == again == pickle.loads(pickle.dumps(first))
    assert first != second
    assert len({first, again, second}) == 2
    assert first.required_resources == second.required_resources == {"CPU": 2.0, "GPU": 0.5}


def test_tune_keeps_every_actor_until_the_end_and_is_left_as_it_was() -> None:
    with kept_slots(3):
        cache = tune_controller._ObjectCache(may_keep_one=True)
    assert tune_controller._ObjectCache is _ObjectCache
    for slot in range(3):
        assert cache.cache_object(SlotResources(slot, RESOURCES), f"actor {slot}")
    assert list(cache.flush_cached_objects()) == []
    assert cache.pop_cached_object(SlotResources(1, RESOURCES)) == "actor 1"
    assert not cache.has_cached_object(SlotResources(1, RESOURCES))
    assert list(cache.flush_cached_objects(force_all=True)) == ["actor 0", "actor 2"]
    assert cache.num_cached_objects == 0
