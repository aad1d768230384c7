"""Run directories that hold just what predicting needs.

Networks are as they begin, never trained; loops of their own are trained for a moment.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import torch
from safetensors.torch import save_file

from search.best import write_best, write_ensemble
from search.data import DataOptions, Dataset, load_dataset
from search.data.batches import Resident
from search.data.phase_rows import RowPlan
from search.events import Ending, Evaluation, Trial
from search.insight.ensemble import Ensemble, Member, RowComparison
from search.insight.result import Confirmed
from search.insight.truth import Score
from search.rundir import RunDir
from search.task import ModelModule, load_model
from search.training.job import Job, Rows
from search.training.network import build_network
from search.training.scoring import resolve_metric
from search.training.sessions import Session, open_session
from search.trials import Record

SEEDS, WEIGHTS = (0, 1, 2), (0.5, 0.3, 0.2)


def flowers(num_rows: int = 90, seed: int = 0) -> pa.Table:
    """Three species from a size with gaps, a colour and a weight."""
    random = np.random.default_rng(seed)
    species = random.permutation(np.repeat(["lily", "rose", "tulip"], num_rows // 3))
    size = random.normal(size=num_rows) + 2.0 * (species == "rose")
    size[::9] = np.nan
    return pa.table(
        {
            "size": size,
            "colour": random.choice(["red", "white"], num_rows),
            "weight": random.normal(size=num_rows),
            "species": species,
        }
    )


def write(table: pa.Table, path: Path) -> str:
    pa_csv.write_csv(table, path) if path.suffix == ".csv" else pq.write_table(table, path)
    return str(path)


def confirmed(config: dict[str, Any]) -> Confirmed:
    """Return the runs of one configuration; the one in the middle has the lowest loss."""
    records = []
    for seed in SEEDS:
        trial_id = f"x-f1-s{seed}"
        trial = Trial(trial_id, "confirm", "finalist:f1", config, seed, 9, (9,))
        loss = 1.0 + abs(seed - 1)
        evaluation = Evaluation(trial_id, 1, 9, 9, loss, loss, 0.5, 0.5, 0.1, 1.0)
        records.append(Record(trial, [evaluation], ending=Ending(trial_id, "completed", "done")))
    return Confirmed("f1", tuple(records), 0)


def offered(runs: Confirmed) -> Ensemble:
    """Return an ensemble of all runs; its figures are made up."""
    members = tuple(
        Member(record.trial.trial_id, runs.name, dict(record.trial.config), weight, 9)
        for record, weight in zip(runs.records, WEIGHTS, strict=True)
    )
    score, tie = Score(1.0, 0.5), RowComparison(0.0, (-0.1, 0.1), "tie")
    return Ensemble(members, score, score, score, tie, tie, 27, 3.0, "made up")


def trained(trial: Trial, dataset: Dataset, module: ModelModule) -> Session:
    """Train a run of the proof for some passes over the rows."""
    rows = Rows.of(RowPlan.of(dataset, seed=0).confirm()[0])
    points = tuple(number * len(rows.train) for number in (1, 4, 8))
    job = Job(
        trial_id=trial.trial_id,
        config=trial.config,
        spec=dataset.spec,
        seed=trial.seed,
        budget_samples=points[-1],
        points=points,
        metric=resolve_metric(None, dataset.spec.task),
        target_sd=dataset.preparation.target_scale[1],
        keep_best=True,
    )
    session = open_session(job, module, Resident(dataset, "cpu"), rows)
    for _ in session.run():
        pass
    return session


def best_run(
    folder: Path, uri: str, *, model: str = "models.mlp", ensemble: bool = False, **options: Any
) -> tuple[RunDir, Dataset]:
    """Write the run directory of a run on some data; return it with the data."""
    dataset, module = load_dataset(DataOptions(uri=uri, **options)), load_model(model)
    runs = confirmed(module.defaults(dataset.spec)[0].config)
    run = RunDir.create(folder, {"data": {"uri": uri}}, "0")
    for record in runs.records:
        trial = record.trial
        left = folder / "confirm" / "trials" / trial.trial_id
        if module.train is not None:
            trained(trial, dataset, module).save_model(left)
        else:
            torch.manual_seed(trial.seed)
            left.mkdir(parents=True)
            network = build_network(module, trial.config, dataset.spec)
            save_file(network.state_dict(), left / "model.safetensors")
    write_best(run, runs, dataset, module, resolve_metric(None, dataset.spec.task))
    if ensemble:
        write_ensemble(run, offered(runs))
    return run, dataset
