"""Wrong use: one line that names what was given and what was meant, exit code 2, nothing lost."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray
from commands import Command

Refused = Callable[..., str]

MODEL = """
import torch
from search.space import Space, training_dimensions

def space(spec):
    return Space([*training_dimensions()])

def defaults(spec):
    return [{"source": "nobody", "optimizer": "adam", "learning_rate_adam": 1e-3,
             "schedule": "constant", "batch_size": 32, "dropout": 0.0, "weight_decay": 1e-6,
             "l1": 0.0, "gradient_clip": 0.0, "pruning_rate": 0.0}]

def build(config, spec):
    return torch.nn.Linear(spec.num_numeric, spec.num_outputs)
"""


@pytest.fixture
def refused(tmp_path: Path) -> Refused:
    """Return a function that runs ``sieve``, sees it refuse, and returns the line."""

    def run(*arguments: object, before: str = "") -> str:
        done = Command(tmp_path).ask(*arguments)
        assert done.returncode == 2
        lines = [line for line in done.stderr.splitlines() if line.startswith("sieve: ")]
        assert len(lines) == 1, done.stderr
        assert "Traceback" not in done.stderr
        assert before in done.stderr.partition("sieve: ")[0]
        return lines[0]

    return run


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., str]:
    """Return a function that writes a small table with changed columns."""
    generator = np.random.default_rng(0)
    columns = {
        "size": generator.normal(size=90),
        "weight": generator.normal(size=90),
        "kind": ["a", "b", "c"] * 30,
    }

    def write(name: str = "table.csv", **changed: object) -> str:
        frame = pd.DataFrame({k: v for k, v in (columns | changed).items() if v is not None})
        path = tmp_path / name
        frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)
        return str(path)

    return write


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "coarse.num_trial=3"], ["no study key 'coarse.num_trial'", "'num_trials'"]),
        (["--set", "fin.num_trials=3"], ["no study key 'fin'", "'fine'"]),
        (["--set", "coarse.classes=10"], ["'coarse.classes' = 10", "there are 10"]),
        (["--set", "coarse.classes=1"], ["'coarse.classes' = 1"]),
        (["--set", "coarse.num_trials"], ["coarse.num_trials"]),
        (["--set", "coarse.num_trials=none_such"], ["coarse.num_trials", "none_such"]),
        (["--time-budget", "soon"], ["'soon'", "90s, 20m"]),
        (["--set", "metric=acuracy"], ["metric 'acuracy'", "'accuracy'"]),
        (["--set", "space.num_layer.low=2"], ["num_layer", "'num_layers'"]),
        (["--data", "sklearn:digit"], ["digit", "digits"]),
        (["--set", "data.uri="], ["data.uri"]),
        (
            ["--set", "data.image_shape=[1, 8, 8]", "--data", "sklearn:wine"],
            ["no column holds images"],
        ),
        (["--data", "nowhere.parquet"], ["nowhere.parquet"]),
        (["--data", "nowhere.parquet", "--label", "y"], ["nowhere.parquet"]),
        (["--model", "models.mpl"], ["models.mpl"]),
        (["--model", "nowhere.py"], ["nowhere.py"]),
        (["--modle", "models.mlp"], ["--modle"]),
        (["--model", "models.xgb"], ["models.xgb is for tables; for images take models.cnn"]),
        (
            ["--data", "sklearn:wine", "--model", "models.xgb", "--set", "fine.searcher=grid"],
            ["fine.searcher", "at most 3 searched dimensions, and here are 10 (learning_rate, "],
        ),
        (["--set", "coarse.searcher=gird"], ["coarse.searcher", "'grid'"]),
        (["study.yaml"], ["study.yaml"]),
    ],
)
def test_what_is_wrong_in_the_arguments_is_named(
    refused: Refused, tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    line = refused("run", *arguments, "--out", "run")
    assert [word for word in words if word not in line] == []
    assert not (tmp_path / "run" / "plan.json").exists()


def test_an_unknown_key_in_the_study_file_is_named(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("data: sklearn:wine\ntime_buget: 20m\n")
    line = refused("run", "study.yaml")
    assert "no study key 'time_buget'" in line
    assert "'time_budget'" in line


def test_a_study_file_that_is_no_yaml_is_named(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("data: [")
    assert "study.yaml" in refused("run", "study.yaml")


@pytest.mark.parametrize("name", ["empty.csv", "empty.parquet"])
def test_an_empty_file_is_named(refused: Refused, tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    line = refused("run", "--data", name, "--label", "kind")
    assert name in line
    assert "empty" in line


def test_a_truncated_parquet_file_is_named(
    refused: Refused, table: Callable[..., str], tmp_path: Path
) -> None:
    whole = Path(table("whole.parquet")).read_bytes()
    (tmp_path / "half.parquet").write_bytes(whole[: len(whole) // 2])
    assert "half.parquet" in refused("run", "--data", "half.parquet", "--label", "kind")


def test_a_missing_label_column_is_named(refused: Refused, table: Callable[..., str]) -> None:
    line = refused("run", "--data", table(), "--label", "knd")
    assert "'knd'" in line
    assert "'kind'" in line


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"kind": ["a", "b", None] * 30}, ["label 'kind'", "30", "missing"]),
        ({"kind": ["a"] * 90}, ["label 'kind'", "one value only"]),
        ({"kind": ["a", "b"] * 44 + ["rare", "rare"]}, ["'rare'", "2"]),
        ({"note": [f"customer {i} said this and that" for i in range(90)]}, ["'note'", "text"]),
    ],
)
def test_what_is_wrong_in_the_data_is_named(
    refused: Refused, table: Callable[..., str], changed: dict[str, object], words: list[str]
) -> None:
    line = refused("run", "--data", table(**changed), "--label", "kind")
    assert [word for word in words if word not in line] == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("def build", "def make"), ["build", "train"]),
        (("def space", "def the_space"), ["space"]),
        (
            ("return torch.nn.Linear", 'raise ZeroDivisionError("no")\n    return torch.nn.Linear'),
            ["build", "ZeroDivisionError: no"],
        ),
        (("spec.num_outputs)", "spec.num_outputs + 1)"), ["4", "3"]),
        (("return torch.nn.Linear(", "return int, ("), ["build()", "tuple"]),
        (('"optimizer": "adam"', '"optimiser": "adam"'), ["optimiser"]),
        (("import torch", "import troch"), ["troch"]),
    ],
)
def test_what_is_wrong_with_a_model_is_named(
    refused: Refused,
    table: Callable[..., str],
    tmp_path: Path,
    change: tuple[str, str],
    words: list[str],
) -> None:
    text = MODEL.replace(*change)
    assert text != MODEL
    (tmp_path / "mymodel.py").write_text(text)
    line = refused("run", "--data", table(), "--label", "kind", "--model", "mymodel.py")
    assert "mymodel.py" in line
    assert [word for word in words if word not in line] == []


def test_a_folder_with_other_files_is_no_place_for_a_run(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("mine")
    line = refused("run", "--data", "sklearn:wine", "--out", "out")
    assert "holds other files" in line
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.tex"]


def test_a_refused_study_leaves_its_folder_free_for_the_corrected_one(
    refused: Refused, tmp_path: Path
) -> None:
    refused("run", "--data", "sklearn:wine", "--model", "nowhere.py", "--out", "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "mine").mkdir()
    refused("run", "--data", "sklearn:wine", "--label", "nothing", "--out", "mine")
    refused("run", "--data", "sklearn:wine", "--set", "metric=rmse", "--out", "mine")


def test_a_folder_that_can_t_be_written_is_named(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "file" in refused("run", "--data", "sklearn:wine", "--out", "file")
    if os.geteuid() != 0:
        (tmp_path / "locked").mkdir(mode=0o500)
        assert "locked" in refused("run", "--data", "sklearn:wine", "--out", "locked/run")


def test_a_folder_that_is_no_run_can_t_be_resumed(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    assert "no run directory" in refused("resume", "photos")
    assert "no folder" in refused("resume", "nowhere")
    assert "photos" in refused("report", "photos")
    assert "no run directory" in refused("why", "photos")
    assert "no folder" in refused("why", "nowhere", "c0001")
    assert "no run directory" in refused("predict", "photos", "--data", "sklearn:wine")
    assert "--data" in refused("predict", "photos")


def test_a_trial_that_isn_t_there_is_named(refused: Refused, driven: Path) -> None:
    assert "no trial 'c17'; did you mean 'c0017'?" in refused("why", driven, "c17")


@pytest.mark.ray
@pytest.mark.usefixtures("local_ray")
def test_a_time_budget_too_small_for_one_trial_is_refused(refused: Refused, tmp_path: Path) -> None:
    options = ["--data", "sklearn:wine", "--set", "checks.preflight=false"]
    line = refused("run", *options, "--time-budget", "4s", "--out", "out")
    assert "time budget 4 s is too small" in line
    assert "give more time" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.ray
@pytest.mark.usefixtures("local_ray")
def test_an_address_that_is_refused_leaves_a_ray_that_the_process_has_alone(
    refused: Refused,
) -> None:
    line = refused("check-cluster", "--address", "head.example")
    assert "--address head.example has no port" in line
    assert ray.is_initialized()


def test_a_column_without_any_value_is_left_out_with_a_warning(
    refused: Refused, table: Callable[..., str]
) -> None:
    path = table("nan.parquet")
    holed = pq.read_table(path).append_column("hole", pa.nulls(90, pa.float64()))
    pq.write_table(holed, path)
    options = ["--data", path, "--label", "kind", "--model", "nowhere.py"]
    refused("run", *options, before="column 'hole' is missing in every row: left out")
