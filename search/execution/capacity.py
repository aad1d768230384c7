"""How many trials the machines have room for: now, and when those that are asked for have come.

Machines come and go while a run is on. Where the cluster starts machines when they are needed, they
are asked for by placement groups, which end with this process, whatever becomes of it: a request
that outlived it would keep machines running for nobody.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from search.errors import StudyError
from search.study import ResourcesSection

BOOTSTRAP = Path.home() / "ray_bootstrap_config.yaml"
"""Where ``ray up`` leaves the cluster's file on the head."""
MOST = 1000
"""Trials at a time that machines are started for, at most."""
_GPU_NAME = "accelerator_type:"
LOOK_S = 3.0
SETTLED_S, FIRST_S = 60.0, 1200.0
"""The run begins when no machine has come for a minute; the first may take twenty."""


@dataclass(frozen=True)
class Kind:
    """A kind of machines.

    Attributes:
        resources: Of one: ``CPU``, ``GPU``.
        number: At most; infinite where there is no limit.
    """

    resources: Mapping[str, float]
    number: float = 1

    @property
    def gpu(self) -> str:
        """The name of its GPUs, as Ray knows it; empty where it doesn't, or has none."""
        named = (each for each in self.resources if each.startswith(_GPU_NAME))
        return next(named, "").removeprefix(_GPU_NAME) if self.resources.get("GPU", 0) else ""

    def slots(self, num_cpus: int, num_gpus: float) -> float:
        """Return how many trials these machines have room for."""
        each = int(self.resources.get("CPU", 0) // num_cpus)
        if num_gpus > 0:
            gpus = int(self.resources.get("GPU", 0))
            # No share stretches over two GPUs.
            fit = gpus * int(1.0 / num_gpus + 1e-9) if num_gpus < 1 else int(gpus / num_gpus)
            each = min(each, fit)
        return self.number * each if each else 0


def count_slots(kinds: Iterable[Kind], num_cpus: int, num_gpus: float) -> float:
    """Return how many trials machines have room for; no trial stretches over two."""
    return sum(kind.slots(num_cpus, num_gpus) for kind in kinds)


def kinds_of(cluster: Mapping[str, Any]) -> list[Kind]:
    """Return the machines that a cluster's file may start, the head left out.

    Args:
        cluster: What ``ray up`` was given, as it was completed.
    """
    head, most = cluster.get("head_node_type"), cluster.get("max_workers", math.inf)
    return [
        Kind(values.get("resources") or {}, min(values.get("max_workers", most), most))
        for name, values in (cluster.get("available_node_types") or {}).items()
        if name != head
    ]


class Capacity:
    """The slots of the connected cluster.

    Args:
        section: What a trial gets.
        startable: Machines that the cluster may start; None: it is this machine alone.
        uses_gpu: Whether a trial gets a GPU where there are some and the study leaves it open.
    """

    def __init__(
        self,
        section: ResourcesSection,
        startable: Sequence[Kind] | None,
        *,
        uses_gpu: bool = True,
    ) -> None:
        self._section, self._startable = section, startable
        given = section.gpus_per_trial
        machines = _machines()
        kinds = [*machines, *(startable or ())]
        has_gpu = uses_gpu and any(kind.resources.get("GPU", 0) >= 1 for kind in kinds)
        self.num_cpus = section.cpus_per_trial
        self._limit = section.max_concurrent or math.inf
        self._settle(given if given is not None else 1.0 if has_gpu else 0.0, machines)

    def _settle(self, num_gpus: float, machines: Sequence[Kind]) -> None:
        """Give each trial so much of a GPU, and see how many trials machines may be started for."""
        self.num_gpus = num_gpus
        self._demand = _Demand({"CPU": self.num_cpus, "GPU": num_gpus})
        self._wanted = min(self._limit, self._slots_of(self._startable or ()), MOST)
        starts_none = all(kind.resources.get("CPU", 0) < 1 for kind in machines)
        if self._startable == [] and starts_none and self._section.max_concurrent is not None:
            self._wanted = self._section.max_concurrent
        self._known, self._looked_at = 0, -math.inf

    def _slots_of(self, kinds: Iterable[Kind]) -> float:
        return count_slots(kinds, self.num_cpus, self.num_gpus)

    def share_gpus(self, number: int) -> int:
        """Let trials share a GPU, where the study leaves it open and there are the CPUs for it.

        Where machines have different GPUs they don't: the share was measured on one of them.

        Args:
            number: Trials that a GPU has the memory for.

        Returns:
            How many share one now.
        """
        if self._section.gpus_per_trial is not None or not self.num_gpus:
            return 1
        machines = _machines()
        kinds = [*machines, *(self._startable or ())]
        if len({kind.gpu for kind in kinds if kind.gpu}) > 1:
            return 1  # a share of one may be too little of another
        room = [count_slots(kinds, self.num_cpus, 1.0 / each) for each in range(1, number + 1)]
        shared = room.index(max(room)) + 1
        self.close()
        self._settle(1.0 / shared, machines)
        return shared

    def now(self) -> int:
        """Return how many trials may run now; asks for the machines that are wanted still."""
        if time.monotonic() - self._looked_at >= LOOK_S:
            there = self._count()
            self._demand.keep(int(max(0, self._wanted - there)))
            self._known, self._looked_at = there, time.monotonic()
        return self._known

    def _count(self) -> int:
        return int(min(self._slots_of(_machines()), self._limit))

    def wait(self, tell: Callable[[str], None], go_on: Callable[[], None]) -> int:
        """Wait for the machines that the cluster starts, and return how many trials may run then.

        Args:
            tell: Who is told of it.
            go_on: Called again and again; it raises to break the wait off.

        Raises:
            StudyError: Not one trial fits on any machine, or none has come.
        """
        began = settled = time.monotonic()
        slots = self._count()
        if slots < max(self._wanted, 1):
            if not self._wanted:
                raise StudyError(self._no_room())
            tell(f"waiting for machines: {slots} of {self._wanted:g} trials have room")
        while slots < self._wanted and (slots < 1 or time.monotonic() - settled < SETTLED_S):
            go_on()
            self._demand.keep(int(self._wanted), hold=True)
            time.sleep(LOOK_S)
            before, slots = slots, self._count()
            settled = time.monotonic() if slots != before else settled
            if slots < 1 and time.monotonic() - began > FIRST_S:
                raise StudyError(f"no machine came in {FIRST_S / 60:g} minutes; {self._no_room()}")
        return self.now()

    def _no_room(self) -> str:
        largest = sorted(
            {(k.resources.get("CPU", 0), k.resources.get("GPU", 0)) for k in _machines()},
            reverse=True,
        )
        has = "; ".join(f"{cpus:g} CPUs and {gpus:g} GPUs" for cpus, gpus in largest[:3])
        return (
            f"a trial with {self.num_cpus} CPUs and {self.num_gpus:g} GPUs doesn't fit on any "
            f"machine: the largest have {has}; lower resources.cpus_per_trial or gpus_per_trial, "
            "or give resources.max_concurrent where machines start when they are needed"
        )

    def close(self) -> None:
        """Ask for nothing more."""
        self._demand.keep(0)


def check_workers(num_workers: int, slots: int) -> None:
    """Refuse runs of the proof that need more room at a time than there is.

    Args:
        num_workers: Processes that share a training.
        slots: Processes at a time.

    Raises:
        StudyError: They don't fit.
    """
    if num_workers > slots:
        raise StudyError(
            f"study key 'confirm.workers_per_run' = {num_workers}: there is room for {slots} "
            f"at a time; give at most {slots}, or more machines"
        )


def startable() -> list[Kind]:
    """Return what the connected cluster may start, as far as this machine knows."""
    if not BOOTSTRAP.is_file():
        return []
    try:
        cluster = yaml.safe_load(BOOTSTRAP.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return []
    return kinds_of(cluster) if isinstance(cluster, dict) else []


def _machines() -> list[Kind]:
    import ray

    return [Kind(node["Resources"]) for node in ray.nodes() if node["Alive"]]


class _Demand:
    """Room that is asked for; what has come is let go at once, for the trials."""

    def __init__(self, bundle: dict[str, float]) -> None:
        self._bundle = {name: number for name, number in bundle.items() if number}
        self._asked: list[Any] = []

    def keep(self, number: int, *, hold: bool = False) -> None:
        """Ask for so many trials' room, more or less than before.

        Args:
            number: Of the trials.
            hold: Keep what has come, too: what has room already would else be found there.
        """
        from ray.util import placement_group, remove_placement_group
        from ray.util.placement_group import placement_group_table

        waiting: list[Any] = []
        for group in self._asked:
            stays = hold or placement_group_table(group).get("state") == "PENDING"
            if stays and len(waiting) < number:
                waiting.append(group)
            else:
                remove_placement_group(group)
        self._asked = waiting
        self._asked += [placement_group([self._bundle]) for _ in range(number - len(waiting))]
