import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from trainings import CNN, MLP, Small, images, regression, table

from benchmarks.guide.bugs import BUGS, CONFIG, Bug, Net, module_of
from search.data import DataOptions, load_dataset
from search.data.batches import Resident
from search.data.phase_rows import RowPlan
from search.errors import ModelError
from search.findings import Finding
from search.task import ModelModule, load_model
from search.training.job import Rows
from search.training.preflight import CHECKS, Bench, memory, preflight, ranges
from search.training.preflight.ranges import learning_rate_range


@pytest.fixture(scope="module")
def wine() -> Small:
    """Numbers of three classes, all of its rows."""
    dataset = load_dataset(DataOptions(uri="sklearn:wine"))
    rows = Rows.of(RowPlan.of(dataset, seed=0).search(1_000))
    return Small(dataset, Resident(dataset, "cpu"), rows)


def bench(model: ModelModule, small: Small, config=CONFIG) -> Bench:
    return Bench(model, config, small.spec, small.data, small.rows, seconds=20.0)


def poor(findings: list[Finding]) -> set[tuple[str, str]]:
    return {(each.check, each.status) for each in findings if each.status != "PASS"}


CAUGHT_AS = {
    "SoftmaxOutput": "output_activation",
    "ReluOutput": "output_activation",
    "SigmoidOutput": "output_activation",
    "OneOutputTooFew": "output_width",
    "Detached": "gradients",
    "UnusedLayer": "gradients",
    "InputIgnored": "gradients",
    "HugeWeights": "initial_loss",
    "AllAlike": "units_differ",
    "DeadUnits": "gradients",
    "DropoutInEvaluation": "eval_mode",
    "BatchStatisticsInEvaluation": "rows_apart",
    "FrozenStatistics": "input_baseline",
    "RowsMixed": "rows_apart",
    "UnscaledInput": "input_scale",
    "LogOfNegative": "initial_loss",
    "OutputsTurnedInEvaluation": "overfit_batch",
    "NoGradient": "gradients",
    "UnseededWeights": "determinism",
    "ShuffledLabels": "input_baseline",
    "RateFarTooLow": "learning_rate",
    "RateFarTooHigh": "learning_rate",
}


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_a_planted_bug_is_caught(bug: Bug, wine: Small) -> None:
    small = shuffled(wine) if bug.shuffles_labels else wine
    found = preflight(bench(bug.model, small, bug.config))
    status = "WARN" if bug.name.startswith("Rate") else "FAIL"
    assert (CAUGHT_AS[bug.name], status) in poor(found)


def shuffled(small: Small) -> Small:
    """Return the data with the labels of other rows."""
    data = Resident(small.dataset, "cpu")
    order = torch.randperm(len(data._target), generator=torch.Generator().manual_seed(0))
    data._target = data._target[order]
    return replace(small, data=data)


def test_a_file_that_is_sorted_by_its_target_or_a_column_passes(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    region, size = np.repeat(list("abcd"), 500), generator.normal(size=2_000)
    target = np.sort(size + 0.3 * generator.normal(size=2_000))
    columns = {"region": region, "size": size[np.argsort(size)], "target": target}
    pq.write_table(pa.table(columns), tmp_path / "sorted.parquet")
    dataset = load_dataset(DataOptions(uri=str(tmp_path / "sorted.parquet"), label="target"))
    rows = Rows.of(RowPlan.of(dataset, seed=0).search(2_000))
    small = Small(dataset, Resident(dataset, "cpu"), rows)
    config = MLP.defaults(small.spec)[0].config
    assert {status for _, status in poor(preflight(bench(MLP, small, config)))} <= {"WARN"}


def test_a_sound_network_passes_every_check(wine: Small) -> None:
    found = preflight(bench(module_of(Net), wine))
    assert poor(found) == set()
    assert tuple(dict.fromkeys(each.check for each in found)) == CHECKS


@pytest.mark.parametrize(("model", "small"), [(MLP, table), (CNN, images), (MLP, regression)])
def test_the_bundled_models_do_not_fail(model: ModelModule, small) -> None:
    data = small()
    for default in model.defaults(data.spec):
        statuses = {status for _, status in poor(preflight(bench(model, data, default.config)))}
        assert "FAIL" not in statuses


def test_a_head_that_begins_with_zeros_is_sound(wine: Small) -> None:
    def build(spec):
        net = Net(spec)
        torch.nn.init.zeros_(net.last.weight)
        torch.nn.init.zeros_(net.last.bias)
        return net

    assert poor(preflight(bench(module_of(build), wine))) == set()


def test_the_learning_rate_s_range_is_an_interval_that_holds_good_ones(wine: Small) -> None:
    found = learning_rate_range(bench(module_of(Net), wine))
    assert found is not None
    assert 1e-6 < found.low < 1e-2 < found.high <= 10.0
    assert found.low < found.high / 3


def test_a_model_that_raises_is_a_failure_in_a_line(wine: Small) -> None:
    class Broken(Net):
        def hidden(self, numeric):
            raise RuntimeError("no such thing\nmore of it")

    found = preflight(bench(module_of(Broken), wine))
    assert [(each.check, each.status) for each in found] == [("output_width", "FAIL")]
    assert found[0].message.endswith("RuntimeError: no such thing")


BOOSTING = Path(__file__).with_name("own_boosting.py")


def test_of_a_loop_of_its_own_what_it_keeps_is_looked_at(tmp_path: Path) -> None:
    small = table()
    without = tmp_path / "without.py"
    without.write_text(BOOSTING.read_text().replace("_predictor", "_other"))
    for path, status in ((BOOSTING, "PASS"), (without, "WARN")):
        model = load_model(str(path))
        looked = bench(model, small, model.defaults(small.spec)[0].config)
        found = {each.check: each.status for each in preflight(looked)}
        assert found == {"gradients": "PASS", "predictions": status}
    broken = tmp_path / "broken.py"
    broken.write_text(BOOSTING.read_text().replace("pickle.dumps", "str"))
    with pytest.raises(ModelError, match=r"broken\.py: save_predictor\(\) returned str"):
        preflight(replace(looked, model=load_model(str(broken))))


def test_the_time_is_kept(wine: Small) -> None:
    short = bench(module_of(Net), wine)
    short.seconds = 0.0
    found = {each.check: each for each in preflight(short)}
    assert set(found) == set(CHECKS)
    assert math.isfinite(found["learning_rate"].value or 0.0)


def test_a_batch_that_does_not_fit_is_told_with_its_size(
    wine: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    def speed(bench: Bench, size: int) -> float:
        if size >= 64:
            raise torch.OutOfMemoryError
        return 1000.0 * size

    monkeypatch.setattr(ranges, "_samples_per_second", speed)
    speeds, too_large = ranges.check_batch_size(bench(module_of(Net), wine))
    assert speeds.status == "PASS"
    assert (too_large.status, too_large.value) == ("WARN", 64.0)


def test_without_a_gpu_there_is_nothing_to_share(wine: Small) -> None:
    assert memory.check_gpu_memory(bench(module_of(Net), wine)) == []


def test_a_trial_s_share_of_a_gpu_has_room_to_spare_and_room_for_cuda_itself() -> None:
    assert memory.share_needed(10e9, 80e9) == pytest.approx((12.5e9 + 0.6e9) / 80e9)
    assert memory.share_needed(79e9, 80e9) == 1.0


def test_memory_is_measured_of_configurations_from_all_over_the_space(wine: Small) -> None:
    tried = list(memory._configs(bench(MLP, wine, MLP.defaults(wine.spec)[0].config)))
    assert len(tried) == 1 + memory.NUM_CONFIGS
    assert max(each["num_units"] for each in tried) == MLP.space(wine.spec)["num_units"].high
