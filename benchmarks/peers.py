"""What a user would do without sieve: Ray Tune's ASHA with random search, Optuna's TPE with
Hyperband.

Both search the model's own space on all the training rows for a given time, by the validation
loss; their best configuration is then retrained over several seeds and tested, as sieve's
confirmation does. The training loop is sieve's, so that only the search differs.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.guide.ground import even_points
from search.data import DataOptions, load_dataset
from search.data.batches import Resident
from search.data.phase_rows import RowPlan
from search.events import Evaluation
from search.space import Choice, Config, Dimension, Float, Integer, Space
from search.strategy.budget import Ladder
from search.task import load_model
from search.training.job import Job, Rows
from search.training.session import NetworkSession
from search.training.threads import use_threads

FACTOR, NUM_RUNGS = 3, 4


class Bench:
    """A data set and a model, ready to train in this process.

    Args:
        request: ``data``, ``label``, ``model``, ``full_samples``, ``proof_samples`` of a training
            that is tested (as many where it isn't said), ``seed``: of the parts, as a run with
            that seed divides the rows; ``evaluated_share`` of the validation rows that evaluations
            look at.
    """

    def __init__(self, request: dict[str, Any]) -> None:
        use_threads(1)
        seed = request["seed"]
        dataset = load_dataset(DataOptions(request["data"], label=request["label"], seed=seed))
        self.model = load_model(request["model"])
        self.spec = dataset.spec
        self.space: Space = self.model.space(dataset.spec)
        self.ladder = Ladder.below(request["full_samples"], FACTOR, NUM_RUNGS)
        self._proof_samples = request.get("proof_samples", self.ladder.full)
        self.rows = RowPlan.of(dataset, seed=seed)
        self._share = request["evaluated_share"]
        self._data = Resident(dataset, "cpu")

    def session(self, config: Config, seed: int, *, test: bool = False) -> NetworkSession:
        """Return a full training of a configuration on all the training rows."""
        everything = len(self.rows.train)
        rows = self.rows.confirm()[0] if test else self.rows.search(everything, self._share)
        full = self._proof_samples if test else self.ladder.full
        points = even_points(full, self.num_evaluations)
        job = Job("peer", config, self.spec, seed, full, points, "accuracy", 1.0, not test)
        return NetworkSession(job, self.model, self._data, Rows.of(rows))

    @property
    def num_evaluations(self) -> int:
        """Of a training: 27, the rungs among them."""
        return self.ladder.full // self.ladder.base


@cache
def bench_of(request: str) -> Bench:
    """Return the process's bench for a request in JSON; made once."""
    return Bench(json.loads(request))


def evaluations(request: str, config: Config, seed: int) -> Iterator[Evaluation]:
    """Train a configuration; yield its evaluations."""
    yield from bench_of(request).session(config, seed).run()


def search_with_ray(request: str) -> list[dict[str, Any]]:
    """Search with Ray Tune: ``AsyncHyperBandScheduler`` on random configurations.

    Returns:
        One dict an evaluation: ``trial``, ``config``, ``at`` (seconds), ``loss``.
    """
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search import BasicVariantGenerator

    values = json.loads(request)
    log = Path(values["folder"]) / "evaluations.jsonl"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    started = time.time()
    ray.init(address="local", num_cpus=values["slots"], include_dashboard=False)
    ladder = Bench(values).ladder

    def train(values: dict[str, Any]) -> None:
        space = bench_of(request).space
        unit = np.random.default_rng(values["seed"]).random(len(space.searched))
        config = space.from_unit(unit)
        for number, each in enumerate(evaluations(request, config, values["seed"])):
            write_evaluation(log, tune.get_context().get_trial_id(), config, started, each)
            if math.isfinite(each.validation_loss):
                tune.report({"loss": each.validation_loss, "units": number + 1})

    tune.Tuner(
        tune.with_resources(train, {"cpu": 1}),
        param_space={"seed": tune.randint(0, 2**31 - 1)},
        tune_config=tune.TuneConfig(
            metric="loss",
            mode="min",
            num_samples=-1,
            time_budget_s=values["seconds"],
            reuse_actors=True,
            search_alg=BasicVariantGenerator(
                random_state=values["seed"], max_concurrent=values["slots"]
            ),
            scheduler=ASHAScheduler(
                time_attr="units",
                grace_period=1,
                reduction_factor=FACTOR,
                max_t=FACTOR ** (len(ladder.rungs) - 1),
            ),
        ),
        run_config=tune.RunConfig(storage_path=values["folder"], name="ray", verbose=0),
    ).fit()
    ray.shutdown()
    return read_evaluations(log)


def search_with_optuna(request: str) -> list[dict[str, Any]]:
    """Search with Optuna, a process a slot, in a study that they share.

    Returns:
        As :func:`search_with_ray`.
    """
    values = json.loads(request)
    folder = Path(values["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("journal.log", "evaluations.jsonl"):
        (folder / name).unlink(missing_ok=True)
    started = time.time()
    with ProcessPoolExecutor(values["slots"], mp_context=get_context("spawn")) as pool:
        slots = [pool.submit(_optimize, request, started, n) for n in range(values["slots"])]
        for each in slots:
            each.result()
    return read_evaluations(folder / "evaluations.jsonl")


def _optimize(request: str, started: float, slot: int) -> None:
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    values = json.loads(request)
    folder, bench = Path(values["folder"]), bench_of(request)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        study_name="peer",
        storage=JournalStorage(JournalFileBackend(str(folder / "journal.log"))),
        load_if_exists=True,
        sampler=optuna.samplers.TPESampler(seed=1000 * values["seed"] + slot),
        pruner=optuna.pruners.HyperbandPruner(1, bench.num_evaluations, FACTOR),
    )

    def objective(trial: Any) -> float:
        config = suggest(bench.space, trial)
        loss = math.inf
        for number, each in enumerate(evaluations(request, config, trial.number)):
            write_evaluation(folder / "evaluations.jsonl", trial.number, config, started, each)
            if not math.isfinite(each.validation_loss):
                raise optuna.TrialPruned
            loss = min(loss, each.validation_loss)
            trial.report(each.validation_loss, number + 1)
            if trial.should_prune() or time.time() - started > values["seconds"]:
                raise optuna.TrialPruned
        return loss

    left = values["seconds"] - (time.time() - started)
    study.optimize(objective, timeout=left, catch=(RuntimeError,))


def suggest(space: Space, trial: Any) -> Config:
    """Return a configuration of the space, asked of an Optuna trial dimension by dimension."""
    config = space.fixed
    for each in space.searched:
        active = all(config.get(name) in wanted for name, wanted in (each.when or {}).items())
        if active:
            config[each.name] = _suggest_one(each, trial)
    return config


def _suggest_one(dimension: Dimension, trial: Any) -> Any:
    match dimension:
        case Float():
            name, log = dimension.name, dimension.log
            return trial.suggest_float(name, dimension.low, dimension.high, log=log)
        case Integer():
            name, log = dimension.name, dimension.log
            return trial.suggest_int(name, dimension.low, dimension.high, log=log)
        case Choice():
            return trial.suggest_categorical(dimension.name, dimension.values)
        case _:
            raise AssertionError(f"{dimension} can't be searched")


def write_evaluation(
    log: Path, trial: Any, config: Config, started: float, each: Evaluation
) -> None:
    """Append an evaluation to a peer's log."""
    values = {"trial": trial, "config": config, "at": time.time() - started}
    with log.open("a") as file:
        file.write(json.dumps({**values, "loss": each.validation_loss, "point": each.point}) + "\n")


def read_evaluations(log: Path) -> list[dict[str, Any]]:
    """Return what :func:`write_evaluation` has written, in the order of time."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return sorted(lines, key=lambda line: line["at"])
