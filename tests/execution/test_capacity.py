"""How many trials machines have room for, and what a cluster's file says of those to come."""

import pytest
import yaml

from search.errors import StudyError
from search.execution import capacity
from search.execution.capacity import Capacity, Kind, check_workers, count_slots, kinds_of
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

    def look(self) -> list[Kind]:
        return self.coming.pop(0) if len(self.coming) > 1 else self.coming[0]

    def keep(self, number: int, *, hold: bool = False) -> None:
        self.asked.append(number)


HEAD, WORKER = Kind({"CPU": 0}), Kind({"CPU": 4})


def test_machines_that_are_started_when_needed_are_asked_for_and_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    coming = ([HEAD], [HEAD], [HEAD, WORKER], [HEAD, WORKER, WORKER])
    machines = Machines(monkeypatch, *coming)
    told: list[str] = []
    made = Capacity(ResourcesSection(cpus_per_trial=2), [Kind({"CPU": 4}, 2)])
    assert made.wait(told.append, lambda: None) == 4
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
    made = Capacity(ResourcesSection(max_concurrent=8), [])
    assert made.wait(lambda _: None, lambda: None) == 4


def test_what_fits_on_no_machine_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    Machines(monkeypatch, [HEAD, WORKER])
    too_large = ResourcesSection(cpus_per_trial=8, max_concurrent=2)
    for startable in (None, [], [Kind({"CPU": 4}, 10)]):
        made = Capacity(too_large, startable)
        with pytest.raises(
            StudyError, match=r"8 CPUs and 0 GPUs doesn't fit .*: the largest have 4"
        ):
            made.wait(lambda _: None, lambda: None)
    with pytest.raises(StudyError, match="1 CPUs and 1 GPUs doesn't fit"):
        Capacity(ResourcesSection(gpus_per_trial=1), []).wait(lambda _: None, lambda: None)


def test_small_trials_share_a_gpu_as_far_as_there_are_cpus_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Machines(monkeypatch, [HEAD, Kind({"CPU": 8, "GPU": 2})])
    made = Capacity(ResourcesSection(cpus_per_trial=2), None)
    assert (made.now(), made.num_gpus) == (2, 1.0)
    assert made.share_gpus(4) == 2, "8 CPUs are enough for four trials"
    assert (made.now(), made.num_gpus) == (4, 0.5)
    given = Capacity(ResourcesSection(gpus_per_trial=1), None)
    assert given.share_gpus(4) == 1
    assert (given.now(), given.num_gpus) == (2, 1.0)


def test_gpus_of_different_kinds_are_not_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    large, small = ({"CPU": 8, "GPU": 1, f"accelerator_type:{name}": 1} for name in ("H100", "T4"))
    Machines(monkeypatch, [HEAD, Kind(large), Kind(small)])
    assert Capacity(ResourcesSection(), None).share_gpus(4) == 1
    Machines(monkeypatch, [HEAD, Kind(large), Kind(large)])
    assert Capacity(ResourcesSection(), None).share_gpus(4) == 4


def test_without_gpus_there_is_nothing_to_share(monkeypatch: pytest.MonkeyPatch) -> None:
    Machines(monkeypatch, [WORKER])
    made = Capacity(ResourcesSection(), None)
    assert made.share_gpus(4) == 1
    assert (made.now(), made.num_gpus) == (4, 0.0)


def test_a_wait_that_is_too_long_or_broken_off_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    Machines(monkeypatch, [HEAD])
    made = Capacity(ResourcesSection(max_concurrent=2), [])

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made.wait(lambda _: None, stop)
    monkeypatch.setattr(capacity, "FIRST_S", 0.0)
    with pytest.raises(StudyError, match="no machine came in 0 minutes"):
        made.wait(lambda _: None, lambda: None)


def test_a_run_for_more_processes_than_there_is_room_for_is_refused() -> None:
    check_workers(2, 2)
    with pytest.raises(StudyError, match=r"workers_per_run' = 4: there is room for 2 at a time"):
        check_workers(4, 2)


def test_fixed_machines_are_not_waited_for_nor_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    machines = Machines(monkeypatch, [WORKER])
    made = Capacity(ResourcesSection(max_concurrent=8), None)
    assert made.wait(lambda _: None, lambda: None) == 4
    assert set(machines.asked) == {0}


@pytest.mark.parametrize(("share", "slots"), [(0.6, 2), (0.5, 4), (0.34, 4), (0.25, 8), (2, 1)])
def test_no_share_stretches_over_two_gpus(share: float, slots: int) -> None:
    assert count_slots([Kind({"CPU": 32, "GPU": 2})], 1, share) == slots


def test_a_model_without_a_use_for_a_gpu_leaves_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    Machines(monkeypatch, [Kind({"CPU": 8, "GPU": 1})])
    made = Capacity(ResourcesSection(), None, uses_gpu=False)
    assert (made.now(), made.num_gpus) == (8, 0.0)
    given = Capacity(ResourcesSection(gpus_per_trial=1), None, uses_gpu=False)
    assert (given.now(), given.num_gpus) == (1, 1.0)
