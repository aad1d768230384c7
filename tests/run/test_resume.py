"""Real signals to real processes: whatever ends a run, resuming it gives the same run."""

import json
import os
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from commands import (
    Command,
    events,
    kill,
    meanwhile,
    outcome,
    paced_model,
    small_study,
    trial_workers,
    wait_until,
)
from replay import replay

from search.data import DataOptions, load_dataset
from search.data.source import read_table
from search.events import Phase
from search.prediction import predict
from search.rundir import RunDir

pytestmark = pytest.mark.ray
EPOCH_S, REPORT_S = 0.1, 0.5
SETTINGS = ["--set", "coarse.classes=2", "--set", "checks.preflight=true"]
BEGUN = {"fine": 15, "confirm": 5}
"""Events after which a phase is under way."""


def study(folder: Path, epoch_seconds: float) -> list[str]:
    return [*small_study(paced_model(folder, epoch_seconds)), *SETTINGS]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, local_ray: None) -> Path:
    """A run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("undisturbed")
    done = Command(folder).ask("run", *study(folder, epoch_seconds=0.0), "--out", "run")
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.mark.parametrize("phase", ["coarse", "fine"])
def test_the_simulator_takes_the_decisions_that_were_taken_on_ray(
    undisturbed: Path, phase: Phase
) -> None:
    on_ray, simulated = replay(undisturbed, phase)
    assert simulated == on_ray


def test_a_smoke_rung_is_said_to_have_been_and_shows_nowhere_else(undisturbed: Path) -> None:
    journal = [
        json.loads(line) for line in (undisturbed / "journal.jsonl").read_text().splitlines()
    ]
    (said,) = [entry["message"] for entry in journal if entry["event"] == "smoke"]
    assert said.startswith("smoke rung on the first 2 classes: 0 of 6 configurations failed it")
    started = [each for each in events(undisturbed, "coarse") if each["event"] == "trial"]
    assert [(each["trial_id"], each["division"]) for each in started] == [
        (f"c{number:04d}", 0) for number in range(6)
    ]


@pytest.fixture
def run_dir(sieve: Command) -> Path:
    return sieve.folder / "run"


def is_under_way(run_dir: Path, phase: str) -> Callable[[], bool]:
    return lambda: len(events(run_dir, phase)) >= BEGUN[phase]


def trained_again(log: Path) -> dict[str, int]:
    """Return trials to the number of their epochs that were trained more than once."""
    epochs = Counter(log.read_text().splitlines())
    return Counter(line.rpartition(" ")[0] for line, count in epochs.items() if count > 1)


def cut_off_a_state(run_dir: Path, phase: str) -> str:
    """Damage the state of the trial that ran last; return how the log of epochs calls it."""
    happened = events(run_dir, phase)
    last = [each for each in happened if each["event"] in ("evaluation", "promotion")][-1]
    state = run_dir / phase / "trials" / last["trial_id"] / "state.pt"
    state.write_bytes(state.read_bytes()[:100])
    begun = {each["trial_id"]: each for each in happened if each["event"] == "trial"}
    trial = begun[last["trial_id"]]
    return f"{trial['seed']} {trial['config']['learning_rate']}"


def interrupted(done: subprocess.CompletedProcess[str], run_dir: Path) -> str:
    """Return what a run has said that a signal has ended."""
    assert done.returncode == 130
    last = done.stderr.splitlines()[-1]
    assert last == "sieve: interrupted; 'sieve resume' on the run directory goes on"
    assert json.loads((run_dir / "result.json").read_text())["status"] == "interrupted"
    assert (run_dir / "report.html").stat().st_size > 10_000
    return " ".join(done.stderr.split())


def kill_workers() -> None:
    for worker in trial_workers(os.getpid()):
        worker.kill()


@pytest.mark.usefixtures("local_ray")
def test_a_run_that_is_broken_off_again_and_again_ends_as_if_nothing_had_been(
    sieve: Command, run_dir: Path, undisturbed: Path
) -> None:
    """By the driver's death, by a signal and by a worker's death, and a state file is cut off.

    The death of a driver in coarse is among the tests of runs in an object storage.
    """
    known = {}
    first = sieve.start("run", *study(sieve.folder, EPOCH_S), "--out", "run")
    wait_until(is_under_way(run_dir, "fine"), "fine is under way")
    kill(first)
    known["coarse"], known["fine"] = events(run_dir, "coarse"), events(run_dir, "fine")
    damaged = cut_off_a_state(run_dir, "fine")

    in_confirm = is_under_way(run_dir, "confirm")
    with meanwhile(in_confirm, "confirm", lambda: os.kill(os.getpid(), signal.SIGINT)):
        second = sieve.ask("resume", "run")
    said = interrupted(second, run_dir)
    known["confirm"] = events(run_dir, "confirm")

    goes_on = lambda: events(run_dir, "confirm")[len(known["confirm"]) :]  # noqa: E731
    with meanwhile(goes_on, "confirm goes on", kill_workers):
        last = sieve.ask("resume", "run")
    assert last.returncode == 0, last.stderr
    for phase, before in known.items():
        assert events(run_dir, phase)[: len(before)] == before, "what was known has changed"
    assert json.loads((run_dir / "result.json").read_text())["status"] == "complete"
    assert outcome(run_dir) == outcome(undisturbed)

    lost = "state.pt is damaged: what the trial had trained is lost, it begins again"
    assert said.count(lost) == 1
    again = trained_again(sieve.folder / "epochs.log")
    assert again.pop(damaged) > 0
    assert len(again) <= 2, "a trial that had ended was trained again"
    assert max(again.values(), default=0) <= REPORT_S / EPOCH_S + 1, "more than an interval is lost"


def test_a_damaged_log_says_what_is_lost_and_how_to_go_on(
    sieve: Command, run_dir: Path, undisturbed: Path
) -> None:
    shutil.copytree(undisturbed, run_dir)
    path = run_dir / "confirm" / "events.jsonl"
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[:2], lines[2][:20], *lines[3:]]))
    refused = sieve.ask("resume", "run")
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert f"damaged at line 3: {len(lines) - 3} events from there on are lost" in refused.stderr
    assert "--repair" in refused.stderr
    repaired = sieve.ask("resume", "run", "--repair")
    assert repaired.returncode == 0, repaired.stderr
    assert path.with_name("events.jsonl.damaged").exists()
    assert outcome(run_dir) == outcome(undisturbed)


def test_resuming_a_finished_run_trains_nothing_and_needs_no_ray(
    sieve: Command, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ray.init", None)
    log = undisturbed.with_name("epochs.log")
    before, trained = outcome(undisturbed), log.read_text()
    again = sieve.ask("resume", undisturbed)
    assert again.returncode == 0, again.stderr
    assert log.read_text() == trained != ""
    assert outcome(undisturbed) == before


def test_a_loop_of_one_s_own_predicts_the_test_rows_as_the_run_reports(undisturbed: Path) -> None:
    run = RunDir.open(undisturbed)
    rows = load_dataset(DataOptions(uri="sklearn:wine")).splits.test
    pq.write_table(read_table("sklearn:wine").take(rows), undisturbed.parent / "test.parquet")
    trials = pq.read_table(undisturbed / "confirm" / "trials.parquet").to_pylist()
    best = run.read_json("best/model.json")["run"]
    (reported,) = [trial["test_metric"] for trial in trials if trial["trial_id"] == best]
    found = predict(run, str(undisturbed.parent / "test.parquet"))["metric"]
    assert found == {"name": "accuracy", "value": pytest.approx(reported), "rows": len(rows)}
    confirmed = [undisturbed / "confirm" / "trials" / trial["trial_id"] for trial in trials]
    assert [folder for folder in confirmed if not (folder / "model.bin").is_file()] == []
    assert not list((undisturbed / "coarse").rglob("model.bin"))
    assert not list(undisturbed.rglob("*.tmp"))
