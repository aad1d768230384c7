"""Trainings on a real GPU; without one they are skipped, with that reason."""

from pathlib import Path
from typing import Any

import pytest
import torch
from trainings import (
    CNN,
    MLP,
    Small,
    finish,
    images,
    losses,
    make_job,
    resumed,
    small_config,
    table,
    trained,
    trained_with_saves,
)

from search.data.batches import Resident
from search.task import ModelModule
from search.training.job import device_for
from search.training.preflight import Bench, preflight
from search.training.preflight.memory import check_gpu_memory, share_needed
from search.training.session import NetworkSession

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
POINTS = (640, 1280, 1920, 2560, 3200)


def on_gpu(small: Small) -> Small:
    return Small(
        small.dataset, Resident(small.dataset, "cuda"), small.rows.to(torch.device("cuda"))
    )


def cases() -> list[tuple[ModelModule, Small, dict[str, Any]]]:
    return [
        (MLP, table(), {"optimizer": "adamw", "schedule": "cosine", "dropout": 0.3}),
        (MLP, table(), {"optimizer": "sgd", "momentum": 0.9, "normalization": "batch"}),
        (CNN, images(), {"optimizer": "adam", "normalization": "batch", "pruning_rate": 0.5}),
        (CNN, images(), {"optimizer": "rmsprop", "schedule": "one_cycle", "gradient_clip": 1.0}),
    ]


@pytest.mark.parametrize("number", range(4))
def test_a_training_that_was_interrupted_gives_the_same_curve(number: int, tmp_path: Path) -> None:
    model, small, given = cases()[number]
    small = on_gpu(small)
    job = make_job(small, small_config(model, small, **given), points=POINTS)
    whole, paths = trained_with_saves(job, model, small, tmp_path)
    for path in paths:
        again = finish(resumed(path, job, model, small))
        assert losses(again) == pytest.approx(losses(whole), rel=0.02)
        assert again.outcome().status == "completed"


@pytest.mark.parametrize("number", range(4))
def test_mixed_precision_learns_what_the_cpu_learns(number: int) -> None:
    model, small, given = cases()[number]
    config = small_config(model, small, **given)
    there = trained(make_job(on_gpu(small), config, points=POINTS), model, on_gpu(small))
    here = trained(make_job(small, config, points=POINTS), model, small)
    assert isinstance(there, NetworkSession)
    assert there._precision.is_mixed
    assert losses(there)[-1] == pytest.approx(losses(here)[-1], rel=0.25, abs=0.05)


def test_preflight_measures_memory_and_finds_nothing_wrong() -> None:
    small = on_gpu(images())
    config = CNN.defaults(small.spec)[0].config
    found = preflight(Bench(CNN, config, small.spec, small.data, small.rows, 20.0))
    assert [each for each in found if each.status == "FAIL"] == []
    (sizes,) = [each for each in found if each.check == "batch_size"]
    assert sizes.message.count("GB of GPU memory") >= 2, "each size's own"
    (memory,) = [each for each in found if each.check == "gpu_memory"]
    assert memory.value is not None
    assert 0.0 < memory.value < 0.25, memory


def test_what_takes_more_than_there_is_needs_all_of_it() -> None:
    torch.cuda.set_per_process_memory_fraction(0.001)
    try:
        small = on_gpu(images())
        bench = Bench(
            CNN, CNN.defaults(small.spec)[0].config, small.spec, small.data, small.rows, 9
        )
        (found,) = check_gpu_memory(bench)
        assert found.value == 1.0, "torch ran out of the little that it was let have"
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def test_a_process_takes_no_more_than_its_share() -> None:
    total = torch.cuda.get_device_properties(0).total_memory
    assert device_for(0.25).type == "cuda"
    try:
        with pytest.raises(torch.OutOfMemoryError):
            torch.empty(int(0.3 * total), dtype=torch.uint8, device="cuda")
        assert share_needed(0.2 * total, total) > 0.25
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
