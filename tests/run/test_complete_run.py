"""One whole run, and all that it leaves behind."""

import json
import re
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from commands import Command
from safetensors.torch import load_file
from sklearn.datasets import load_breast_cancer
from tensorboardX.proto.event_pb2 import Event

from search.data import DataOptions, load_dataset
from search.data.prepare import Preparation
from search.data.source import read_table
from search.insight.curves import MIN_EVALUATIONS
from search.task import Spec, load_model
from search.training.predictions import read_predictions
from search.training.pruning import to_format

pytestmark = pytest.mark.ray
SETTINGS = {
    "budget.full_epochs": 6,
    "coarse.num_trials": 12,
    "fine.num_trials": 6,
    "confirm.num_finalists": 2,
    "confirm.num_seeds": 2,
    "space.num_units.high": 64,
    "space.pruning_rate.value": 0.5,
}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, local_ray: None) -> tuple[Path, list[dict]]:
    """Return a finished run's folder and the lines that it wrote for programs."""
    folder = tmp_path_factory.mktemp("complete")
    settings = [part for k, v in SETTINGS.items() for part in ("--set", f"{k}={v}")]
    options = ["--data", "sklearn:breast_cancer", "--out", "run", "--json"]
    ended = Command(folder).ask("run", *options, *settings)
    assert ended.returncode == 0, ended.stderr
    return folder / "run", [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.fixture(scope="module")
def result(done: tuple[Path, list[dict]]) -> dict:
    return json.loads((done[0] / "result.json").read_text())


def test_the_result_holds_what_programs_rely_on(result: dict) -> None:
    assert result["status"] == "complete"
    assert (result["metric"], result["mode"]) == ("accuracy", "max")
    for name in ("winner", "baseline"):
        assert result[name]["config"]
        assert result[name]["validation"].keys() == {"mean", "sd", "n"}
        assert result[name]["test"].keys() == {"mean", "sd", "n", "per_seed"}
        assert len(result[name]["test"]["per_seed"]) == result[name]["test"]["n"] == 2
        assert 0.5 < result[name]["test"]["mean"] <= 1
    assert len(result["finalists"]) == 2
    assert result["baseline"]["source"]
    low, high = result["comparison"]["ci95"]
    assert low <= result["comparison"]["difference"] <= high
    assert result["comparison"]["verdict"] in ("better", "tie", "worse")
    assert result["trials"].keys() == {"coarse", "fine", "confirm", "stopped", "failed"}
    assert (result["trials"]["coarse"], result["trials"]["confirm"]) == (12, 6)
    for phase in ("total", "coarse", "fine", "confirm"):
        cost = result["cost"][phase]
        assert cost["samples_seen"] > 0
        assert cost["trial_seconds"] > 0
        assert cost["wall_seconds"] > 0
        assert cost["full_run_equivalents"] > 0


def test_the_result_s_keys_are_documented(result: dict) -> None:
    text = Path(__file__).parents[2].joinpath("docs", "results.md").read_text()
    section = text.split("## result.json")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| (`.*?`) \| (.*) \|$", section, re.M))
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(named) == sorted(result)
    for key in ("winner", "baseline", "comparison", "ensemble"):
        told = re.findall(r"`(\w+)`", rows[f"`{key}`"] + rows["`winner`"])
        assert set(result[key]) <= {*told, "failed"}, key
    told = re.findall(r"`(\w+)`", rows["`cost`"])
    assert set(result["cost"]["fine"]) <= set(told)


def test_the_cost_says_how_much_of_the_slots_time_was_training(result: dict) -> None:
    coarse = result["cost"]["coarse"]
    assert 0 < coarse["training_share"] <= 1
    assert coarse["trial_start_seconds"] > 0


def test_the_folder_holds_each_stage_s_files(done: tuple[Path, list[dict]]) -> None:
    run = done[0]
    names = ["study.json", "provenance.json", "preflight.json", "plan.json", "subsample.json"]
    names += ["space/0.json", "space/1.json", "journal.jsonl", "report.html", "best/config.yaml"]
    names += ["best/model.safetensors", "best/preparation.json", "best/ensemble.json"]
    names += ["trust.json"]
    names += ["weakness/before.json", "weakness/after.json"]
    names += [
        f"{p}/{f}.parquet" for p in ("coarse", "fine", "confirm") for f in ("trials", "curves")
    ]
    assert [name for name in names if not (run / name).is_file()] == []
    assert not list(run.rglob("*.tmp"))
    assert not list(run.rglob("state.pt")), "a finished run keeps no trial's state"


def test_tensorboard_shows_the_numbers_of_each_evaluation(done: tuple[Path, list[dict]]) -> None:
    logs = list((done[0] / "ray").rglob("events.out.tfevents.*"))
    shown = {tag.removeprefix("ray/tune/") for log in logs for tag in _tags(log)}
    assert {"train_loss", "validation_loss", "validation_metric", "probes/gradient_norm"} <= shown
    assert "_hparams_/session_start_info" in shown, "the configurations can be compared"
    assert not shown & {"time_total_s", "iterations_since_restore"}, "of interest to Ray alone"


def _tags(log: Path) -> Iterator[str]:
    """Yield the names of the values in a file of length-prefixed events."""
    read, at = log.read_bytes(), 0
    while at < len(read):
        (length,) = struct.unpack_from("<Q", read, at)
        begins = at + 12  # the length has a checksum, and so has the event
        event = Event.FromString(read[begins : begins + length])
        yield from (each.tag for each in event.summary.value)
        at = begins + length + 4


def test_coarse_has_rungs_and_begins_with_the_published_defaults(
    done: tuple[Path, list[dict]],
) -> None:
    plan = json.loads((done[0] / "plan.json").read_text())
    assert len(plan["rungs"]) >= 4
    assert all(isinstance(rung, int) for rung in plan["rungs"])
    trials = pq.read_table(done[0] / "coarse" / "trials.parquet").to_pylist()
    kinds = [trial["source"].partition(":")[0] for trial in trials]
    defaults = kinds.count("default")
    assert kinds[:defaults] == ["default"] * defaults
    assert set(kinds[defaults:]) <= {"sobol", "around"}
    assert {trial["status"] for trial in trials} <= {"completed", "stopped", "failed"}
    assert all(trial["reason"] for trial in trials)


def test_only_confirm_has_read_the_test_rows(done: tuple[Path, list[dict]]) -> None:
    for phase in ("coarse", "fine"):
        trials = pq.read_table(done[0] / phase / "trials.parquet")
        assert trials["test_metric"].null_count == len(trials)
    confirm = pq.read_table(done[0] / "confirm" / "trials.parquet")
    assert confirm["test_metric"].null_count == 0
    assert set(confirm["sparsity"].to_pylist()) != {0.0}, "pruning shows in the sparsity"


def test_on_few_rows_each_seed_of_the_proof_has_its_own_validation_rows(
    done: tuple[Path, list[dict]],
) -> None:
    for phase, expected in (("coarse", {0}), ("fine", {0}), ("confirm", {1, 2})):
        trials = pq.read_table(done[0] / phase / "trials.parquet")
        assert set(trials["division"].to_pylist()) == expected
    journal = (done[0] / "journal.jsonl").read_text()
    assert "judged on" in journal


def test_curves_have_a_verdict_with_its_evidence(done: tuple[Path, list[dict]]) -> None:
    for phase in ("coarse", "fine", "confirm"):
        curves = pq.read_table(done[0] / phase / "curves.parquet")
        assert min(curves["update_ratio"].to_pylist()) > 0
        number = Counter(curves["trial_id"].to_pylist())
        for trial in pq.read_table(done[0] / phase / "trials.parquet").to_pylist():
            has_a_shape = number[trial["trial_id"]] >= MIN_EVALUATIONS
            assert trial["verdict"] or not has_a_shape
            assert bool(trial["evidence"]) == bool(trial["verdict"])


def test_what_the_proof_s_runs_say_is_kept(done: tuple[Path, list[dict]]) -> None:
    for trial in pq.read_table(done[0] / "confirm" / "trials.parquet").to_pylist():
        said = read_predictions(done[0] / "confirm" / "trials" / trial["trial_id"])
        assert {part: len(each.rows) for part, each in said.items()}.keys() == {
            "test",
            "validation",
        }
    coarse = pq.read_table(done[0] / "coarse" / "trials.parquet").to_pylist()
    shown = [t["trial_id"] for t in coarse if t["source"].startswith("default:")]
    found = [read_predictions(done[0] / "coarse" / "trials" / trial_id) for trial_id in shown]
    assert all(set(said) == {"validation"} for said in found)


def test_each_search_phase_says_how_far_it_can_be_trusted(done: tuple[Path, list[dict]]) -> None:
    """Too few trials go on from coarse's rungs here; its five best are trained again in fine."""
    measured = json.loads((done[0] / "trust.json").read_text())
    assert {each["between"] for each in measured} <= {"rungs", "rows"}
    lowest = next(each for each in measured if each["between"] == "rows")
    assert lowest["correlation"]["num_pairs"] == 5
    assert lowest["rows"] == json.loads((done[0] / "plan.json").read_text())["coarse_rows"]
    journal = [json.loads(line) for line in (done[0] / "journal.jsonl").read_text().splitlines()]
    said = {entry["phase"]: entry["message"] for entry in journal if entry["event"] == "trust"}
    assert said.keys() == {"coarse", "fine"}
    assert "rank correlation" in said["fine"]


def test_every_move_of_the_space_has_its_evidence(done: tuple[Path, list[dict]]) -> None:
    space = json.loads((done[0] / "space" / "1.json").read_text())
    assert all(each["why"] for each in space["evidence"])
    changes = {each["change"] for each in space["evidence"]}
    assert "reopened" in changes
    journal = [json.loads(line) for line in (done[0] / "journal.jsonl").read_text().splitlines()]
    said = {entry["message"] for entry in journal if entry["phase"] == "narrow"}
    for each in space["evidence"]:
        assert f"{each['dimension']}: {each['why']}" in said


def test_weaknesses_are_known_before_tuning_and_after(
    done: tuple[Path, list[dict]], result: dict
) -> None:
    before, after = (
        json.loads((done[0] / "weakness" / f"{side}.json").read_text())
        for side in ("before", "after")
    )
    # The study's space holds no default, so that coarse had none: the proof's runs tell.
    assert (before["name"], before["source"]) == ("baseline", result["baseline"]["source"])
    assert before["error"]["value"] == pytest.approx(1 - result["baseline"]["validation"]["mean"])
    assert after["name"] == result["winner"]["trial_id"]
    assert after["error"]["value"] == pytest.approx(1 - result["winner"]["validation"]["mean"])
    assert set(after["models"]) == {"baseline", *(f["trial_id"] for f in result["finalists"])}
    assert len(after["samples"]) == 24
    test_rows = set(load_dataset(DataOptions(uri="sklearn:breast_cancer")).splits.test.tolist())
    for part in (before, after):
        assert not test_rows & {sample["row"] for sample in part["samples"]}
    journal = (done[0] / "journal.jsonl").read_text()
    assert "before tuning, the published default" in journal
    assert "after tuning, the winner" in journal


def test_the_best_model_predicts_from_its_folder_alone(
    done: tuple[Path, list[dict]], result: dict
) -> None:
    best = done[0] / "best"
    about = json.loads((best / "model.json").read_text())
    config = yaml.safe_load((best / "config.yaml").read_text())
    assert config == about["config"] == result["winner"]["config"]
    preparation = Preparation.from_json(json.loads((best / "preparation.json").read_text()))
    model = load_model(about["model"])
    assert model.build is not None
    network = model.build(config, Spec.from_json(about["spec"])).eval()
    network.load_state_dict(load_file(best / "model.safetensors"))
    to_format(network, torch.channels_last)

    inputs = preparation.transform(read_table("sklearn:breast_cancer"))
    numeric = torch.tensor(np.stack(inputs["numeric"].to_pylist()), dtype=torch.float32)
    with torch.no_grad():
        predicted = network(numeric).argmax(dim=1).numpy()
    truth = load_breast_cancer().target
    rows = load_dataset(DataOptions(uri="sklearn:breast_cancer")).splits.test
    accuracy = float((predicted[rows] == truth[rows]).mean())
    assert min(abs(accuracy - each) for each in result["winner"]["test"]["per_seed"]) < 1e-9


def test_an_ensemble_of_the_proof_s_runs_is_offered(
    done: tuple[Path, list[dict]], result: dict
) -> None:
    run, ensemble = done[0], result["ensemble"]
    members = ensemble["members"]
    assert len(members) >= 2
    assert sum(member["weight"] for member in members) == pytest.approx(1.0)
    assert ensemble["cost_factor"] >= 1.0
    low, high = ensemble["comparison"]["ci95"]
    assert low <= ensemble["comparison"]["difference"] <= high
    assert ensemble["comparison"]["verdict"] in ("better", "tie", "worse")
    files = [run / "best" / "ensemble" / f"{each['trial_id']}.safetensors" for each in members]
    assert sum(file.stat().st_size for file in files) == ensemble["weights_bytes"]
    journal = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    assert ensemble["statement"] in [entry["message"] for entry in journal]
    assert "Ensemble: offered, not forced" in (run / "report.html").read_text()


def test_predicting_the_test_rows_gives_what_the_run_reports(
    done: tuple[Path, list[dict]], result: dict
) -> None:
    run = done[0]
    rows = load_dataset(DataOptions(uri="sklearn:breast_cancer")).splits.test
    pq.write_table(read_table("sklearn:breast_cancer").take(rows), run.parent / "test.parquet")
    best = json.loads((run / "best" / "model.json").read_text())["run"]
    trials = pq.read_table(run / "confirm" / "trials.parquet").to_pylist()
    (single,) = [trial["test_metric"] for trial in trials if trial["trial_id"] == best]
    assert single in result["winner"]["test"]["per_seed"]
    together = result["ensemble"]["test"]["metric"]
    for options, wanted in (((), single), (("--ensemble",), together)):
        data = ("--data", "test.parquet", "--json")
        ended = Command(run.parent).ask("predict", "run", *data, *options)
        assert ended.returncode == 0, ended.stderr
        metric = json.loads(ended.stdout)["metric"]
        assert metric == {"name": "accuracy", "value": wanted, "rows": len(rows)}


def test_programs_get_a_line_for_each_event(done: tuple[Path, list[dict]], result: dict) -> None:
    lines = done[1]
    assert {"trial_started", "trial_ended", "result"} <= {line["event"] for line in lines}
    assert lines[-1]["winner"] == result["winner"]


def test_the_run_can_be_simulated_with_other_workers(done: tuple[Path, list[dict]]) -> None:
    def simulated(*options: object) -> list[dict]:
        ended = Command(done[0].parent).ask("simulate", "run", "--repeats", 2, "--json", *options)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    first, second = simulated("--workers", 1)
    assert [p["num_trials"] for p in first["phases"]] == [12, 6, 6]
    assert first["phases"] != second["phases"]
    assert first["phases"] == simulated("--workers", 1)[0]["phases"]
    assert simulated("--workers", 4)[0]["wall_seconds"] < 0.6 * first["wall_seconds"]
    assert simulated("--failures", 0.5)[0]["phases"][0]["num_failed"] > 0


def test_every_kind_of_trial_is_explained_from_the_files_alone(
    done: tuple[Path, list[dict]], result: dict
) -> None:
    command = Command(done[0].parent)
    told = command.ask("why", "run")
    assert told.returncode == 0, told.stderr
    assert "the winner" in told.stdout.splitlines()[0]
    assert told.stdout.count("not taken: ") == 2
    trials = pq.read_table(done[0] / "coarse" / "trials.parquet").to_pylist()
    waited = next(t for t in trials if (t["status"], t["source"]) == ("stopped", "sobol"))
    answer = json.loads(command.ask("why", "run", waited["trial_id"], "--json").stdout)
    steps = answer["explanation"]["steps"]
    assert (steps[-1]["kind"], steps[-1]["reason"]) == ("stopped", waited["reason"])
    judged = [step for step in steps if step["kind"] in ("kept", "paused")]
    assert judged
    assert all(1 <= step["rank"] <= step["of"] for step in judged)
    assert answer["explanation"]["outcome"].startswith("no finalist: ")
    refused = command.ask("why", "run", "c3")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "did you mean 'c0003'?" in refused.stderr


def test_the_report_opens_offline(done: tuple[Path, list[dict]]) -> None:
    page = (done[0] / "report.html").read_text()
    assert "<script src=" not in page
    assert re.findall(r"""(?:src|href)=["']https?:""", page.partition("<body")[0]) == []


def test_each_slot_has_one_process_for_all_phases(done: tuple[Path, list[dict]]) -> None:
    plan = json.loads((done[0] / "plan.json").read_text())
    states = [json.loads(path.read_text()) for path in done[0].glob("ray/*/experiment_state-*")]
    last = [
        json.loads(runtime)["last_result"] for each in states for _, runtime in each["trial_data"]
    ]
    reported = [result["pid"] for result in last if "pid" in result]
    assert len(reported) > 10
    assert len(set(reported)) == plan["slots"]
