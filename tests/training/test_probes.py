"""A look into a step says what a person would look for by hand."""

from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn
from trainings import MLP, make_job, small_config, table, trained

from search.events import Probes
from search.task import ModelModule
from search.training.probes import Probe


def step(network: nn.Module, rate: float = 0.1) -> Probes:
    torch.manual_seed(0)
    inputs, target = torch.randn(16, 4), torch.arange(16) % 3
    optimizer = torch.optim.SGD(network.parameters(), lr=rate)
    probe = Probe(network)
    nn.functional.cross_entropy(network(inputs), target).backward()
    probe.before_step()
    optimizer.step()
    probe.after_step()
    return probe.probes(0.0)


def network() -> nn.Sequential:
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    nn.init.constant_(net[0].bias, 3.0)  # all units awake
    return net


def test_the_numbers_are_those_of_the_step() -> None:
    net = network()
    before = [net[0].weight.detach().clone(), net[2].weight.detach().clone()]
    probes = step(net)
    gradients = [net[0].weight.grad, net[2].weight.grad]
    norms = [float(g.norm()) for g in gradients]
    ratios = [0.1 * norm / float(weight.norm()) for norm, weight in zip(norms, before, strict=True)]
    assert probes.gradient_norm == pytest.approx((norms[0] ** 2 + norms[1] ** 2) ** 0.5)
    assert probes.gradient_ratio == pytest.approx(max(norms) / min(norms))
    assert probes.update_ratio == pytest.approx(sum(ratios) / 2)
    assert probes.dead_units == 0


def test_units_that_no_row_wakes_are_dead() -> None:
    net = network()
    with torch.no_grad():
        net[0].bias[:6] = -100.0
    assert step(net).dead_units == 6 / 8


def test_a_ten_times_higher_learning_rate_gives_ten_times_the_update() -> None:
    low, high = step(network(), 0.01), step(network(), 0.1)
    assert high.update_ratio == pytest.approx(10 * low.update_ratio, rel=1e-3)


def test_an_embedding_whose_rows_have_no_part_in_a_batch_is_not_dead() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.inner, self.out = nn.Embedding(99, 4), nn.Linear(4, 8), nn.Linear(8, 3)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.out(torch.tanh(self.inner(self.embed(inputs.argmax(1)))))

    assert step(Net()).dead_units == 0


def test_a_training_tells_them_at_each_evaluation_and_how_often_it_was_clipped() -> None:
    small = table()
    job = make_job(small, small_config(MLP, small, gradient_clip=1.0))
    clipped = [each.probes for each in trained(job, MLP, small).evaluations]
    assert all(each is not None and each.update_ratio > 0 for each in clipped)
    free = replace(job, config={**job.config, "gradient_clip": 0.0})
    for each in trained(free, MLP, small).evaluations:
        assert each.probes is not None
        assert each.probes.clipped_steps == 0
    tight = replace(job, config={**job.config, "gradient_clip": 1e-6})
    assert {e.probes.clipped_steps for e in trained(tight, MLP, small).evaluations if e.probes} == {
        1.0
    }


def test_a_network_without_weight_matrices_has_none_to_tell() -> None:
    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))

        def forward(self, inputs: torch.Tensor, *_: Any) -> torch.Tensor:
            return inputs[:, :3] * self.scale

    small, module = table(), ModuleType("scale")
    module.build = lambda config, spec: Scale()
    job = make_job(small, {"learning_rate": 0.01, "batch_size": 32})
    (first, *_) = trained(job, ModelModule("scale.py", module), small).evaluations
    assert first.probes is not None
    assert first.probes.update_ratio != first.probes.update_ratio
