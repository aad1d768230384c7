"""Both parts of the weakness report, from the files that trials have kept."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from search.data import DataOptions, Dataset, prepare_dataset
from search.data.features import Features
from search.data.phase_rows import RowPlan
from search.data.source import read_table
from search.events import Ending, Evaluation, Phase, Trial
from search.insight.compare import compare
from search.insight.evidence import Evidence
from search.insight.result import Confirmed, Proof
from search.rundir import RunDir
from search.training.predictions import PREDICTIONS, Predictions, save_predictions
from search.trials import Record

NUM_ROWS = 2_000


def table() -> pa.Table:
    """Three kinds of work; the label follows x."""
    random = np.random.default_rng(0)
    x = random.normal(size=NUM_ROWS)
    return pa.table(
        {
            "x": x,
            "work": random.choice(["private", "state", "own"], NUM_ROWS, p=[0.6, 0.2, 0.2]),
            "label": np.where(x > 0, "yes", "no"),
        }
    )


class Case:
    """A run directory in the making: trials whose models err in one slice, and by chance."""

    def __init__(self, folder: Path, source: pa.Table) -> None:
        self.source = source
        self.data: Dataset = prepare_dataset(source, DataOptions("", label="label"))
        self.rows = RowPlan.of(self.data, seed=0, num_fresh=2)
        self.run = RunDir.create(folder / "run", {}, "x")
        judged = self.rows.judged(10_000)
        features = Features.of(source, self.data.schema, judged)
        self.evidence = Evidence(self.run, self.data, features)

    def record(self, trial_id: str, phase: Phase, source: str, seed: int = 0) -> Record:
        trial = Trial(trial_id, phase, source, {"rate": 0.1}, seed, 100, (100,))
        evaluation = Evaluation(trial_id, 1, 100, 100, 0.3, 0.3, 0.9, 0.9, 0.1, 1.0)
        return Record(trial, [evaluation], ending=Ending(trial_id, "completed", "done"))

    def keep(self, record: Record, rows: np.ndarray, wrong: np.ndarray) -> None:
        """Keep predictions that are wrong where told, and nonsense on the test rows."""
        target = self.data.inputs["target"].to_numpy()
        said = np.where(wrong, 1 - target, target)[rows]
        outputs = np.log(np.where(np.eye(2)[said] > 0, 0.97, 0.03)).astype(np.float32)
        test = np.full((len(self.rows.test), 2), [9.0, -9.0], np.float32)
        parts = {
            "validation": Predictions(rows, outputs),
            "test": Predictions(self.rows.test, test),
        }
        trials = self.run.path / record.trial.phase / "trials"
        assert save_predictions(trials / record.trial.trial_id, parts)

    def confirmed(self, name: str, wrong: np.ndarray) -> Confirmed:
        records = []
        for seed, (_, validation) in enumerate(self.rows.fresh):
            record = self.record(f"x-{name}-s{seed}", "confirm", f"finalist:{name}", seed)
            self.keep(record, np.sort(validation), wrong)
            records.append(record)
        return Confirmed(name, tuple(records), 0)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path, table())


@pytest.fixture
def weak(case: Case) -> np.ndarray:
    """Who is hard: half of those that work on their own."""
    own = np.array(case.source["work"].to_pylist()) == "own"
    return own & (np.arange(NUM_ROWS) % 2 == 0)


def proof_of(winner: Confirmed, baseline: Confirmed) -> Proof:
    comparison = compare({}, {}, metric="accuracy", mode="max")
    return Proof(winner, baseline, (winner,), comparison)


def by_chance(share: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(NUM_ROWS) < share


def test_before_tuning_the_default_s_weak_slice_is_named(case: Case, weak: np.ndarray) -> None:
    record = case.record("c0000", "coarse", "default:a paper")
    case.keep(record, np.sort(case.rows.validation), weak | by_chance(0.05, 1))
    account = case.evidence.before(record)
    values = account.values
    assert (values["name"], values["source"]) == ("c0000", "a paper")
    assert values["num_rows"] == len(case.rows.validation)
    assert values["slices"][0]["words"] == "work = own"
    assert values["tuning_cant_fix"] is None
    assert "worst where work = own" in account.line
    case.run.write_json("before.json", values)


def test_after_tuning_the_same_slice_is_measured_again(case: Case, weak: np.ndarray) -> None:
    record = case.record("c0000", "coarse", "default:a paper")
    case.keep(record, np.sort(case.rows.validation), weak | by_chance(0.05, 1))
    before = case.evidence.before(record).values
    winner = case.confirmed("f1", by_chance(0.05, 2))
    baseline = case.confirmed("baseline", weak | by_chance(0.05, 2))
    case.run.write_json("before.json", before)
    values = case.evidence.after(
        proof_of(winner, baseline), case.run.read_json("before.json")
    ).values
    again = values["compared_before"][0]
    assert again["words"] == "work = own"
    assert again["winner"]["error"] < 0.15 < 0.4 < again["baseline"]["error"]
    assert again["winner"]["num_rows"] == again["baseline"]["num_rows"] > 20
    assert values["models"] == ("f1", "baseline")
    assert values["tuning_cant_fix"]["share"] == 1.0, "the winner's errors are the baseline's, too"


def test_only_validation_rows_are_looked_at(case: Case, weak: np.ndarray) -> None:
    winner, baseline = case.confirmed("f1", weak), case.confirmed("baseline", weak)
    values = case.evidence.after(proof_of(winner, baseline)).values
    rows = np.concatenate([validation for _, validation in case.rows.fresh])
    assert values["num_rows"] == len(np.unique(rows))
    named = {each["row"] for each in values["samples"]} | set(values["tuning_cant_fix"]["rows"])
    assert named <= set(rows.tolist())
    assert not named & set(case.rows.test.tolist())


def test_the_baseline_itself_may_be_the_winner(case: Case, weak: np.ndarray) -> None:
    finalist, baseline = case.confirmed("f1", weak), case.confirmed("baseline", weak)
    proof = replace(proof_of(finalist, baseline), winner=baseline)
    values = case.evidence.after(proof).values
    assert values["name"] == "baseline"
    assert set(values["models"]) == {"baseline", "f1"}
    assert values["compared"][0].keys() == {"words", "winner"}


def test_where_nothing_was_kept_it_says_so(case: Case) -> None:
    assert "reached a rung" in case.evidence.before(None).values["missing"]
    account = case.evidence.before(case.record("c0000", "coarse", "default:a paper"))
    assert account.values.keys() == {"missing"}
    assert "c0000 weren't kept" in account.line
    nobody = Confirmed("f1", (case.record("x-f1-s0", "confirm", "finalist:f1"),), 0)
    after = case.evidence.after(proof_of(nobody, Confirmed("baseline", (), 0)), {"missing": "x"})
    assert "f1 weren't kept" in after.values["missing"]


def test_a_damaged_file_is_as_good_as_none(case: Case, weak: np.ndarray) -> None:
    record = case.record("c0000", "coarse", "default:a paper")
    case.keep(record, np.sort(case.rows.validation), weak)
    path = case.run.path / "coarse" / "trials" / "c0000" / PREDICTIONS
    path.write_bytes(path.read_bytes()[:100])
    assert "c0000" in case.evidence.before(record).values["missing"]


def test_of_images_the_sheet_has_pictures(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (NUM_ROWS, 16)).astype(np.uint8)
    pixels[:, 0] = np.arange(NUM_ROWS) % 2
    column = pa.FixedSizeListArray.from_arrays(pa.array(pixels.ravel()), 16)
    case = Case(tmp_path, pa.table({"image": column, "label": np.arange(NUM_ROWS) % 2}))
    record = case.record("c0000", "coarse", "default:a paper")
    dark = pixels.mean(1) < 110
    case.keep(record, np.sort(case.rows.validation), dark)
    values = case.evidence.before(record).values
    assert all(each["picture"].startswith("data:image/png;base64,") for each in values["samples"])
    assert values["slices"][0]["words"].startswith("brightness of image ≤ 1")


def test_of_numbers_the_error_is_in_the_target_s_unit(tmp_path: Path) -> None:
    case = Case(tmp_path, read_table("sklearn:diabetes"))
    rows, target = case.rows.validation, case.data.inputs["target"].to_numpy()
    record = case.record("c0000", "coarse", "default:a paper")
    parts = {"validation": Predictions(rows, target[rows, None] + np.float32(0.5))}
    save_predictions(case.run.path / "coarse" / "trials" / "c0000", parts)
    values = case.evidence.before(record).values
    sd = case.data.preparation.target_scale[1]
    assert values["error"]["value"] == pytest.approx(0.5 * sd, rel=1e-4)
    first = values["samples"][0]
    assert first["said"] - first["truth"] == pytest.approx(0.5 * sd, rel=1e-4)


def test_where_coarse_had_no_default_the_proof_s_runs_tell(case: Case, weak: np.ndarray) -> None:
    winner = case.confirmed("f1", by_chance(0.05, 2))
    baseline = case.confirmed("baseline", weak | by_chance(0.05, 1))
    values = case.evidence.before_by(proof_of(winner, baseline)).values
    assert (values["name"], values["slices"][0]["words"]) == ("baseline", "work = own")
    nobody = proof_of(winner, Confirmed("baseline", (), 2))
    assert "completed" in case.evidence.before_by(nobody).values["missing"]
