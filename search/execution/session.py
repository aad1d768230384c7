"""A run's connection to Ray, made when it is first needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from search.data import Dataset
from search.execution.capacity import Capacity, startable
from search.execution.cluster import TrialResources, connected
from search.execution.context import PhaseContext
from search.execution.slot_book import SlotBook
from search.findings import Finding
from search.insight.nodes import check_nodes
from search.space import Space
from search.speed import Speed
from search.study import Study

if TYPE_CHECKING:
    from search.execution.experiment import Experiment


class RaySession:
    """Connects on first use and lets go at the end of the context.

    Args:
        study: What a trial gets.
        data: Put into the object store once, for all phases.
        address: Of a cluster; None: a local Ray for this run alone.
        on_connected: Called when the connection is made; Ray takes over signals then.
        tell: Who is told of a wait for machines.
        go_on: Called while it lasts, or while the model is looked at; it raises to break it off.
        uses_gpu: Whether the model has a use for one.

    Attributes:
        book: Of the slots, for all phases.
    """

    def __init__(
        self,
        study: Study,
        data: Dataset,
        address: str | None,
        on_connected: Callable[[], None],
        tell: Callable[[str], None],
        go_on: Callable[[], None],
        *,
        uses_gpu: bool = True,
    ) -> None:
        self._study = study
        self._uses_gpu = uses_gpu
        self._data = data
        self._address = address
        self._on_connected = on_connected
        self._tell, self._go_on = tell, go_on
        self._stack = ExitStack()
        self.book = SlotBook()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @cached_property
    def resources(self) -> TrialResources:
        """What a trial gets, and how many run at a time to begin with."""
        capacity = self._capacity
        slots = capacity.wait(self._tell, self._go_on)
        return TrialResources(capacity.num_cpus, capacity.num_gpus, slots)

    @cached_property
    def _capacity(self) -> Capacity:
        self._stack.enter_context(connected(self._address, data_bytes=self._data.inputs.nbytes))
        self._on_connected()
        more = None if self._address is None else startable()
        capacity = Capacity(self._study.resources, more, uses_gpu=self._uses_gpu)
        self._stack.callback(capacity.close)
        return capacity

    def share_gpus(self, number: int) -> int:
        """Let trials share a GPU; return how many do.

        Args:
            number: Trials that a GPU has the memory for.
        """
        assert self.resources
        shared = self._capacity.share_gpus(number)
        if shared > 1:
            del self.resources
        return shared

    def slots(self) -> int:
        """Return how many trials may run now: machines come and go."""
        return self._capacity.now()

    @cached_property
    def _dataset(self) -> Any:
        import ray

        assert self.resources
        return ray.put(self._data)

    def check_nodes(self, storage: str) -> list[Finding]:
        """Look whether the cluster's nodes can carry a run; nothing where there is only one.

        Args:
            storage: The run directory.
        """
        import ray

        assert self.resources
        if len(ray.nodes()) < 2:
            return []
        from search.execution.nodes import ask_nodes

        return check_nodes(ask_nodes(storage))

    def measure_speed(self, context: PhaseContext) -> Speed:
        """Measure training speed with every slot busy."""
        from search.execution.measure import measure_cluster_speed

        return measure_cluster_speed(self._dataset, context, self.resources, self._go_on)

    def preflight(self, context: PhaseContext, space: Space, seconds: float) -> list[Finding]:
        """Look at the model where a trial would train."""
        from search.execution.measure import preflight_on_cluster

        return preflight_on_cluster(
            self._dataset, context, space, self.resources, seconds, self._go_on
        )

    def experiment(self, contexts: Mapping[str, PhaseContext], log: str) -> Experiment:
        """Return an experiment, which ends with this session.

        Args:
            contexts: Phase to what its trials share.
            log: Folder or address for Ray's own logs.
        """
        from search.execution.experiment import Experiment

        experiment = Experiment(self._dataset, contexts, self.resources, log)
        self._stack.callback(experiment.close)
        return experiment
