"""The proof's runs by several processes each, through Ray Train: for what one GPU can't hold."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any

import ray
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from ray.util.queue import Empty, Queue
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search.errors import one_line
from search.execution.cluster import TrialResources
from search.execution.driver import Handout, PhaseDriver
from search.execution.trial_process import TrialProcess
from search.training.parallel import is_first

_LOOK_S = 0.5
_CLOSE_S = 30.0


class Gangs:
    """Runs a phase whose trials are trained by several processes together.

    Args:
        dataset: Reference to the data set in the object store.
        context: Reference to the phase's context.
        resources: What each process gets.
        num_workers: Processes of a trial.
        log: Folder or address for Ray's own logs.
    """

    def __init__(
        self,
        dataset: Any,
        context: Any,
        resources: TrialResources,
        num_workers: int,
        *,
        log: str,
    ) -> None:
        self._shared = {"dataset": dataset, "context": context}
        self._resources = resources
        self._num_workers = num_workers
        self._log = log
        self._running: dict[str, ray.ObjectRef] = {}
        self._processes: dict[ray.ObjectRef, Any] = {}  # of the trainings that haven't returned

    def run_phase(self, driver: PhaseDriver) -> None:
        """Train what the driver hands out until nothing is left, or it is interrupted."""
        said = Queue(actor_options={"num_cpus": 0, "scheduling_strategy": _on_this_node()})
        try:
            while not driver.done and not driver.interrupted:
                while (handout := driver.next_trial()) is not None:
                    self._start(handout, said)
                self._listen(driver, said)
                self._bury(driver, said)
                self._let_go()
            if driver.done:
                self._let_go(_CLOSE_S)
        finally:
            # Cancelling a task that is about to return makes Ray abort this process.
            for process in self._processes.values():
                ray.kill(process)

    def _start(self, handout: Handout, said: Queue) -> None:
        process = ray.remote(num_cpus=0, scheduling_strategy=_on_this_node())(_Process).remote()
        training = process.train.remote(
            {**self._shared, "handout": asdict(handout), "said": said},
            self._resources,
            self._num_workers,
            self._log,
        )
        self._running[handout.trial.trial_id] = training
        self._processes[training] = process

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
        for trial_id, training in list(self._running.items()):
            (gone, _) = ray.wait([training], timeout=0)
            if gone and said.empty():
                driver.lost(trial_id, _why(training))
                del self._running[trial_id]

    def _let_go(self, wait_s: float = 0.0) -> None:
        """Forget the processes whose trainings have returned, which ends them."""
        trainings = list(self._processes)
        if trainings:
            returned, _ = ray.wait(trainings, num_returns=len(trainings), timeout=wait_s)
            for training in returned:
                del self._processes[training]


def _on_this_node() -> NodeAffinitySchedulingStrategy:
    """Where the driver is: if that is lost, so is all the rest."""
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


def _why(training: ray.ObjectRef) -> str:
    """Say why a training that ended without a word has ended."""
    try:
        ray.get(training)
    except Exception as error:
        return f"its processes died: {one_line(error)}"
    return "its processes died"


class _Process:
    """Has a training of its own, and can be ended with it: a thread would outlive Ray."""

    def train(
        self, config: dict[str, Any], each: TrialResources, num_workers: int, log: str
    ) -> None:
        """Train a trial in several processes; returns when they are gone."""
        logging.getLogger("ray.train").setLevel(logging.ERROR)
        per_worker = {"CPU": float(each.num_cpus), "GPU": each.num_gpus}
        trainer = TorchTrainer(
            _loop,
            train_loop_config=config,
            scaling_config=ScalingConfig(
                num_workers=num_workers,
                use_gpu=each.num_gpus > 0,
                resources_per_worker={name: value for name, value in per_worker.items() if value},
            ),
            run_config=RunConfig(
                name=config["handout"]["trial"]["trial_id"],
                storage_path=log,
                failure_config=FailureConfig(max_failures=0),  # the driver takes it up again
            ),
        )
        trainer.fit()


def _loop(config: dict[str, Any]) -> None:
    """Train a trial in one of its processes; the first one speaks for all."""
    first = is_first()
    process = TrialProcess(config["dataset"], speaks=first)
    process.begin(config["handout"], ray.get(config["context"]))
    while True:
        report = process.step()
        if first:
            config["said"].put((config["handout"]["trial"]["trial_id"], report.message))
        if report.has_failed:
            raise RuntimeError("the trial has failed; the others wait for nothing")
        if report.is_last:
            return
