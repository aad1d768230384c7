"""Syne Tune's schedulers on real trainings."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.peers import FACTOR, bench_of, read_evaluations, write_evaluation
from benchmarks.slots import train_with
from search.events import Evaluation
from search.space import Config


class SyneMethod:
    """One of Syne Tune's schedulers behind the slots' interface, on its own kinds of dimensions.

    It knows no conditional ones: where one isn't active its value is left out of the training.

    Args:
        request: The peer's request in JSON.
        started: Unix time of the search's start.
    """

    def __init__(self, request: str, started: float) -> None:
        from syne_tune.optimizer import baselines

        from benchmarks.search.syne_peers import syne_domain

        values = json.loads(request)
        self._bench = bench_of(request)
        self._log = Path(values["folder"]) / "evaluations.jsonl"
        self._started = started
        self._number = 0
        self._configs: dict[int, Config] = {}
        self._scheduler = getattr(baselines, values["scheduler"])(
            {each.name: syne_domain(each) for each in self._bench.space.searched},
            metric="loss",
            time_attr="units",
            max_t=self._bench.num_evaluations,
            do_minimize=True,
            random_seed=values["seed"],
            grace_period=1,
            reduction_factor=FACTOR,
        )

    def ask(self) -> tuple[Any, Config, int]:
        """Return a new training."""
        from syne_tune.backend.trial_status import Trial

        drawn = self._scheduler.suggest().config
        trial = Trial(self._number, drawn, datetime.now())
        self._number += 1
        self._scheduler.on_trial_add(trial)
        config = self._configs[trial.trial_id] = self._config(drawn)
        return trial, config, trial.trial_id

    def _config(self, drawn: dict[str, Any]) -> Config:
        config = dict(self._bench.space.fixed)
        for dimension in self._bench.space.searched:
            if dimension.is_active(config):
                config[dimension.name] = drawn[dimension.name]
        return config

    def tell(self, handle: Any, number: int, evaluation: Evaluation) -> bool:
        """Ask the scheduler; what isn't finite stops."""
        from syne_tune.optimizer.scheduler import SchedulerDecision

        config = self._configs[handle.trial_id]
        write_evaluation(self._log, handle.trial_id, config, self._started, evaluation)
        if not abs(evaluation.validation_loss) < float("inf"):
            self._scheduler.on_trial_error(handle)
            return False
        result = {"units": number, "loss": evaluation.validation_loss}
        if number == self._bench.num_evaluations:
            self._scheduler.on_trial_complete(handle, result)
            return True  # it ends by itself
        return bool(self._scheduler.on_trial_result(handle, result) == SchedulerDecision.CONTINUE)

    def end(self, handle: Any, number: int) -> None:
        """Tell of a training that ended before its last evaluation."""
        if number < self._bench.num_evaluations:
            self._scheduler.on_trial_error(handle)


def search_with_syne(request: str) -> list[dict[str, Any]]:
    """Search with one of Syne Tune's schedulers (``scheduler`` in the request).

    Returns:
        As :func:`~benchmarks.peers.search_with_ray`.
    """
    values = json.loads(request)
    log = Path(values["folder"]) / "evaluations.jsonl"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    started = time.time()
    method = SyneMethod(request, started)
    train_with(method, request, values["slots"], started + values["seconds"])
    return read_evaluations(log)
