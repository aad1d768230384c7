"""Runs phases on Ray Tune."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import ray
from ray import tune

from search.errors import RunFailed, Unwritable, one_line
from search.execution.adapters import (
    InterruptStopper,
    PhaseScheduler,
    PhaseSearcher,
    slot_of,
    trial_id_of,
)
from search.execution.cluster import TrialResources
from search.execution.context import PhaseContext
from search.execution.driver import PhaseDriver
from search.execution.errands import ErrandDriver, Errands
from search.execution.logs import TensorBoardLog
from search.execution.shelf import Shelf
from search.execution.slots import SlotResources, kept_slots, kills_are_losses
from search.execution.stage import Driver, Stage
from search.execution.trainable import make_trainable
from search.storage import is_remote

_LOOK_S = 0.5
_CLOSE_S = 30.0


class Experiment:
    """One experiment of Ray Tune for all of a session, in a thread of its own.

    A phase's start costs no process: a slot's process goes on from errands to the phases.

    Args:
        dataset: Reference to the data set in the object store.
        resources: What a trial gets.
        log: Folder or address for Ray's own logs (TensorBoard), a new one inside for each
            session.
        serve: Told who says for how many trials a phase has a use for room, and how few are of
            none; None: nobody asks for machines.
    """

    def __init__(
        self,
        dataset: Any,
        resources: TrialResources,
        log: str,
        serve: Callable[[Callable[[], float], int], None] | None = None,
    ) -> None:
        self._serve = serve
        self._resources = resources
        self._log = log
        self._dataset = dataset
        self._trainable = make_trainable(dataset)
        self._stage = Stage()
        self._thread = threading.Thread(target=self._fit, name="sieve-tune", daemon=True)
        self._error: BaseException | None = None

    def do(self, driver: ErrandDriver, errands: Errands) -> None:
        """Do errands until there are none left, or the run is asked to stop.

        Raises:
            RunFailed: The machines end the run, or an errand's process dies again and again.
        """
        self._run_on_tune(driver, ray.put(errands))
        if driver.cant_go_on is not None:
            raise RunFailed(driver.cant_go_on)

    def run_phase(self, driver: PhaseDriver, context: PhaseContext) -> None:
        """Run a phase's trials until it is finished or interrupted.

        Args:
            driver: The phase's.
            context: What its trials share.
        """
        workers = context.num_workers
        if self._serve is not None:
            self._serve(lambda: workers * driver.num_wanted, workers)
        if driver.finished:
            pass  # an interruption may have come after the last trial and before what follows
        elif workers > 1:
            self._run_in_gangs(driver, context)
        else:
            self._run_on_tune(driver, ray.put(context))
        if driver.cant_go_on is not None:
            raise Unwritable(driver.cant_go_on)
        driver.close()
        shelf = Shelf(context.storage or context.trial_folder, later=driver.after_events)
        for record in driver.strategy.history.ended:
            shelf.clear(record.trial.trial_id)

    def _run_on_tune(self, driver: Driver, shared: ray.ObjectRef) -> None:
        self._stage.begin(driver, shared)
        if not self._thread.is_alive():
            self._thread.start()
        while not self._stage.wait_until_idle(_LOOK_S) and self._thread.is_alive():
            pass
        if self._error is not None:
            raise self._error

    def _run_in_gangs(self, driver: PhaseDriver, context: PhaseContext) -> None:
        from search.execution.gang import Gangs  # Ray Train, which most runs don't need

        self.close()
        gangs = Gangs(
            self._dataset,
            ray.put(context),
            self._resources,
            context.num_workers,
            log=self._log,
        )
        gangs.run_phase(driver)

    def close(self) -> None:
        """Let the processes go."""
        if self._thread.is_alive():
            self._stage.close()
            self._thread.join(_CLOSE_S)

    def _fit(self) -> None:
        try:
            slots = kept_slots(self._resources.slots, self._is_tight, self._let_go)
            with slots, kills_are_losses(self._stage.lose):
                self._tuner().fit()
        except OSError as error:
            self._error = self._unwritable(error) if is_remote(self._log) else error
        except BaseException as error:
            self._error = error

    def _unwritable(self, error: OSError) -> Unwritable:
        """Return what Ray's own failure to write into a storage is to the run."""
        return Unwritable(
            f"{self._log} can't be written now ({one_line(error)}); 'sieve resume' goes on when it "
            "can"
        )

    def _is_tight(self) -> bool:
        return self._stage.driver.has_spare_slots()

    def _let_go(self, slot: int) -> None:
        self._stage.driver.let_go(slot)

    def _tuner(self) -> tune.Tuner:
        logging.getLogger("ray.tune").setLevel(logging.ERROR)
        # Whether Ray's own logs find room decides nothing, and what does says so itself.
        os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
        for name in ("execution.experiment_state", "tune"):
            logging.getLogger(f"ray.tune.{name}").setLevel(logging.CRITICAL)
        resources, stage = self._resources, self._stage
        return tune.Tuner(
            tune.with_resources(
                self._trainable, lambda config: SlotResources(slot_of(config), resources)
            ),
            tune_config=tune.TuneConfig(
                metric="validation_loss",
                mode="min",
                search_alg=PhaseSearcher(stage),
                scheduler=PhaseScheduler(stage),
                num_samples=-1,
                reuse_actors=True,
                trial_dirname_creator=trial_id_of,
            ),
            run_config=tune.RunConfig(
                name=time.strftime("session-%Y%m%d-%H%M%S"),
                storage_path=self._log,
                stop=InterruptStopper(stage),
                callbacks=[TensorBoardLog()],
                # The driver takes a trial up again, in another slot: Ray would do so with the very
                # process that it can't reach.
                failure_config=tune.FailureConfig(max_failures=0),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                verbose=0,
            ),
        )
