from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from search.errors import ModelError
from search.space import training_dimensions
from search.space.training import OPTIMIZERS
from search.training.optimizers import GradientRules, learning_rate, make_optimizer

CLASSES = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
}


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 3), nn.LayerNorm(3)
    )


def with_gradients(value: float) -> nn.Module:
    module = network()
    for parameter in module.parameters():
        parameter.grad = torch.full_like(parameter, value)
    return module


def moved(config: dict[str, Any], gradient: float, steps: int = 1) -> list[torch.Tensor]:
    """Return how far each parameter has gone after some steps of one gradient."""
    module = with_gradients(gradient)
    before = [p.detach().clone() for p in module.parameters()]
    optimizer = make_optimizer(module, config)
    for _ in range(steps):
        optimizer.step()
    return [p.detach() - b for p, b in zip(module.parameters(), before, strict=True)]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_optimizer_takes_its_own_learning_rate(name: str) -> None:
    rates = {f"learning_rate_{each}": 10.0**-n for n, each in enumerate(OPTIMIZERS, start=1)}
    config = {"optimizer": name, **rates}
    optimizer = make_optimizer(network(), config)
    assert type(optimizer).__base__ is CLASSES[name]
    assert learning_rate(config) == rates[f"learning_rate_{name}"]
    assert {group["lr"] for group in optimizer.param_groups} == {learning_rate(config)}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_is_that_of_the_optimizer_of_torch(name: str) -> None:
    config = {"optimizer": name, f"learning_rate_{name}": 0.1, "momentum": 0.0}
    module = with_gradients(0.3)
    theirs = CLASSES[name](module.parameters(), lr=0.1, weight_decay=0.0)
    before = [p.detach().clone() for p in module.parameters()]
    for _ in range(3):
        theirs.step()
    moves = [p.detach() - b for p, b in zip(module.parameters(), before, strict=True)]
    for ours, move in zip(moved(config, 0.3, steps=3), moves, strict=True):
        assert torch.equal(ours, move)


def test_a_space_with_one_learning_rate_and_no_optimizer_gets_adamw() -> None:
    optimizer = make_optimizer(network(), {"learning_rate": 0.02})
    assert type(optimizer).__base__ is torch.optim.AdamW
    assert optimizer.param_groups[0]["lr"] == 0.02


def test_a_space_without_a_learning_rate_is_an_error() -> None:
    config = {"optimizer": "sgd", "learning_rate_adam": 0.1}
    with pytest.raises(ModelError, match="neither 'learning_rate_sgd' nor 'learning_rate'"):
        make_optimizer(network(), config)


def test_an_unknown_optimizer_names_the_known_ones() -> None:
    with pytest.raises(ModelError, match="optimizer 'lion'; the training loop has sgd, adam, "):
        make_optimizer(network(), {"optimizer": "lion", "learning_rate": 0.1})


def test_the_search_space_offers_exactly_the_optimizers_that_exist() -> None:
    dimensions = {dimension.name: dimension for dimension in training_dimensions()}
    assert dimensions["optimizer"].values == tuple(CLASSES)
    assert all(f"learning_rate_{name}" in dimensions for name in CLASSES)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weight_decay_acts_on_matrices_and_kernels_alone(name: str) -> None:
    config = {"optimizer": name, "learning_rate": 0.1, "weight_decay": 0.5}
    parameters = list(network().parameters())
    for parameter, step in zip(parameters, moved(config, gradient=0.0), strict=True):
        if parameter.dim() > 1:
            assert torch.all(step * parameter.sign() < 0), "it shrinks"
        else:
            assert torch.count_nonzero(step) == 0


def test_weight_decay_of_adamw_is_decoupled_and_of_adam_a_penalty() -> None:
    kernel = next(network().parameters()).detach()
    common = {"learning_rate": 0.1, "weight_decay": 0.5}
    decoupled = moved({"optimizer": "adamw", **common}, gradient=0.0)[0]
    torch.testing.assert_close(decoupled, -0.1 * 0.5 * kernel)
    # Adam's first step has the learning rate's length whatever the gradient.
    penalty = moved({"optimizer": "adam", **common}, gradient=0.0)[0]
    torch.testing.assert_close(penalty, -0.1 * kernel.sign(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["sgd", "rmsprop"])
def test_momentum_goes_further_along_one_gradient(name: str) -> None:
    plain, pushed = (
        moved({"optimizer": name, "learning_rate": 0.1, "momentum": m}, 1.0, steps=5)[0]
        for m in (0.0, 0.9)
    )
    assert torch.all(pushed.abs() > 1.5 * plain.abs())


def test_frozen_parameters_stay_out() -> None:
    module = network()
    module[0].requires_grad_(False)
    optimizer = make_optimizer(module, {"learning_rate": 0.1})
    optimized = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert optimized == {id(p) for p in module.parameters() if p.requires_grad}


def test_l1_pulls_weights_to_zero_and_leaves_biases() -> None:
    module = with_gradients(0.25)
    GradientRules(module, {"l1": 0.5}).apply()
    for parameter in module.parameters():
        pull = 0.5 * parameter.sign() if parameter.dim() > 1 else torch.zeros_like(parameter)
        torch.testing.assert_close(parameter.grad, 0.25 + pull)


@given(st.floats(1e-3, 1e3), st.sampled_from([0.5, 1.0, 5.0]))
def test_clipping_bounds_the_norm_and_keeps_the_direction(gradient: float, clip: float) -> None:
    module = with_gradients(gradient)
    GradientRules(module, {"gradient_clip": clip}).apply()
    flat = torch.cat([p.grad.flatten() for p in module.parameters()])
    expected = min(clip, gradient * len(flat) ** 0.5)
    assert float(flat.norm()) == pytest.approx(expected, rel=1e-4)
    assert float(flat.std()) == pytest.approx(0.0, abs=1e-6 * expected)


def test_the_penalty_counts_before_clipping() -> None:
    module = with_gradients(0.0)
    GradientRules(module, {"l1": 100.0, "gradient_clip": 1.0}).apply()
    norm = torch.cat([p.grad.flatten() for p in module.parameters()]).norm()
    assert float(norm) == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("config", [{}, {"l1": 0.0, "gradient_clip": 0.0}])
def test_without_rules_gradients_stay_as_they_are(config: dict[str, float]) -> None:
    module = with_gradients(123.0)
    GradientRules(module, config).apply()
    assert all(torch.all(p.grad == 123.0) for p in module.parameters())


def test_a_parameter_without_a_gradient_is_no_trouble() -> None:
    module = network()
    GradientRules(module, {"l1": 1.0, "gradient_clip": 1.0}).apply()
    assert all(p.grad is None for p in module.parameters())
