from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from trainings import (
    CNN,
    MLP,
    Small,
    finish,
    images,
    make_job,
    opened,
    resumed,
    small_config,
    table,
    trained_with_saves,
)

from search.task import ModelModule
from search.training.precision import Precision
from search.training.pruning import END, START, Pruner, to_format
from search.training.session import NetworkSession

RATES = (0.3, 0.5, 0.8)


def network() -> nn.Module:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 50), nn.ReLU(), nn.Linear(50, 4)
    )
    to_format(module, torch.channels_last)
    return module


def zeros(module: nn.Module) -> list[float]:
    """Return the share of zero weights of each layer."""
    layers = [m for m in module.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    return [float((layer.weight == 0).float().mean()) for layer in layers]


def test_sparsity_rises_along_the_cubic_between_its_start_and_its_end() -> None:
    pruner = Pruner(network(), 0.8)
    reached = []
    for progress in (0.0, START, 0.3125, 0.375, 0.4375, END, 0.75, 1.0):
        pruner.advance(progress)
        reached.append(pruner.sparsity)
    cubic = [0.8 * (1 - (1 - ramp) ** 3) for ramp in (0.25, 0.5, 0.75)]
    assert reached == pytest.approx([0.0, 0.0, *cubic, 0.8, 0.8, 0.8], abs=2e-3)


@given(st.sampled_from(RATES), st.lists(st.floats(0, 1), max_size=8))
def test_it_ends_at_its_rate_whichever_way_it_came(rate: float, way: list[float]) -> None:
    pruner, reached = Pruner(network(), rate), [0.0]
    for progress in [*sorted(way), 1.0]:
        pruner.advance(progress)
        reached.append(pruner.sparsity)
    assert reached == sorted(reached)
    assert reached[-1] == pytest.approx(rate, abs=2e-3)


def test_the_smallest_weights_of_all_layers_but_the_last_go_first() -> None:
    module = network()
    before = [module[n].weight.detach().clone() for n in (0, 3)]
    pruner = Pruner(module, 0.5)
    pruner.advance(1.0)
    pruner.make_permanent()
    kept = torch.cat([b[module[n].weight != 0] for b, n in zip(before, (0, 3), strict=True)])
    gone = torch.cat([b[module[n].weight == 0] for b, n in zip(before, (0, 3), strict=True)])
    assert float(gone.abs().max()) <= float(kept.abs().min())
    assert zeros(module)[-1] == 0.0


def test_without_a_rate_nothing_is_touched() -> None:
    module = network()
    names = list(module.state_dict())
    pruner = Pruner(module, 0.0)
    pruner.advance(1.0)
    assert pruner.sparsity == 0.0
    assert list(module.state_dict()) == names


def test_a_network_of_one_layer_has_nothing_to_prune() -> None:
    module = nn.Linear(3, 2)
    pruner = Pruner(module, 0.8)
    pruner.advance(1.0)
    assert pruner.sparsity == 0.0
    assert list(module.state_dict()) == ["weight", "bias"]


def test_pruned_weights_stay_zero_while_the_others_train_on() -> None:
    module = network()
    pruner = Pruner(module, 0.5)
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.05, weight_decay=0.1)
    pruner.advance(1.0)
    dead = module[3].weight == 0
    before = module[3].weight.detach().clone()
    for _ in range(5):
        optimizer.zero_grad()
        module(torch.randn(16, 3, 3, 3)).square().mean().backward()
        optimizer.step()
    module(torch.randn(1, 3, 3, 3))
    pruner.make_permanent()
    assert torch.all(module[3].weight[dead] == 0)
    assert torch.all(module[3].weight[~dead] != before[~dead])


def pruned(
    model: ModelModule, small: Small, rate: float, folder: Path
) -> tuple[NetworkSession, list[Path]]:
    # Its best evaluation comes late: so low a learning rate only improves.
    config = small_config(
        model, small, optimizer="adam", learning_rate_adam=3e-3, pruning_rate=rate
    )
    job = make_job(small, config, points=(600, 1200, 1800, 2400, 3000))
    session, paths = trained_with_saves(job, model, small, folder)
    assert isinstance(session, NetworkSession)
    return session, paths


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(("model", "make_small"), [(MLP, table), (CNN, images)])
def test_a_training_reaches_and_reports_its_pruning_rate(
    model: ModelModule, make_small, rate: float, tmp_path: Path
) -> None:
    small = make_small()
    session, _ = pruned(model, small, rate, tmp_path)
    assert session.outcome().status == "completed"
    assert session.vitals().sparsity == pytest.approx(rate, abs=0.01)
    built = model.build(session.job.config, small.spec)
    assert session.vitals().num_parameters == sum(p.numel() for p in built.parameters())


@pytest.mark.parametrize(("model", "make_small"), [(MLP, table), (CNN, images)])
def test_permanent_weights_fit_into_a_network_that_was_never_pruned(
    model: ModelModule, make_small, tmp_path: Path
) -> None:
    small = make_small()
    session, _ = pruned(model, small, 0.5, tmp_path)
    session.outcome()
    with_masks, _ = session.predict(small.rows.test)
    sparsity, weights = session.vitals().sparsity, session.weights()
    fresh = model.build(session.job.config, small.spec)
    fresh.load_state_dict(weights, strict=True)
    with torch.no_grad(), Precision(fresh, small.data.device).region():
        outputs = fresh.eval()(*small.data.batch(small.rows.test)[0])
    torch.testing.assert_close(outputs.float(), with_masks, rtol=1e-4, atol=1e-5)
    layers = [m for m in fresh.modules() if isinstance(m, nn.Linear | nn.Conv2d)][:-1]
    zero = sum(int((layer.weight == 0).sum()) for layer in layers)
    assert zero / sum(layer.weight.numel() for layer in layers) == pytest.approx(sparsity)


def test_masks_survive_a_resume(tmp_path: Path) -> None:
    small = table()
    whole, paths = pruned(MLP, small, 0.8, tmp_path)
    session = resumed(paths[2], whole.job, MLP, small)
    fresh = opened(whole.job, MLP, small)
    assert isinstance(session, NetworkSession)
    assert isinstance(fresh, NetworkSession)
    masks = {n: b for n, b in session.module.named_buffers() if n.endswith("weight_mask")}
    share = sum(int((b == 0).sum()) for b in masks.values()) / sum(
        b.numel() for b in masks.values()
    )
    assert share == pytest.approx(0.8, abs=0.01)
    assert set(masks) <= set(fresh.module.state_dict())
    assert finish(session).vitals().sparsity == whole.vitals().sparsity
