"""A whole run of a regression, its trials ranked by the metric, and what it predicts."""

import json
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import ray
from commands import Command
from sklearn.datasets import load_diabetes

pytestmark = pytest.mark.ray
SETTINGS = {
    "budget.full_epochs": 20,
    "coarse.num_trials": 8,
    "fine.num_trials": 4,
    "confirm.num_finalists": 1,
    "confirm.num_seeds": 2,
    "checks.preflight": False,
    "space.num_units.high": 64,
    "promote_by": "metric",
}
SPREAD = float(np.std(load_diabetes().target))


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory, local_ray: None) -> Command:
    """Return the folder in which a run has ended."""
    command = Command(tmp_path_factory.mktemp("regression"))
    settings = [part for k, v in SETTINGS.items() for part in ("--set", f"{k}={v}")]
    ended = command.ask("run", "--data", "sklearn:diabetes", "--out", "run", *settings)
    assert ended.returncode == 0, ended.stderr
    assert ray.is_initialized(), "a Ray that the process had before goes on"
    return command


def read(command: Command, name: str) -> dict:
    return json.loads((command.folder / "run" / name).read_text())


def test_the_proof_is_in_the_unit_of_the_target(command: Command) -> None:
    result = read(command, "result.json")
    assert (result["status"], result["metric"], result["mode"]) == ("complete", "rmse", "min")
    sides = [result["winner"], result["baseline"]]
    assert all(0.5 * SPREAD < side["test"]["mean"] < SPREAD for side in sides), "better than none"
    finalist, baseline = result["finalists"][0]["test"]["mean"], result["baseline"]["test"]["mean"]
    assert result["comparison"]["difference"] == pytest.approx(finalist - baseline)


def test_trials_are_ranked_by_the_metric(command: Command) -> None:
    journal = (command.folder / "run" / "journal.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in journal]
    (why,) = [e["message"] for e in events if e["event"] == "candidate" and "after" in e["message"]]
    assert "validation metric" in why
    name = why.partition(":")[0]
    curves = pq.read_table(command.folder / "run" / "fine" / "curves.parquet").to_pylist()
    assert all(row["value"] == row["validation_metric"] for row in curves)
    best = min(curves, key=lambda row: row["value"])
    assert name == best["trial_id"]


def test_its_weaknesses_and_its_ensemble_are_told(command: Command) -> None:
    before, after = (read(command, f"weakness/{side}.json") for side in ("before", "after"))
    assert not {"missing"} & (before.keys() | after.keys())
    assert read(command, "result.json")["ensemble"].keys() > {"members"}


def test_it_predicts_in_the_unit_of_the_target(command: Command) -> None:
    ended = command.ask("predict", "run", "--data", "sklearn:diabetes", "--out", "said.csv")
    assert ended.returncode == 0, ended.stderr
    said = pyarrow.csv.read_csv(command.folder / "said.csv").to_pydict()
    predictions = np.array(next(iter(said.values())), dtype=float)
    truth = load_diabetes().target
    assert predictions.shape == truth.shape
    assert np.sqrt(np.mean(np.square(predictions - truth))) < SPREAD
    assert "rmse" in ended.stdout
    assert Path(command.folder / "run" / "report.html").exists()
