"""The proof's runs by several processes each, through Ray Train: for what one GPU can't hold."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from ray.util.queue import Empty, Queue

from search.errors import one_line
from search.execution.cluster import TrialResources
from search.execution.driver import Handout, PhaseDriver
from search.execution.trial_process import TrialProcess
from search.training.parallel import is_first

_LOOK_S = 0.5


class Gangs:
    """Runs a phase whose trials are trained by several processes together.

    Args:
        dataset: Reference to the data set in the object store.
        contexts: Phase to the reference to its context.
        resources: What each process gets.
        num_workers: Processes of a trial.
        log: Folder or address for Ray's own logs.
    """

    def __init__(
        self,
        dataset: Any,
        contexts: Mapping[str, Any],
        resources: TrialResources,
        num_workers: int,
        *,
        log: str,
    ) -> None:
        self._shared = {"dataset": dataset, "contexts": contexts}
        self._resources = resources
        self._num_workers = num_workers
        self._log = log
        self._running: dict[str, Future[Any]] = {}

    def run_phase(self, driver: PhaseDriver) -> None:
        """Train what the driver hands out until nothing is left, or it is interrupted."""
        logging.getLogger("ray.train").setLevel(logging.ERROR)
        said = Queue(actor_options={"num_cpus": 0})
        pool = ThreadPoolExecutor(thread_name_prefix="sieve-gang")
        try:
            while not driver.done and not driver.interrupted:
                while (handout := driver.next_trial()) is not None:
                    future = pool.submit(self._train, handout, said)
                    self._running[handout.trial.trial_id] = future
                self._listen(driver, said)
                self._bury(driver, said)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _listen(self, driver: PhaseDriver, said: Queue, wait_s: float = _LOOK_S) -> None:
        try:
            trial_id, message = said.get(timeout=wait_s)
        except Empty:
            return
        if trial_id in self._running:
            driver.report(trial_id, message)
            if driver.strategy.history[trial_id].ending is not None:
                del self._running[trial_id]

    def _bury(self, driver: PhaseDriver, said: Queue) -> None:
        """Enter the trials whose processes have gone without an ending."""
        for trial_id, future in list(self._running.items()):
            if future.done() and said.empty():
                error = future.exception()
                why = "its processes died"
                driver.lost(trial_id, f"{why}: {one_line(error)}" if error else why)
                del self._running[trial_id]

    def _train(self, handout: Handout, said: Queue) -> None:
        per_worker = {"CPU": float(self._resources.num_cpus), "GPU": self._resources.num_gpus}
        trainer = TorchTrainer(
            _loop,
            train_loop_config={**self._shared, "handout": asdict(handout), "said": said},
            scaling_config=ScalingConfig(
                num_workers=self._num_workers,
                use_gpu=self._resources.num_gpus > 0,
                resources_per_worker={name: value for name, value in per_worker.items() if value},
            ),
            run_config=RunConfig(
                name=handout.trial.trial_id,
                storage_path=self._log,
                failure_config=FailureConfig(max_failures=0),  # the driver takes it up again
            ),
        )
        trainer.fit()


def _loop(config: dict[str, Any]) -> None:
    """Train a trial in one of its processes; the first one speaks for all."""
    first = is_first()
    process = TrialProcess(config["dataset"], config["contexts"], speaks=first)
    process.begin(config["handout"])
    while True:
        report = process.step()
        if first:
            config["said"].put((config["handout"]["trial"]["trial_id"], report.message))
        if report.has_failed:
            raise RuntimeError("the trial has failed; the others wait for nothing")
        if report.is_last:
            return
