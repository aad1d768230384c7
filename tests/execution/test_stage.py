"""How phases are handed from the run's thread to Tune's."""

from dataclasses import dataclass
from typing import cast

from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import OutOfMemoryError, RayActorError

from search.execution.driver import TAKEN_AWAY, PhaseDriver
from search.execution.slots import kills_are_losses
from search.execution.stage import Stage


@dataclass
class Driver:
    """As far as the stage looks at one."""

    done: bool = False
    interrupted: bool = False


def begun(stage: Stage) -> Driver:
    driver = Driver()
    stage.begin(cast(PhaseDriver, driver), None)
    return driver


def test_a_phase_that_was_found_done_is_over_even_if_it_could_go_on() -> None:
    stage = Stage()
    driver = begun(stage)
    assert stage.wait_for_phase(0.0)
    driver.done = True
    assert not stage.wait_for_phase(0.0)
    assert stage.wait_until_idle(0.0)
    driver.done = False  # its time was prolonged
    assert not stage.wait_for_phase(0.0)
    assert stage.wait_until_idle(0.0)
    begun(stage)
    assert stage.wait_for_phase(0.0)
    assert not stage.wait_until_idle(0.0)


class BeginsMeanwhile(Driver):
    """Another phase begins while this one says that it is done."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage

    @property
    def done(self) -> bool:
        begun(self._stage)
        return True

    @done.setter
    def done(self, value: bool) -> None:
        pass


def test_a_phase_that_begins_in_the_same_moment_is_not_taken_for_the_last_one() -> None:
    stage = Stage()
    stage.begin(cast(PhaseDriver, BeginsMeanwhile(stage)), None)
    assert stage.wait_for_phase(0.0)
    assert not stage.wait_until_idle(0.0)


@dataclass
class Task:
    """As far as Tune looks at one."""

    _tracked_actor: object
    _on_error: object = None


@dataclass
class Actor:
    """As far as Tune looks at one."""

    actor_id: int
    lost: list[Exception]

    def _on_error(self, actor: object, error: Exception) -> None:
        self.lost.append(error)


def test_a_process_that_ray_killed_for_memory_is_lost_with_its_reason() -> None:
    manager, told, actor = RayActorManager.__new__(RayActorManager), [], Actor(1, [])
    manager._failed_actor_ids = set()
    manager._cleanup_actor = lambda tracked_actor: None
    with kills_are_losses(told.append):
        error = OutOfMemoryError("Task was killed due to the node running low on memory.\nMore.")
        manager._actor_task_failed(tracked_actor_task=Task(actor), exception=error)
    assert [type(each) for each in actor.lost] == [RayActorError]
    assert told == ["OutOfMemoryError: Task was killed due to the node running low on memory."]


def test_a_process_that_went_with_its_spot_machine_is_lost_for_that_reason() -> None:
    manager, told, actor = RayActorManager.__new__(RayActorManager), [], Actor(1, [])
    manager._failed_actor_ids = set()
    manager._cleanup_actor = lambda tracked_actor: None
    with kills_are_losses(told.append):
        for preempted in (True, False):
            error = RayActorError(preempted=preempted)
            manager._actor_task_failed(tracked_actor_task=Task(actor), exception=error)
    assert len(actor.lost) == 2
    assert told == [TAKEN_AWAY]
