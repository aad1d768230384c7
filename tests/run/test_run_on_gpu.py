"""Whole runs on a real GPU; without one they are skipped, with that reason."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from commands import Command, small_study

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here"),
]
GREEDY = Path(__file__).with_name("greedy_model.py")


def test_small_trials_share_a_gpu_and_the_run_is_complete(sieve: Command) -> None:
    options = [*small_study("models.mlp"), "--set", "resources.max_concurrent=4"]
    options += ["--set", "checks.preflight=true"]
    done = sieve.run("run", *options, "--out", "run")
    assert done.returncode == 0, done.stderr
    journal = (sieve.folder / "run" / "journal.jsonl").read_text()
    assert "trials share a GPU" in journal
    result = json.loads((sieve.folder / "run" / "result.json").read_text())
    assert result["status"] == "complete"
    assert result["trials"]["failed"] == 0


def test_trials_that_take_too_much_or_break_the_gpu_fail_alone(sieve: Command) -> None:
    options = [*small_study(GREEDY)]
    done = sieve.run("run", *options, "--out", "run")
    assert done.returncode == 0, done.stderr
    trials = pq.read_table(sieve.folder / "run" / "coarse" / "trials.parquet").to_pylist()
    kinds = {json.loads(each["config"])["kind"] for each in trials}
    assert kinds == {"sound", "greedy", "breaks"}
    for each in trials:
        kind = json.loads(each["config"])["kind"]
        assert (each["status"] == "failed") == (kind != "sound"), each
        if kind == "greedy":
            assert "out of memory" in each["reason"]
