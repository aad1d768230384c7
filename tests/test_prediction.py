"""Predictions of new rows: in the data's own words, in its order, by one model or by several."""

import io
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
import torch
from best_runs import WEIGHTS, best_run, confirmed, flowers, trained, write
from rich.console import Console

from search import prediction
from search.best import ENSEMBLE, read_confirmed, write_ensemble
from search.cli import main
from search.data import Dataset
from search.data.batches import Resident
from search.data.source import read_table
from search.errors import DataError, ModelError, RunDirError, SieveError
from search.insight.selection import NoEnsemble
from search.prediction import predict
from search.report import print_prediction
from search.rundir import RESULT, RunDir
from search.task import load_model
from search.training.network import load_network
from search.training.predictions import answers_of, average, decided
from search.trials import Record

SPECIES = ["lily", "rose", "tulip"]
OWN_LOOP = str(Path(__file__).parent / "training" / "own_boosting.py")


def outputs(run: RunDir, dataset: Dataset, weights: str = "best/model.safetensors") -> np.ndarray:
    """Return what a kept network says of all rows, by hand."""
    about = json.loads((run.path / "best/model.json").read_text())
    model, cpu = load_model(about["model"]), torch.device("cpu")
    network = load_network(model, about["config"], dataset.spec, run.path / weights, cpu).eval()
    rows = torch.arange(dataset.inputs.num_rows)
    with torch.no_grad():
        return network(*Resident(dataset, "cpu").inputs(rows)).numpy()


def probabilities(table: pa.Table) -> np.ndarray:
    return np.column_stack([table[f"probability_{name}"].to_numpy() for name in SPECIES])


def softmax(values: np.ndarray) -> np.ndarray:
    return torch.softmax(torch.from_numpy(values), 1).numpy()


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return write(flowers(), tmp_path / "flowers.csv")


@pytest.fixture
def done(tmp_path: Path, uri: str) -> tuple[RunDir, Dataset]:
    return best_run(tmp_path / "run", uri, label="species", ensemble=True)


@pytest.mark.parametrize("name", ["said.parquet", "said.csv"])
def test_a_file_has_a_row_for_each_row_in_the_data_s_own_words(
    done: tuple[RunDir, Dataset], uri: str, tmp_path: Path, name: str
) -> None:
    run, dataset = done
    summary = predict(run, uri, out=tmp_path / name)
    read = pq.read_table if name.endswith(".parquet") else pa_csv.read_csv
    table = read(tmp_path / name)
    assert table.column_names == ["prediction", *(f"probability_{each}" for each in SPECIES)]
    wanted = softmax(outputs(run, dataset))
    assert np.allclose(probabilities(table), wanted, atol=1e-6)
    said = [SPECIES[code] for code in wanted.argmax(axis=1)]
    assert table["prediction"].to_pylist() == said
    assert summary["predictions"] == {each: said.count(each) for each in SPECIES}
    right = np.mean(np.array(said) == flowers()["species"].to_numpy())
    assert summary["metric"] == {"name": "accuracy", "value": pytest.approx(right), "rows": 90}
    assert not list(tmp_path.glob(".*.tmp"))


def test_the_ensemble_s_probabilities_are_the_weighted_mean_of_its_members(
    done: tuple[RunDir, Dataset], uri: str, tmp_path: Path
) -> None:
    run, dataset = done
    summary = predict(run, uri, out=tmp_path / "said.parquet", ensemble=True)
    files = [f"best/ensemble/x-f1-s{seed}.safetensors" for seed in (0, 1, 2)]
    members = [softmax(outputs(run, dataset, file)) for file in files]
    wanted = sum(weight * each for weight, each in zip(WEIGHTS, members, strict=True))
    assert np.allclose(probabilities(pq.read_table(tmp_path / "said.parquet")), wanted, atol=1e-6)
    assert summary["num_models"] == 3


def test_rows_are_prepared_few_at_a_time(
    done: tuple[RunDir, Dataset], uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = predict(done[0], uri, out=tmp_path / "whole.parquet")
    monkeypatch.setattr(prediction, "BATCH_ROWS", 7)
    parts = predict(done[0], uri, out=tmp_path / "parts.parquet")
    first, second = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("whole", "parts"))
    assert np.allclose(probabilities(first), probabilities(second), atol=1e-6)
    assert parts["metric"] == whole["metric"]


def test_labels_may_be_absent_and_what_the_model_doesn_t_know_isn_t_judged(
    done: tuple[RunDir, Dataset], tmp_path: Path
) -> None:
    table = flowers()
    bare = predict(done[0], write(table.drop_columns(["species"]), tmp_path / "bare.parquet"))
    assert bare["metric"] is None
    labels = [None, "orchid", *table["species"].to_pylist()[2:]]
    strange = table.set_column(3, "species", pa.array(labels))
    judged = predict(done[0], write(strange, tmp_path / "strange.parquet"))
    assert judged["metric"]["rows"] == 88
    assert judged["predictions"] == bare["predictions"]


def test_a_regression_is_predicted_in_its_own_unit(tmp_path: Path) -> None:
    run, dataset = best_run(tmp_path / "run", "sklearn:diabetes")
    summary = predict(run, "sklearn:diabetes", out=tmp_path / "said.csv")
    mean, sd = dataset.preparation.target_scale
    said = pa_csv.read_csv(tmp_path / "said.csv")["prediction"].to_numpy()
    assert np.allclose(said, mean + sd * outputs(run, dataset)[:, 0], rtol=1e-5)
    truth = mean + sd * dataset.inputs["target"].to_numpy()
    assert summary["metric"]["value"] == pytest.approx(np.sqrt(np.mean((said - truth) ** 2)))
    assert summary["predictions"]["mean"] == pytest.approx(said.mean())


def test_classes_keep_their_type_and_images_are_read_too(tmp_path: Path) -> None:
    run, _ = best_run(tmp_path / "run", "sklearn:digits")
    summary = predict(run, "sklearn:digits", out=tmp_path / "said.parquet")
    assert pq.read_table(tmp_path / "said.parquet").schema.field("prediction").type == pa.int64()
    assert sum(summary["predictions"].values()) == summary["rows"] == 1797


@pytest.mark.parametrize("model", [OWN_LOOP, "models.xgb"], ids=["own", "xgb"])
@pytest.mark.parametrize("data", ["sklearn:wine", "sklearn:diabetes"])
def test_a_loop_of_its_own_predicts_what_its_run_reports(
    tmp_path: Path, model: str, data: str
) -> None:
    run, dataset = best_run(tmp_path / "run", data, model=model, ensemble=True)
    best = json.loads((run.path / "best/model.json").read_text())
    assert (best["run"], len(list((run.path / "best/ensemble").glob("*.bin")))) == ("x-f1-s1", 3)
    sessions = [trained(each.trial, dataset, load_model(model)) for each in runs_of(best)]
    test = write(read_table(data).take(dataset.splits.test), tmp_path / "test.parquet")
    summary = predict(run, test)
    assert summary["metric"]["rows"] == len(dataset.splits.test)
    assert summary["metric"]["value"] == pytest.approx(sessions[1].outcome().test[1], rel=1e-6)
    assert summary["device"] == "cpu"
    said = [answers_of(each.predictions()["test"].outputs, dataset.spec.task) for each in sessions]
    together = predict(run, test, out=tmp_path / "together.csv", ensemble=True)
    assert together["num_models"] == 3
    wanted = decided(average(zip(WEIGHTS, said, strict=True)), dataset.spec.task)
    mean, sd = dataset.preparation.target_scale
    found = pa_csv.read_csv(tmp_path / "together.csv")["prediction"].to_numpy()
    if dataset.spec.task == "regression":
        np.testing.assert_allclose(found, mean + sd * wanted, rtol=1e-6)
    else:
        assert found.tolist() == wanted.tolist()


def runs_of(best: dict) -> Sequence[Record]:
    return confirmed(best["config"]).records


def test_the_members_weights_take_no_room_and_an_ensemble_that_is_gone_is_gone(
    done: tuple[RunDir, Dataset],
) -> None:
    run = done[0].path
    kept, trained = (
        run / folder / name
        for folder, name in (
            ("best/ensemble", "x-f1-s0.safetensors"),
            ("confirm/trials/x-f1-s0", "model.safetensors"),
        )
    )
    assert kept.samefile(trained)
    write_ensemble(done[0], None)
    assert not (run / ENSEMBLE).exists()


def refused(error: type[SieveError], run: RunDir, uri: str, *words: str, **options) -> None:
    with pytest.raises(error) as found:
        predict(run, uri, **options)
    message = str(found.value)
    assert "\n" not in message
    assert [word for word in words if word not in message] == []


@pytest.fixture
def keeps_nothing(tmp_path: Path) -> str:
    """A model with a loop of its own, and without the means to keep what it trains."""
    text = Path(OWN_LOOP).read_text().replace("def save_predictor", "def save")
    path = tmp_path / "keeps_nothing.py"
    path.write_text(text.replace("def load_predictor", "def load"))
    return str(path)


def test_a_run_without_a_best_model_a_trained_one_or_an_ensemble_is_refused(
    tmp_path: Path, uri: str, keeps_nothing: str
) -> None:
    begun = RunDir.create(tmp_path / "begun", {"data": {}}, "0")
    refused(RunDirError, begun, uri, "no best model yet", "sieve resume")
    own, _ = best_run(tmp_path / "own", uri, label="species", model=keeps_nothing)
    words = ("keeps no trained model", "loop of its own", "save_predictor", "best/config.yaml")
    refused(RunDirError, own, uri, *words)
    alone, _ = best_run(tmp_path / "alone", uri, label="species")
    refused(RunDirError, alone, uri, "no ensemble (none was made)", ensemble=True)
    alone.write_json(RESULT, {"ensemble": {"members": [], "reason": "too large"}})
    refused(RunDirError, alone, uri, "no ensemble (too large)", ensemble=True)


def test_data_that_the_model_can_t_read_are_refused(
    done: tuple[RunDir, Dataset], tmp_path: Path
) -> None:
    lacking = write(flowers().rename_columns(["sise", "colour", "weight", "y"]), tmp_path / "a.csv")
    refused(DataError, done[0], lacking, "no column 'size'", "did you mean 'sise'")
    refused(DataError, done[0], str(tmp_path / "nowhere.csv"), "no data at", "nowhere.csv")


def test_a_module_that_is_gone_or_builds_another_network_is_refused(
    done: tuple[RunDir, Dataset], uri: str, tmp_path: Path
) -> None:
    refused(ModelError, done[0], uri, "no model file", "gone.py", model="gone.py")
    other = tmp_path / "other.py"
    other.write_text(
        "from torch import nn\nfrom models.mlp import space, defaults\n"
        "def build(config, spec):\n    return nn.Linear(2, 2)\n"
    )
    refused(ModelError, done[0], uri, "other.py", "as it was in the run", model=str(other))
    weights = done[0].path / "best/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    refused(RunDirError, done[0], uri, "model.safetensors can't be read")


def test_what_a_loop_of_its_own_left_needs_its_module(
    tmp_path: Path, uri: str, keeps_nothing: str
) -> None:
    run, _ = best_run(tmp_path / "own", uri, label="species", model=OWN_LOOP)
    words = ("has no load_predictor to read", "model.bin", "as it was in the run")
    for model in (keeps_nothing, "models.mlp"):
        refused(ModelError, run, uri, model, *words, model=model)
    (run.path / "best/model.bin").write_bytes(b"no pickle")
    words = ("own_boosting.py: load_predictor doesn't read", "model.bin (UnpicklingError: ")
    refused(ModelError, run, uri, *words)


def test_there_is_no_ensemble_of_what_isn_t_kept(
    tmp_path: Path, uri: str, keeps_nothing: str
) -> None:
    runs = [confirmed({"learning_rate": 0.1, "max_depth": 3, "subsample": 0.5})]
    own, _ = best_run(tmp_path / "own", uri, label="species", model=OWN_LOOP)
    assert callable(read_confirmed(own, runs, load_model(OWN_LOOP)))
    (own.path / "confirm/trials/x-f1-s2/model.bin").unlink()
    with pytest.raises(NoEnsemble, match="the model that x-f1-s2 trained is missing"):
        read_confirmed(own, runs, load_model(OWN_LOOP))
    with pytest.raises(NoEnsemble, match="loop of its own and keeps nothing to predict with"):
        read_confirmed(own, runs, load_model(keeps_nothing))


def test_a_file_that_exists_or_can_t_be_is_refused_before_anything_is_predicted(
    tmp_path: Path,
) -> None:
    begun = RunDir.create(tmp_path / "begun", {"data": {}}, "0")
    (tmp_path / "there.csv").write_text("mine")
    for name, word in {
        "there.csv": "the file exists",
        "said.xlsx": ".parquet or .csv",
        "no/said.csv": "no folder",
    }.items():
        refused(
            DataError, begun, "sklearn:wine", f"--out {tmp_path / name}", word, out=tmp_path / name
        )
    assert (tmp_path / "there.csv").read_text() == "mine"


def test_the_command_shows_the_first_rows_and_the_metric(
    done: tuple[RunDir, Dataset],
    uri: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(*options: str) -> str:
        arguments = ["sieve", "predict", str(done[0].path), "--data", uri, *options]
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == 0
        return capsys.readouterr().out

    summary = json.loads(run("--json"))
    assert len(summary["preview"]) == 5
    shown = run()
    assert "90 rows predicted by the single winner of models.mlp" in shown
    assert f"accuracy {summary['metric']['value']:.4g}"[:13] in shown
    assert "--out FILE.csv" in shown
    assert "the ensemble of 3 models" in run("--ensemble")


def test_ray_isn_t_even_imported(done: tuple[RunDir, Dataset], uri: str) -> None:
    code = (
        "import sys; from pathlib import Path; from search.rundir import RunDir; "
        "from search.prediction import predict; predict(RunDir.open(Path(sys.argv[1])), "
        "sys.argv[2]); sys.exit('ray' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, done[0].path, uri], check=True)


def test_many_classes_are_shown_in_part() -> None:
    many = {str(number): number for number in range(20)}
    row = {"prediction": "19", **{f"probability_{name}": 0.05 for name in many}}
    summary = {"rows": 190, "num_models": 1, "model": "m", "task": "classification", "out": None}
    stream = io.StringIO()
    more = {"predictions": many, "metric": None, "preview": [row]}
    print_prediction(summary | more, Console(file=stream, width=200))
    assert "19 19, 18 18" in stream.getvalue()
    assert "and 12 more classes" in stream.getvalue()
