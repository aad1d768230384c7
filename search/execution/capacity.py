"""How many trials the machines have room for: now, and when those that are asked for have come.

Machines come and go while a run is on. Where the cluster starts machines when they are needed, they
are asked for by placement groups, which end with this process, whatever becomes of it: a request
that outlived it would keep machines running for nobody.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from search.errors import RunFailed, StudyError
from search.execution.machines import Kind, Missing, count_slots, describe_largest
from search.study import ResourcesSection

MOST = 1000
"""Trials at a time that machines are started for, at most."""
LOOK_S = 3.0
SETTLED_S, FIRST_S = 60.0, 1200.0
"""The run begins when no machine has come for a minute; the first may take twenty, as may the next
where all have gone."""


class Capacity:
    """The slots of the connected cluster.

    Args:
        section: What a trial gets.
        startable: Machines that the cluster may start; None: it is this machine alone.
        tell: Who is told of a wait for machines.
        admit: Given the ids of the machines with room for a trial, returns those that may have
            some; it raises where the run can't go on.
        uses_gpu: Whether a trial gets a GPU where there are some and the study leaves it open.
        clock: Seconds, rising.
    """

    def __init__(
        self,
        section: ResourcesSection,
        startable: Sequence[Kind] | None,
        tell: Callable[[str], None],
        *,
        admit: Callable[[Collection[str]], Collection[str]] = lambda there: there,
        uses_gpu: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._section, self._startable = section, startable
        self._tell, self._admit, self._clock = tell, admit, clock
        given = section.gpus_per_trial
        machines = _machines().values()
        kinds = [*machines, *(startable or ())]
        has_gpu = uses_gpu and any(kind.resources.get("GPU", 0) >= 1 for kind in kinds)
        self.num_cpus = section.cpus_per_trial
        self._limit = section.max_concurrent or math.inf
        self._lock = threading.RLock()  # the run's thread looks, and Tune's
        self._missing = Missing(FIRST_S)
        self.serve(lambda: math.inf)
        self._settle(given if given is not None else 1.0 if has_gpu else 0.0, machines)

    def _settle(self, num_gpus: float, machines: Iterable[Kind]) -> None:
        """Give each trial so much of a GPU, and see how many trials machines may be started for."""
        self.num_gpus = num_gpus
        self._demand = _Demand({"CPU": self.num_cpus, "GPU": num_gpus})
        self._wanted = min(self._limit, self._slots_of(self._startable or ()), MOST)
        starts_none = all(kind.resources.get("CPU", 0) < 1 for kind in machines)
        if self._startable == [] and starts_none and self._section.max_concurrent is not None:
            self._wanted = self._section.max_concurrent
        self._known, self._looked_at = 0, -math.inf

    def serve(self, num_wanted: Callable[[], float], least: int = 1) -> None:
        """Ask for no more room from now on than somebody has a use for.

        Args:
            num_wanted: Says for how many trials; asked every few seconds.
            least: Room for fewer is of no use.
        """
        self._num_wanted, self._least = num_wanted, least

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
        machines = _machines().values()
        kinds = [*machines, *(self._startable or ())]
        if len({kind.gpu for kind in kinds if kind.gpu}) > 1:
            return 1  # a share of one may be too little of another
        room = [count_slots(kinds, self.num_cpus, 1.0 / each) for each in range(1, number + 1)]
        shared = room.index(max(room)) + 1
        self.close()
        self._settle(1.0 / shared, machines)
        return shared

    def now(self) -> int:
        """Return how many trials may run now; asks for the machines that are wanted still.

        Raises:
            RunFailed: The run can't go on with a machine that has come, or none comes.
        """
        with self._lock:
            if self._clock() - self._looked_at >= LOOK_S:
                self._looked_at = self._clock()
                self._look()
            return self._known

    def _look(self) -> None:
        fit = {name: kind for name, kind in _machines().items() if self._slots_of([kind])}
        wanted = self._num_wanted()
        lacking = int(max(0, min(self._wanted, wanted) - self._slots_of(fit.values())))
        self._demand.keep(lacking)
        admitted = self._slots_of(fit[each] for each in self._admit(fit))
        self._known = int(min(admitted, self._limit))
        self._miss(wanted, lacking)

    def _miss(self, wanted: float, lacking: int) -> None:
        """Say that trials wait for machines; end the run where none has come for too long."""
        is_missing = wanted > 0 and self._known < self._least
        match self._missing.look(is_missing, self._clock()):
            case "begins":
                number = min(wanted, max(self._wanted, self._least))
                room = f"{self._known} of {number:g} trials have room"
                self._tell(f"waiting for machines: {room}; {self._describe(lacking)}")
            case "ends":
                self._tell(f"machines have come: {self._known} trials have room")
            case "too long":
                waited = f"no machine came in {FIRST_S / 60:g} minutes"
                raise RunFailed(
                    f"{waited}; {self._describe(lacking)}; 'sieve resume' goes on when there is one"
                )

    def _describe(self, lacking: int) -> str:
        if not lacking:
            return "none is asked for: this cluster starts none by itself, as far as is known"
        each = f"{self.num_cpus} CPUs and {self.num_gpus:g} GPUs each"
        return f"room for {lacking} is asked for, with {each}"

    def _count(self) -> int:
        return int(min(self._slots_of(_machines().values()), self._limit))

    def wait(self, go_on: Callable[[], None]) -> int:
        """Wait for the machines that the cluster starts, and return how many trials may run then.

        Args:
            go_on: Called again and again; it raises to break the wait off.

        Raises:
            StudyError: Not one trial fits on any machine, or none has come.
        """
        began = settled = self._clock()
        slots = self._count()
        if slots < max(self._wanted, 1):
            if not self._wanted:
                raise StudyError(self._no_room())
            self._tell(f"waiting for machines: {slots} of {self._wanted:g} trials have room")
        while slots < self._wanted and (slots < 1 or self._clock() - settled < SETTLED_S):
            go_on()
            self._demand.keep(int(self._wanted), hold=True)
            time.sleep(LOOK_S)
            before, slots = slots, self._count()
            settled = self._clock() if slots != before else settled
            if slots < 1 and self._clock() - began > FIRST_S:
                raise StudyError(self._none_came())
        self.now()
        return slots

    def _none_came(self) -> str:
        return (
            f"no machine came in {FIRST_S / 60:g} minutes; {self._describe(int(self._wanted))}; "
            f"{self._sizes()}; 'ray status' may say what keeps them"
        )

    def _no_room(self) -> str:
        remedy = "lower resources.cpus_per_trial or gpus_per_trial"
        if not self._startable:
            remedy += ", or give resources.max_concurrent where machines start when they are needed"
        return (
            f"a trial with {self.num_cpus} CPUs and {self.num_gpus:g} GPUs doesn't fit on any "
            f"machine: {self._sizes()}; {remedy}"
        )

    def _sizes(self) -> str:
        """Say what the largest machines have, those that are up and those that may be started."""
        has = f"the largest have {describe_largest(_machines().values())}"
        could = describe_largest(kind for kind in self._startable or () if kind.resources)
        return f"{has}, of those that may be started {could}" if could else has

    def close(self) -> None:
        """Ask for nothing more."""
        self._demand.keep(0)


def _machines() -> dict[str, Kind]:
    """Return the machines that are up, by the ids of their nodes."""
    import ray

    return {node["NodeID"]: Kind(node["Resources"]) for node in ray.nodes() if node["Alive"]}


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
