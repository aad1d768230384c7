"""A run's connection to Ray, made when it is first needed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Self

from search.data import Dataset
from search.execution.capacity import Capacity
from search.execution.cluster import TrialResources, connected
from search.execution.context import PhaseContext
from search.execution.errands import Errand, ErrandDriver, Errands
from search.execution.machines import startable
from search.execution.newcomers import Newcomers
from search.execution.signals import StopRequest
from search.execution.slot_book import SlotBook
from search.findings import Finding
from search.insight.nodes import Question, check_nodes
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
        stop: Whether the run was asked to stop; Ray takes over signals when the connection is made.
        tell: Who is told of a wait for machines.
        log: Folder or address for Ray's own logs.
        uses_gpu: Whether the model has a use for one.

    Attributes:
        book: Of the slots, for all phases.
    """

    def __init__(
        self,
        study: Study,
        data: Dataset,
        address: str | None,
        stop: StopRequest,
        tell: Callable[[str], None],
        *,
        log: str,
        uses_gpu: bool = True,
    ) -> None:
        self._study = study
        self._uses_gpu = uses_gpu
        self._data = data
        self._address = address
        self._stop, self._tell = stop, tell
        self._log = log
        self._stack = ExitStack()
        self._newcomers: Newcomers | None = None
        self.book = SlotBook()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @cached_property
    def resources(self) -> TrialResources:
        """What a trial gets, and how many run at a time to begin with."""
        capacity = self._capacity
        slots = capacity.wait(self._stop.check)
        return TrialResources(capacity.num_cpus, capacity.num_gpus, slots)

    @cached_property
    def _capacity(self) -> Capacity:
        self._stack.enter_context(connected(self._address, data_bytes=self._data.inputs.nbytes))
        self._stop.arm()
        more = None if self._address is None else startable()
        capacity = Capacity(
            self._study.resources,
            more,
            self._tell,
            admit=self._admit,
            uses_gpu=self._uses_gpu,
        )
        self._stack.callback(capacity.close)
        return capacity

    def _admit(self, there: Collection[str]) -> Collection[str]:
        """Return the nodes that trials may be counted on: all, as long as none was looked at."""
        return there if self._newcomers is None else self._newcomers.admit(there)

    def share_gpus(self, number: int) -> int:
        """Let trials share a GPU; return how many do.

        Args:
            number: Trials that a GPU has the memory for.
        """
        if number == 1:
            return 1
        assert self.resources
        shared = self._capacity.share_gpus(number)
        if shared > 1:
            self._end_experiment()
            del self.resources
        return shared

    def slots(self) -> int:
        """Return how many trials may run now: machines come and go.

        Raises:
            RunFailed: The run can't go on with a machine that has come, or none comes.
        """
        return self._capacity.now()

    @cached_property
    def _dataset(self) -> Any:
        import ray

        assert self.resources
        return ray.put(self._data)

    def check_nodes(
        self, question: Question, heed: Callable[[list[Finding]], None]
    ) -> list[Finding]:
        """Look whether a cluster's nodes can carry a run, later also at those that join it then.

        Args:
            question: What they are asked.
            heed: Told what was found of nodes that have joined and with which all isn't well; it
                raises where that ends the run.

        Returns:
            Nothing where Ray is a local one.
        """
        if self._address is None:
            return []
        asked = replace(question, about_gpus=self.resources.num_gpus > 0)
        from search.execution.nodes import Inquiry

        inquiry = Inquiry(asked)
        self._newcomers = Newcomers(inquiry.node_ids, partial(Inquiry, asked), heed)
        self._stack.callback(self._newcomers.close)
        return check_nodes(inquiry.wait())

    def measure_speed(self, context: PhaseContext) -> Speed:
        """Measure training speed with every slot busy; the median over the slots counts."""
        from search.execution.measure import SpeedTest, median_speed

        tests = {f"speed-{slot}": SpeedTest(context) for slot in range(self.resources.slots)}
        driver = self._do(tests, context)
        return median_speed(driver.found(name) for name in tests)

    def preflight(self, context: PhaseContext, space: Space, seconds: float) -> list[Finding]:
        """Look at the model where a trial would train.

        Meanwhile the other slots' processes get ready for what comes next.
        """
        from search.execution.measure import GetReady, Look

        look = {"preflight": Look(context, space, seconds)}
        ready = {f"ready-{slot}": GetReady() for slot in range(1, self.resources.slots)}
        driver = self._do({**look, **ready}, context)
        if context.num_gpus:
            # It would keep the memory that it has taken, or a context that is broken.
            self._end_experiment()
        return [Finding.from_json(each) for each in driver.found("preflight")]

    def _do(self, errands: Mapping[str, Errand], context: PhaseContext) -> ErrandDriver:
        driver = ErrandDriver(
            errands, slots=self.slots, stop_requested=self._stop.requested, book=self.book
        )
        about = Errands(errands, context.model_path, context.num_gpus)
        self.experiment.do(driver, about)
        self._stop.check()
        return driver

    @cached_property
    def experiment(self) -> Experiment:
        """Where errands are done and phases run; it ends with this session."""
        from search.execution.experiment import Experiment

        made = Experiment(self._dataset, self.resources, self._log, self._capacity.serve)
        self._stack.callback(made.close)
        return made

    def _end_experiment(self) -> None:
        """Let all processes go; the next errand or phase starts new ones."""
        if "experiment" in self.__dict__:
            self.experiment.close()
            del self.experiment
            self.book = SlotBook()
