import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from trainings import CNN, MLP, Small, images, regression, table

from benchmarks.guide.bugs import BUGS, CONFIG, Net, OutputsTurnedInEvaluation, module_of
from benchmarks.guide.preflight import SOUND
from search.data import DataOptions, load_dataset
from search.data.batches import Resident
from search.data.phase_rows import RowPlan
from search.errors import ModelError
from search.findings import Finding
from search.task import ModelModule, load_model
from search.training.job import Rows
from search.training.preflight import _CHECKS, CHECKS, Bench, _checked, memory, preflight, ranges
from search.training.preflight.bench import OutOfTime
from search.training.preflight.ranges import Throughput, learning_rate_range
from search.training.preflight.repeats import check_determinism
from search.training.preflight.trials import check_input_baseline, check_overfit_batch


@pytest.fixture(scope="module")
def wine() -> Small:
    """Numbers of three classes, all of its rows."""
    dataset = load_dataset(DataOptions(uri="sklearn:wine"))
    rows = Rows.of(RowPlan.of(dataset, seed=0).search(1_000))
    return Small(dataset, Resident(dataset, "cpu"), rows)


class Clock:
    """Time that passes only where a test lets it."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def bench(model: ModelModule, small: Small, config=CONFIG, *, seconds=20.0, clock=None) -> Bench:
    clock = clock or Clock()
    return Bench(model, config, small.spec, small.data, small.rows, seconds, clock=clock)


def slow(kind: type[Net], clock: Clock, seconds: float = 1.0) -> ModelModule:
    """Return a model whose every call takes so many of the clock's seconds."""

    class Slow(kind):  # type: ignore[valid-type,misc]
        def forward(self, numeric):
            clock.now += seconds
            return super().forward(numeric)

    return module_of(Slow)


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
    "NoiseOfNumpy": "determinism",
    "ShuffledLabels": "input_baseline",
    "RateFarTooLow": "learning_rate",
    "RateFarTooHigh": "learning_rate",
}


def looked_up_to(check: str, looked: Bench) -> list[Finding]:
    """Carry the preflight out up to one of its checks."""
    names = CHECKS[: CHECKS.index(check) + 1]
    return _checked(looked, {name: _CHECKS[name] for name in names})


@pytest.fixture(scope="module")
def findings_on(wine: Small) -> Callable[[str], list[Finding]]:
    """What is found on a bug by its name, up to the check that catches it."""
    bugs = {bug.name: bug for bug in BUGS}

    @cache
    def find(name: str) -> list[Finding]:
        bug = bugs[name]
        small = shuffled(wine) if bug.shuffles_labels else wine
        return looked_up_to(CAUGHT_AS[name], bench(bug.model, small, bug.config))

    return find


@pytest.mark.parametrize("name", [bug.name for bug in BUGS])
def test_a_planted_bug_is_caught(name: str, findings_on: Callable[[str], list[Finding]]) -> None:
    status = "WARN" if name.startswith("Rate") else "FAIL"
    assert (CAUGHT_AS[name], status) in poor(findings_on(name))


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
def test_the_bundled_models_do_not_fail(
    model: ModelModule, small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "NUM_RATES", ranges.LEAST_RATES)
    data = small()
    for default in model.defaults(data.spec):
        looked = bench(model, data, default.config, clock=time.perf_counter)
        statuses = {status for _, status in poor(preflight(looked))}
        assert "FAIL" not in statuses


class ZeroHead(Net):
    def __init__(self, spec) -> None:
        super().__init__(spec)
        torch.nn.init.zeros_(self.last.weight)
        torch.nn.init.zeros_(self.last.bias)


def test_a_head_that_begins_with_zeros_is_sound(wine: Small) -> None:
    assert poor(preflight(bench(module_of(ZeroHead), wine))) == set()


@pytest.mark.parametrize("kind", [Net, ZeroHead])
@pytest.mark.parametrize("seconds", [1, 2, 4, 8, 12, 20, 40, 80, 160])
def test_a_sound_network_passes_however_slow_it_is_and_the_time_is_kept(
    kind: type[Net], seconds: int, wine: Small
) -> None:
    clock = Clock()
    found = preflight(bench(slow(kind, clock), wine, seconds=seconds, clock=clock))
    assert tuple(dict.fromkeys(each.check for each in found)) == CHECKS
    assert poor(found) == set()
    assert clock.now <= seconds + 2.0


@pytest.mark.parametrize("kind", [Net, OutputsTurnedInEvaluation])
def test_too_few_steps_on_a_batch_are_no_verdict(kind: type[Net], wine: Small) -> None:
    clock = Clock()
    with pytest.raises(OutOfTime, match="there was time for 8 steps only, too few to tell"):
        check_overfit_batch(bench(slow(kind, clock, 0.125), wine, seconds=8.0, clock=clock))


def test_too_few_steps_or_judged_rows_are_no_verdict_on_what_is_learnt(wine: Small) -> None:
    clock, small = Clock(), shuffled(wine)
    with pytest.raises(OutOfTime, match="there was time for 10 steps only, too few to tell"):
        check_input_baseline(bench(slow(Net, clock, 0.125), small, seconds=7.5, clock=clock))


def test_a_verdict_names_the_steps_that_were_made(
    findings_on: Callable[[str], list[Finding]],
) -> None:
    found = {each.check: each for each in findings_on("RateFarTooLow")}
    baseline, batch = found["input_baseline"], found["overfit_batch"]
    assert baseline.status == batch.status == "FAIL"
    assert baseline.message.startswith("after up to 480 steps the model is no better")
    assert "aren't learnt by heart in up to 300 steps at the learning rates 1e-09" in batch.message


def test_a_finding_says_that_the_time_was_too_short(wine: Small) -> None:
    clock = Clock()
    short = preflight(bench(slow(Net, clock), wine, seconds=60.0, clock=clock))
    found = {each.check: each for each in short}
    for check in ("overfit_batch", "input_baseline", "learning_rate"):
        assert "only, too few to tell" in found[check].message
    assert found["learning_rate"].interval is None


def test_only_targets_are_taken_of_all_training_rows(
    wine: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, inputs = [], Resident.inputs
    monkeypatch.setattr(
        Resident, "inputs", lambda data, rows: asked.append(len(rows)) or inputs(data, rows)
    )
    assert check_input_baseline(bench(module_of(Net), wine)) == []
    assert max(asked) < len(wine.rows.train)


@pytest.mark.parametrize(
    ("model", "small", "given"),
    [(MLP, table, {"dropout": 0.5, "input_noise": 0.4}), (CNN, images, {"flip": "horizontal"})],
)
def test_what_torch_draws_by_its_seed_is_no_chance(model: ModelModule, small, given) -> None:
    config = {**model.defaults(small().spec)[0].config, **given}
    assert check_determinism(bench(model, small(), config)) == []


def test_the_learning_rate_s_range_is_an_interval_that_holds_good_ones(wine: Small) -> None:
    found = learning_rate_range(bench(module_of(Net), wine))
    assert found is not None
    assert 1e-6 < found.low < 1e-2 < found.high <= 10.0
    assert found.low < found.high / 3


def test_with_time_for_too_few_rates_there_is_no_interval(wine: Small) -> None:
    clock = Clock()
    looked = bench(slow(Net, clock, 0.125), wine, clock=clock)
    with pytest.raises(OutOfTime, match="there was time for 16 steps only"):
        learning_rate_range(looked, 2.0)
    assert clock.now == 3 * 0.125


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


def test_without_time_nothing_is_done_and_all_checks_say_so(wine: Small) -> None:
    found = preflight(bench(module_of(Net), wine, seconds=0.0))
    assert [each.check for each in found] == list(CHECKS)
    assert {(each.status, each.message) for each in found} == {("PASS", "no time was left for it")}


def test_the_benchmark_s_sound_set_ups_are_twenty_different_ones() -> None:
    plan = RowPlan.of(load_dataset(DataOptions(uri="sklearn:digits")), seed=0)
    digits = [len(plan.search(size)["train"]) for size in SOUND["models.mlp"]["digits"]]
    others = [sizes for of in SOUND.values() for name, sizes in of.items() if name != "digits"]
    assert len(set(digits)) + sum(len(set(sizes)) for sizes in others) == 20


def test_a_batch_that_does_not_fit_is_told_with_its_size(
    wine: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    def throughput(bench: Bench, size: int) -> Throughput:
        if size >= 64:
            raise torch.OutOfMemoryError
        return Throughput(1000.0 * size, 0.001, peak_bytes=10_000_000 * size)

    monkeypatch.setattr(ranges, "_throughput", throughput)
    speeds, too_large = ranges.check_batch_size(bench(module_of(Net), wine))
    assert speeds.status == "PASS"
    assert "16: 16,000/s and 0.16 GB of GPU memory, 32: 32,000/s and 0.32 GB" in speeds.message
    assert (too_large.status, too_large.value) == ("WARN", 64.0)


def test_the_batch_sizes_worth_searching_end_where_the_speed_does(
    wine: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "_throughput", lambda bench, size: Throughput(min(size, 32), 0.001))
    (found,) = ranges.check_batch_size(bench(module_of(Net), wine))
    assert "up to 64, which is hardly faster" in found.message
    assert found.message.endswith("worth searching: 16, 32; memory isn't measured on a CPU")


def test_larger_batches_are_left_where_the_time_ends(wine: Small) -> None:
    clock = Clock()
    found = ranges.check_batch_size(bench(slow(Net, clock), wine, seconds=10.0, clock=clock))
    assert "up to the time's end: 16: " in found[0].message
    assert clock.now <= 5.0


def test_without_a_gpu_there_is_nothing_to_share(wine: Small) -> None:
    assert memory.check_gpu_memory(bench(module_of(Net), wine)) == []


def test_a_trial_s_share_of_a_gpu_has_room_to_spare_and_room_for_cuda_itself() -> None:
    assert memory.share_needed(10e9, 80e9) == pytest.approx((12.5e9 + 0.6e9) / 80e9)
    assert memory.share_needed(79e9, 80e9) == 1.0


def test_memory_is_measured_of_configurations_from_all_over_the_space(wine: Small) -> None:
    tried = list(memory._configs(bench(MLP, wine, MLP.defaults(wine.spec)[0].config)))
    assert len(tried) == 1 + memory.NUM_CONFIGS
    assert max(each["num_units"] for each in tried) == MLP.space(wine.spec)["num_units"].high
