"""A proof whose runs are shared by two processes each, through Ray Train."""

import json
from itertools import pairwise

import pyarrow.parquet as pq
import pytest
from commands import Command, small_study

pytestmark = pytest.mark.ray


def test_the_proof_s_runs_are_shared_by_two_processes(sieve: Command) -> None:
    study = small_study("models.mlp")
    study[study.index("resources.max_concurrent=1")] = "resources.max_concurrent=2"
    study += ["--set", "confirm.workers_per_run=2", "--set", "coarse.num_trials=4"]
    done = sieve.run("run", *study, "--set", "fine.num_trials=2", "--out", "run")
    assert done.returncode == 0, done.stderr
    run = sieve.folder / "run"
    result = json.loads((run / "result.json").read_text())
    assert result["status"] == "complete"
    assert (result["trials"]["confirm"], result["trials"]["failed"]) == (4, 0)
    trials = pq.read_table(run / "confirm" / "trials.parquet").to_pylist()
    assert {each["status"] for each in trials} == {"completed"}
    ends = sorted((each["started_at"], each["ended_at"]) for each in trials)
    assert all(end <= start + 1 for (_, end), (start, _) in pairwise(ends)), (
        "two processes have room for one run at a time"
    )
    assert (run / "best" / "model.safetensors").exists()


def test_more_processes_than_there_is_room_for_are_refused(sieve: Command) -> None:
    done = sieve.run("run", *small_study(), "--set", "confirm.workers_per_run=9", "--out", "run")
    assert done.returncode == 2
    assert "'confirm.workers_per_run' = 9: there is room for 1 at a time" in done.stderr
