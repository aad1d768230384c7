"""How many trials machines have room for, and what a cluster's file says of those to come."""

import math
from collections.abc import Collection

import pytest
import yaml

from search.errors import RunFailed, StudyError
from search.execution import capacity
from search.execution.capacity import Capacity
from search.execution.machines import Kind, Missing, check_workers, count_slots, kinds_of
from search.study import ResourcesSection

CLUSTER = """
head_node_type: head
max_workers: 6
available_node_types:
  head: {resources: {CPU: 0}}
  large: {resources: {CPU: 32, GPU: 4}, max_workers: 2, node_config: {}}
  small: {resources: {CPU: 4}, node_config: {}}
"""


@pytest.mark.parametrize(
    ("num_cpus", "num_gpus", "slots"),
    [(1, 0, 36), (8, 0, 4), (8, 1, 4), (16, 1, 2), (2, 0.25, 16), (64, 0, 0), (1, 8, 0), (1, 2, 2)],
)
def test_no_trial_stretches_over_two_machines(num_cpus: int, num_gpus: float, slots: int) -> None:
    machines = [Kind({"CPU": 32, "GPU": 4}), Kind({"CPU": 4}), Kind({"memory": 1e9})]
    assert count_slots(machines, num_cpus, num_gpus) == slots


def test_a_cluster_s_file_says_what_may_start() -> None:
    kinds = kinds_of(yaml.safe_load(CLUSTER))
    assert [(dict(kind.resources), kind.number) for kind in kinds] == [
        ({"CPU": 32, "GPU": 4}, 2),
        ({"CPU": 4}, 6),
    ]
    assert count_slots(kinds, 8, 1) == 8
    assert kinds_of({}) == []


class Machines:
    """Machines that come one after the other, each time somebody looks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *coming: list[Kind]) -> None:
        self.coming = list(coming)
        self.asked: list[int] = []
        monkeypatch.setattr(capacity, "_machines", self.look)
        monkeypatch.setattr(capacity, "LOOK_S", 0.0)
        monkeypatch.setattr(capacity._Demand, "keep", self.keep)

    def look(self) -> dict[str, Kind]:
        there = self.coming.pop(0) if len(self.coming) > 1 else self.coming[0]
        return {f"node {number}": kind for number, kind in enumerate(there)}

    def keep(self, number: int, *, hold: bool = False) -> None:
        self.asked.append(number)


HEAD, WORKER = Kind({"CPU": 0}), Kind({"CPU": 4})


def nobody(words: str) -> None:
    pass


def no_stop() -> None:
    pass


def test_machines_that_are_started_when_needed_are_asked_for_and_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    coming = ([HEAD], [HEAD], [HEAD, WORKER], [HEAD, WORKER, WORKER])
    machines = Machines(monkeypatch, *coming)
    told: list[str] = []
    made = Capacity(ResourcesSection(cpus_per_trial=2), [Kind({"CPU": 4}, 2)], told.append)
    assert made.wait(no_stop) == 4
    assert told == ["waiting for machines: 0 of 4 trials have room"]
    assert machines.asked[0] == 4
    assert made.now() == 4
    assert machines.asked[-1] == 0
    machines.coming = [[HEAD, WORKER]]
    assert made.now() == 2
    assert machines.asked[-1] == 2, "what was lost is asked for again"


def test_a_run_begins_with_what_there_is_when_no_more_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "SETTLED_S", 0.0)
    Machines(monkeypatch, [HEAD], [HEAD], [HEAD, WORKER])
    made = Capacity(ResourcesSection(max_concurrent=8), [], nobody)
    assert made.wait(no_stop) == 4


def test_what_fits_on_no_machine_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    Machines(monkeypatch, [HEAD, WORKER])
    too_large = ResourcesSection(cpus_per_trial=8, max_concurrent=2)
    for startable in (None, [], [Kind({"CPU": 4}, 10)]):
        made = Capacity(too_large, startable, nobody)
        with pytest.raises(
            StudyError, match=r"8 CPUs and 0 GPUs doesn't fit .*: the largest have 4"
        ):
            made.wait(no_stop)
    with pytest.raises(StudyError, match="1 CPUs and 1 GPUs doesn't fit"):
        Capacity(ResourcesSection(gpus_per_trial=1), [], nobody).wait(no_stop)


def test_small_trials_share_a_gpu_as_far_as_there_are_cpus_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Machines(monkeypatch, [HEAD, Kind({"CPU": 8, "GPU": 2})])
    made = Capacity(ResourcesSection(cpus_per_trial=2), None, nobody)
    assert (made.now(), made.num_gpus) == (2, 1.0)
    assert made.share_gpus(4) == 2, "8 CPUs are enough for four trials"
    assert (made.now(), made.num_gpus) == (4, 0.5)
    given = Capacity(ResourcesSection(gpus_per_trial=1), None, nobody)
    assert given.share_gpus(4) == 1
    assert (given.now(), given.num_gpus) == (2, 1.0)


def test_gpus_of_different_kinds_are_not_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    large, small = ({"CPU": 8, "GPU": 1, f"accelerator_type:{name}": 1} for name in ("H100", "T4"))
    Machines(monkeypatch, [HEAD, Kind(large), Kind(small)])
    assert Capacity(ResourcesSection(), None, nobody).share_gpus(4) == 1
    Machines(monkeypatch, [HEAD, Kind(large), Kind(large)])
    assert Capacity(ResourcesSection(), None, nobody).share_gpus(4) == 4


def test_without_gpus_there_is_nothing_to_share(monkeypatch: pytest.MonkeyPatch) -> None:
    Machines(monkeypatch, [WORKER])
    made = Capacity(ResourcesSection(), None, nobody)
    assert made.share_gpus(4) == 1
    assert (made.now(), made.num_gpus) == (4, 0.0)


def test_a_wait_that_is_too_long_or_broken_off_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    Machines(monkeypatch, [HEAD])
    made = Capacity(ResourcesSection(max_concurrent=2), [], nobody)

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made.wait(stop)
    monkeypatch.setattr(capacity, "FIRST_S", 0.0)
    with pytest.raises(StudyError, match="no machine came in 0 minutes"):
        made.wait(no_stop)


def test_a_run_for_more_processes_than_there_is_room_for_is_refused() -> None:
    check_workers(2, 2)
    with pytest.raises(StudyError, match=r"workers_per_run' = 4: there is room for 2 at a time"):
        check_workers(4, 2)


def test_fixed_machines_are_not_waited_for_nor_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    machines = Machines(monkeypatch, [WORKER])
    made = Capacity(ResourcesSection(max_concurrent=8), None, nobody)
    assert made.wait(no_stop) == 4
    assert set(machines.asked) == {0}


@pytest.mark.parametrize(("share", "slots"), [(0.6, 2), (0.5, 4), (0.34, 4), (0.25, 8), (2, 1)])
def test_no_share_stretches_over_two_gpus(share: float, slots: int) -> None:
    assert count_slots([Kind({"CPU": 32, "GPU": 2})], 1, share) == slots


def test_a_model_without_a_use_for_a_gpu_leaves_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    Machines(monkeypatch, [Kind({"CPU": 8, "GPU": 1})])
    made = Capacity(ResourcesSection(), None, nobody, uses_gpu=False)
    assert (made.now(), made.num_gpus) == (8, 0.0)
    given = Capacity(ResourcesSection(gpus_per_trial=1), None, nobody, uses_gpu=False)
    assert (given.now(), given.num_gpus) == (1, 1.0)


def test_a_refusal_names_what_machines_could_have_that_are_not_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Machines(monkeypatch, [Kind({"memory": 1e9})])
    startable = [Kind({"CPU": 48, "GPU": 4}, 4), Kind({"CPU": 8}, 2), Kind({}, 2)]
    made = Capacity(ResourcesSection(gpus_per_trial=8), startable, nobody)
    could = "of those that may be started 48 CPUs and 4 GPUs; 8 CPUs and 0 GPUs; lower"
    with pytest.raises(StudyError, match=f"the largest have 0 CPUs and 0 GPUs, {could}") as refused:
        made.wait(no_stop)
    assert "max_concurrent" not in str(refused.value), "that would help nothing"


def test_no_more_machines_are_asked_for_than_trials_are_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machines = Machines(monkeypatch, [HEAD, WORKER])
    made = Capacity(ResourcesSection(), [Kind({"CPU": 4}, 4)], nobody)
    left = [math.inf, 10, 6, 4, 2, 0]
    made.serve(lambda: left.pop(0))
    assert [made.now() for _ in range(6)] == [4] * 6, "what there is stays"
    assert machines.asked == [12, 6, 2, 0, 0, 0]


class Clock:
    """Tells the time that it is set to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_where_all_machines_have_gone_a_run_says_so_and_ends_after_twenty_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machines, clock, told = Machines(monkeypatch, [HEAD, WORKER]), Clock(), []
    made = Capacity(ResourcesSection(), [Kind({"CPU": 4}, 2)], told.append, clock=clock)
    assert (made.now(), told) == (4, [])
    machines.coming = [[HEAD]]
    for _ in range(3):
        clock.seconds += 500.0
        assert made.now() == 0
    assert told == [
        "waiting for machines: 0 of 8 trials have room; "
        "room for 8 is asked for, with 1 CPUs and 0 GPUs each"
    ]
    machines.coming = [[HEAD, WORKER]]
    clock.seconds += 100.0
    assert made.now() == 4
    assert told[1:] == ["machines have come: 4 trials have room"]
    machines.coming = [[HEAD]]
    assert made.now() == 0
    clock.seconds += 1201.0
    with pytest.raises(RunFailed, match=r"no machine came in 20 minutes; room for 8 .*resume"):
        made.now()


def test_machines_that_nobody_needs_are_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, told = Clock(), []
    Machines(monkeypatch, [HEAD])
    made = Capacity(ResourcesSection(), [Kind({"CPU": 4}, 2)], told.append, clock=clock)
    made.serve(lambda: 0)
    for _ in range(3):
        assert made.now() == 0
        clock.seconds += 1000.0
    assert told == []


def test_processes_that_train_together_miss_the_room_for_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str] = []
    Machines(monkeypatch, [HEAD, Kind({"CPU": 2})])
    made = Capacity(ResourcesSection(), None, told.append)
    made.serve(lambda: 12, least=4)
    assert made.now() == 2
    assert told[0].startswith("waiting for machines: 2 of 4 trials have room; none is asked for")


def test_no_trial_is_counted_on_a_machine_that_was_not_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machines = Machines(monkeypatch, [HEAD, WORKER, WORKER])
    seen: list[set[str]] = []

    def admit(there: Collection[str]) -> Collection[str]:
        seen.append(set(there))
        return ["node 1"]

    made = Capacity(ResourcesSection(), [Kind({"CPU": 4}, 2)], nobody, admit=admit)
    assert made.now() == 4
    assert seen == [{"node 1", "node 2"}], "the head has no room for a trial"
    assert machines.asked == [0], "what is there isn't asked for"


def test_the_machines_are_looked_at_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    machines, clock = Machines(monkeypatch, [WORKER]), Clock()
    monkeypatch.setattr(capacity, "LOOK_S", 3.0)
    made = Capacity(ResourcesSection(), None, nobody, clock=clock)
    for _ in range(100):
        made.now()
        clock.seconds += 0.1
    assert len(machines.asked) == 4


def test_machines_are_missing_for_too_long_when_they_were_missing_all_the_time() -> None:
    missing = Missing(limit_s=10.0)
    looks = [(False, 0), (True, 1), (True, 11), (False, 12), (False, 13), (True, 14), (True, 25)]
    assert [missing.look(is_missing, at) for is_missing, at in looks] == [
        "none",
        "begins",
        "lasts",
        "ends",
        "none",
        "begins",
        "too long",
    ]
