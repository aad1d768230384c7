"""The seed and every hyperparameter have their effect on a training."""

from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
import torch
from trainings import MLP, losses, make_job, numbers, small_config, table, trained

from search.task import ModelModule


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others() -> None:
    small = table()
    job = make_job(small, small_config(MLP, small, dropout=0.3))
    first = numbers(trained(job, MLP, small))
    torch.rand(3)
    assert numbers(trained(job, MLP, small)) == first
    other = numbers(trained(replace(job, seed=2), MLP, small))
    assert other["weights"] != first["weights"]
    assert set(other["evaluations"]).isdisjoint(first["evaluations"])


def test_the_order_of_the_data_follows_from_the_seed() -> None:
    small = table()
    module = ModuleType("constant_start")
    module.build = lambda config, spec: ConstantStart(spec.num_numeric, spec.num_outputs)
    model = ModelModule("constant_start.py", module)
    job = make_job(small, {"learning_rate": 0.01, "batch_size": 32})
    first, again, other = (
        losses(trained(replace(job, seed=seed), model, small)) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


class ConstantStart(torch.nn.Linear):
    """Its weights start at 0 whatever the seed is."""

    def reset_parameters(self) -> None:
        torch.nn.init.zeros_(self.weight)
        torch.nn.init.zeros_(self.bias)

    def forward(self, numeric: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        return super().forward(numeric)


@pytest.mark.parametrize(
    "changed",
    [
        {"momentum": 0.9},
        {"learning_rate_sgd": 0.02},
        {"schedule": "cosine"},
        {"batch_size": 64},
        {"dropout": 0.3},
        {"weight_decay": 0.1},
        {"l1": 1e-4},
        {"gradient_clip": 0.5},
        {"pruning_rate": 0.5},
        {"normalization": "layer"},
        {"input_noise": 0.1},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_every_hyperparameter_changes_the_training(changed: dict[str, Any]) -> None:
    small = table()
    common = {"momentum": 0.5, "learning_rate_sgd": 0.9}
    plain = trained(make_job(small, small_config(MLP, small, **common)), MLP, small)
    config = small_config(MLP, small, **{**common, **changed})
    assert losses(trained(make_job(small, config), MLP, small))[-1] != losses(plain)[-1]
