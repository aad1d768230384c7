import pytest
import torch
from torch import nn
from trainings import CNN, MLP, images, make_job, opened, small_config, table

from search.training import precision
from search.training.precision import Precision

CPU = torch.device("cpu")


@pytest.mark.parametrize("has_instructions", [True, False])
def test_on_a_cpu_convolutions_are_mixed_where_it_has_instructions_for_it(
    monkeypatch: pytest.MonkeyPatch, has_instructions: bool
) -> None:
    monkeypatch.setattr(precision, "_cpu_computes_bfloat16", lambda: has_instructions)
    wide, narrow = (nn.Sequential(nn.Conv2d(1, n, 3), nn.Conv2d(n, 32, 3)) for n in (16, 8))
    assert Precision(wide, CPU).is_mixed is has_instructions
    assert not Precision(narrow, CPU).is_mixed
    assert not Precision(nn.Linear(3, 2), CPU).is_mixed


@pytest.mark.parametrize(("model", "small"), [(MLP, table), (CNN, images)])
def test_losses_and_outputs_are_single_precision_whatever_is_within(
    monkeypatch: pytest.MonkeyPatch, model, small
) -> None:
    monkeypatch.setattr(precision, "_cpu_computes_bfloat16", lambda: True)
    data = small()
    session = opened(make_job(data, small_config(model, data)), model, data)
    next(session.run())
    outputs, _ = session.predict(data.rows.validation)
    assert outputs.dtype == torch.float32
    assert all(each.dtype == torch.float32 for each in session.module.parameters())


def test_mixed_precision_hardly_changes_what_is_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    data, found = images(), {}
    for mixed in (True, False):
        monkeypatch.setattr(precision, "_cpu_computes_bfloat16", lambda mixed=mixed: mixed)
        job = make_job(data, {**small_config(CNN, data), "num_channels": 16})
        session = opened(job, CNN, data)
        found[mixed] = [each.validation_loss for each in session.run()]
    assert found[True] == pytest.approx(found[False], rel=0.1)
    assert found[True] != found[False]
