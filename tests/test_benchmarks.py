"""The benchmarks' own arithmetic, and that a run of theirs is kept and not done again."""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.guide.honesty import confirms, rows
from benchmarks.peers import Bench
from benchmarks.real_table import rows_of
from benchmarks.search.__main__ import main, seen_curve
from benchmarks.search.methods import METHODS
from benchmarks.search.peer import Trace
from benchmarks.search.report import Pairs, mean_curve, read_missing
from benchmarks.search.suite import load_task
from benchmarks.search.trained import Trainings
from search.data import DataOptions, load_dataset
from search.data.phase_rows import RowPlan


def run_search(out: Path, methods: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict]:
    arguments = ["--methods", methods, "--tasks", "bloom:0", "--seeds", "2", "--full-runs", "6"]
    monkeypatch.setattr(sys, "argv", ["search", *arguments, "--workers", "4", "--out", str(out)])
    main()
    return json.loads((out / "regret.json").read_text())


def test_a_search_benchmark_keeps_what_it_has_done(tmp_path, monkeypatch):
    first = run_search(tmp_path, "random", monkeypatch)
    kept = tmp_path / "runs" / "random.jsonl"
    written = kept.read_text()
    both = run_search(tmp_path, "random,sieve", monkeypatch)
    assert kept.read_text() == written
    assert len(written.splitlines()) == 2
    assert both["random"] == first["random"]
    assert [len(both["sieve"]["bloom:0"][seed]) for seed in "01"] == [64, 64]


def test_a_search_benchmark_mixes_no_budgets(tmp_path, monkeypatch):
    run_search(tmp_path, "random", monkeypatch)
    arguments = ["--methods", "random", "--tasks", "bloom:0", "--seeds", "3", "--full-runs", "6"]
    monkeypatch.setattr(sys, "argv", ["search", *arguments, "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match="holds runs of 4 workers and 6 full runs; give another"):
        main()


def test_a_peer_that_cannot_be_run_is_named_with_the_reason(tmp_path, monkeypatch, capsys):
    def absent():
        raise ImportError("it isn't there")

    monkeypatch.setitem(METHODS, "absent", absent)
    assert run_search(tmp_path, "absent", monkeypatch) == {}
    run_search(tmp_path, "random", monkeypatch)  # what was missing stays so until it has been run
    assert read_missing(tmp_path) == {"absent": "it isn't there"}
    assert "absent is left out: it isn't there" in capsys.readouterr().err


def test_the_same_seed_is_the_same_search(tmp_path, monkeypatch):
    once = run_search(tmp_path / "a", "sieve", monkeypatch)
    assert run_search(tmp_path / "b", "sieve", monkeypatch) == once


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trainings:
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(600, 3))
    columns = {f"x{number}": column for number, column in enumerate(inputs.T)}
    classes = np.where(inputs.sum(1) > 0, "a", "b")
    pq.write_table(pa.table({**columns, "class": classes}), tmp_path / "letter.parquet")
    monkeypatch.setenv("SIEVE_DATA", str(tmp_path))
    return Trainings("letter")


def test_a_trained_curve_is_the_same_however_it_is_asked_for(trained):
    config = trained.default
    whole = trained.curve(config)[:3]
    assert len(whole) == 3
    assert whole[2] < whole[0] < trained.entropy == pytest.approx(np.log(2), abs=0.01)
    anew = Trainings("letter")
    again = anew.curve(config)
    assert [again[0], again[1], again[2]] == whole
    absent = next(d for d in trained.space.searched if not d.is_active(config))
    value = absent.from_unit(0.3)
    assert anew.curve({**config, absent.name: value}) is again


def test_methods_are_compared_on_the_runs_that_both_have_done():
    regrets = {
        "sieve": {"a": {"0": [0.4, 0.1], "1": [0.4, 0.3]}, "b": {"0": [0.0, 0.0]}},
        "peer": {"a": {"0": [0.5, 0.2]}},
    }
    pairs = Pairs.of(regrets, "sieve", "peer")
    assert pairs.mean(-1) == (0.1, 0.2)
    assert pairs.time_to_their_end() == 1.0
    assert mean_curve(regrets, "sieve") == pytest.approx([0.2, 0.1])


def test_a_peer_is_judged_on_the_rows_of_the_run_that_it_is_compared_with():
    request = {
        "data": "sklearn:wine",
        "label": "label",
        "model": "models.mlp",
        "full_samples": 5400,
        "evaluated_share": 0.5,
    }
    rows = {seed: Bench({**request, "seed": seed}).rows.search(114) for seed in (0, 3)}
    dataset = load_dataset(DataOptions("sklearn:wine", label="label", seed=3))
    own = RowPlan.of(dataset, seed=3).search(114)
    assert rows[3]["validation"].tolist() == own["validation"].tolist()
    assert set(rows[0]["validation"]) != set(rows[3]["validation"])


def test_a_peer_searches_with_sieve_s_longest_training_and_is_tested_with_the_proof_s():
    request = {"data": "sklearn:wine", "label": "label", "model": "models.mlp", "seed": 0}
    bench = Bench({**request, "full_samples": 5400, "proof_samples": 8100, "evaluated_share": 1.0})
    config = bench.model.defaults(bench.spec)[0].config
    for test, samples in ((False, 5400), (True, 8100)):
        job = bench.session(config, 0, test=test).job
        assert job.budget_samples == job.points[-1] == samples


def test_real_trainings_are_compared_by_the_time_to_the_loss_of_the_other():
    curve = [[10.0, 0.5], [40.0, 0.2]]
    ours = {"curve": curve, "test": {"mean": 0.9}, "search_seconds": 160.0}
    theirs = {"curve": [[20.0, 0.6], [80.0, 0.3]], "test": {"mean": 0.8}}
    best, other = rows_of("digits", {"sieve": {0: ours}, "syne_tune": {0: theirs}})
    assert best[:2] == ["digits", "sieve"]
    assert other[4:8] == ["80 s", "40 s", "0.25", "0.50"]
    assert other[-1].startswith("+0.1000")


def test_what_is_as_good_is_seldom_called_better():
    for figures in (confirms(40), rows(40)):
        shares = [float(row["better"].rstrip("%")) for row in figures.rows]
        assert sum(shares) / len(shares) <= 5.0
        assert figures.markdown().startswith("## Equal")


def test_by_the_lowest_loss_seen_the_regret_falls_with_every_better_training():
    task = load_task("bloom:0")
    trace = Trace()
    for at, loss in ((1.0, 0.9), (2.0, 0.95), (3.0, 0.5)):
        trace.see(at, loss)
    curve = seen_curve(task, trace, 64.0)
    assert curve[:3] == [task.regret(0.9), task.regret(0.9), task.regret(0.5)]
    assert curve[-1] == task.regret(0.5)
    assert seen_curve(task, Trace(), 64.0) == [1.0] * 64
