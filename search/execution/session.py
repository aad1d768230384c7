"""A run's connection to Ray, made when it is first needed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from search.data import Dataset
from search.execution.cluster import TrialResources, connected, trial_resources
from search.execution.driver import PhaseDriver
from search.execution.trainable import PhaseContext
from search.findings import Finding
from search.speed import Speed
from search.study import Study


class RaySession:
    """Connects on first use and lets go at the end of the context.

    Args:
        study: What a trial gets.
        data: Put into the object store once, for all phases.
        address: Of a cluster; None: a local Ray for this run alone.
        on_connected: Called when the connection is made; Ray takes over signals then.
    """

    def __init__(
        self,
        study: Study,
        data: Dataset,
        address: str | None,
        on_connected: Callable[[], None],
    ) -> None:
        self._study = study
        self._data = data
        self._address = address
        self._on_connected = on_connected
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @cached_property
    def resources(self) -> TrialResources:
        """What a trial gets, and how many run at a time."""
        self._stack.enter_context(connected(self._address, data_bytes=self._data.inputs.nbytes))
        self._on_connected()
        return trial_resources(self._study.resources)

    @cached_property
    def _dataset(self) -> Any:
        import ray

        assert self.resources
        return ray.put(self._data)

    def measure_speed(self, context: PhaseContext) -> Speed:
        """Measure training speed with every slot busy."""
        from search.execution.measure import measure_cluster_speed

        return measure_cluster_speed(self._dataset, context, self.resources)

    def preflight(self, context: PhaseContext, seconds: float) -> list[Finding]:
        """Look at the model where a trial would train."""
        from search.execution.measure import preflight_on_cluster

        return preflight_on_cluster(self._dataset, context, self.resources, seconds)

    def run_phase(self, driver: PhaseDriver, context: PhaseContext, log: Path) -> None:
        """Run a phase's trials until it is finished or interrupted."""
        from search.execution.runner import run_phase

        run_phase(driver, self._dataset, context, self.resources, log)
