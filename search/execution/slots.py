"""Slots on Ray Tune: a process for each, started at once and kept from trial to trial.

Tune reuses actors, but by itself it starts them one after the other when a searcher proposes the
trials, keeps one idle actor at most, and gives the trial of a slot that is still starting to
whichever actor is free, whereupon it ends the one that starts. Where trials are shorter than a
process's start, a second slot would never come up.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.tune import PlacementGroupFactory
from ray.tune.execution import tune_controller
from ray.tune.utils.object_cache import _ObjectCache

from search.errors import one_line
from search.execution.cluster import TrialResources
from search.execution.driver import TAKEN_AWAY

IDLE_S = 30.0


class SlotResources(PlacementGroupFactory):  # type: ignore[misc]
    """What a trial gets, and where: Tune takes those of two slots for different resources.

    Args:
        slot: From 0.
        resources: What a trial gets.
    """

    def __init__(self, slot: int, resources: TrialResources) -> None:
        super().__init__([{"CPU": resources.num_cpus, "GPU": resources.num_gpus}])
        self.slot = slot

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SlotResources) and self.slot == other.slot

    def __hash__(self) -> int:
        return hash(self.slot)


class _KeepAll(_ObjectCache):  # type: ignore[misc]
    """Keeps each actor until the experiment ends, or it has had nothing to do for long.

    Where machines have gone, an idle actor may hold the very room that a trial waits for: then it
    goes at once.
    """

    def __init__(
        self,
        is_tight: Callable[[], bool],
        let_go: Callable[[int], None],
        may_keep_one: bool = True,
    ) -> None:
        super().__init__(may_keep_one=may_keep_one)
        self._is_tight = is_tight
        self._let_go = let_go
        self._since: dict[SlotResources, float] = {}

    def cache_object(self, key: SlotResources, obj: Any) -> bool:
        """Keep an actor; there is never more than one for a slot."""
        self._cached_objects[key].append(obj)
        self._num_cached_objects += 1
        self._since[key] = time.monotonic()
        return True

    def flush_cached_objects(self, force_all: bool = False) -> Iterator[Any]:
        """Let go of the actors at the end, and before of those that have long been idle."""
        if force_all:
            yield from super().flush_cached_objects(force_all=True)
            return
        for key, since in self._since.items():
            while self._cached_objects[key] and self._is_to_go(since):
                self._num_cached_objects -= 1
                self._let_go(key.slot)
                yield self._cached_objects[key].pop()

    def _is_to_go(self, since: float) -> bool:
        return since < time.monotonic() - IDLE_S or self._is_tight()


@contextmanager
def kept_slots(
    number: int, is_tight: Callable[[], bool], let_go: Callable[[int], None]
) -> Iterator[None]:
    """Within this context Tune starts so many actors at once, and keeps them.

    Args:
        number: Of the slots.
        is_tight: Whether idle actors hold room that a trial waits for.
        let_go: Told the slot of each that is let go before the end.

    Which actors are kept is Tune's own affair and no part of its interface: a later Tune that has
    no such cache goes on as it likes, only slower.
    """
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(number)
    tune_controller._ObjectCache = partial(_KeepAll, is_tight, let_go)
    try:
        yield
    finally:
        tune_controller._ObjectCache = _ObjectCache


@contextmanager
def kills_are_losses(tell: Callable[[str], None]) -> Iterator[None]:
    """Within this context a process that Ray has killed for want of memory is one that died.

    Ray says so by an error that Tune doesn't know, and ends the experiment by. That a machine was
    taken away Tune knows, and doesn't tell.

    Args:
        tell: Told why a process has died, before Tune tells of its trial.
    """
    known = RayActorManager._actor_task_failed

    def failed(manager: Any, tracked_actor_task: Any, exception: Exception) -> None:
        is_known = isinstance(exception, RayActorError | RayTaskError)
        if isinstance(exception, RayError) and not is_known:
            tell(one_line(exception))
            exception = RayActorError(error_msg=str(exception))
        elif isinstance(exception, RayActorError) and exception.preempted:
            tell(TAKEN_AWAY)
        known(manager, tracked_actor_task, exception)

    RayActorManager._actor_task_failed = failed
    try:
        yield
    finally:
        RayActorManager._actor_task_failed = known
