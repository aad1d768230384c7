"""Optimizers, and what happens to gradients before a step."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, TypeVar

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from search.errors import ModelError
from search.space import Config
from search.space.training import OPTIMIZERS, learning_rate_name

_Kind = TypeVar("_Kind", bound=Optimizer)


def _without_compiler(kind: type[_Kind]) -> type[_Kind]:
    """Return an optimizer's class whose methods don't load torch's compiler.

    They load it only to be left alone by it, and a process takes two seconds for that. A step still
    records no gradients.
    """
    names = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
    plain = {name: inspect.unwrap(getattr(kind, name)) for name in names}
    step = torch.no_grad()(inspect.unwrap(kind.step))
    return type(kind.__name__, (kind,), {**plain, "step": step})


_SGD, _RMSprop = _without_compiler(SGD), _without_compiler(RMSprop)
_Adam, _AdamW = _without_compiler(Adam), _without_compiler(AdamW)


def learning_rate(config: Config) -> float:
    """Return the learning rate of the configuration's optimizer.

    That is ``learning_rate_<optimizer>``, or ``learning_rate`` where a space has only one.

    Raises:
        ModelError: The configuration has neither.
    """
    own = learning_rate_name(str(config.get("optimizer", "adamw")))
    for name in (own, "learning_rate"):
        if name in config:
            return float(config[name])
    raise ModelError(
        f"the space has neither '{own}' nor 'learning_rate'; the training loop needs one"
    )


def make_optimizer(module: nn.Module, config: Config) -> Optimizer:
    """Return the configuration's optimizer over a network's parameters.

    Weight decay acts on weight matrices and kernels, not on biases and normalisation. For
    ``adamw`` it is decoupled (Loshchilov & Hutter, 2019), else an L2 penalty.

    Raises:
        ModelError: The optimizer is unknown, or there is no learning rate.
    """
    name = str(config.get("optimizer", "adamw"))
    if name not in OPTIMIZERS:
        raise ModelError(f"optimizer '{name}'; the training loop has {', '.join(OPTIMIZERS)}")
    rate, momentum = learning_rate(config), float(config.get("momentum", 0.0))
    groups = _decay_groups(module.named_parameters(), float(config.get("weight_decay", 0.0)))
    if name == "sgd":
        return _SGD(groups, lr=rate, momentum=momentum, nesterov=momentum > 0, fused=True)
    if name == "rmsprop":
        return _RMSprop(groups, lr=rate, momentum=momentum)
    return (_Adam if name == "adam" else _AdamW)(groups, lr=rate, fused=True)


def _decay_groups(
    named: Iterable[tuple[str, nn.Parameter]], weight_decay: float
) -> list[dict[str, Any]]:
    parameters = [parameter for _, parameter in named if parameter.requires_grad]
    decayed = [parameter for parameter in parameters if parameter.dim() > 1]
    others = [parameter for parameter in parameters if parameter.dim() <= 1]
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


class GradientRules:
    """L1 penalty and clipping, applied to gradients before a step.

    Args:
        module: The network.
        config: ``l1`` (weight of the penalty on weights, not biases) and ``gradient_clip``
            (largest norm); 0 or absent: none.
    """

    def __init__(self, module: nn.Module, config: Config) -> None:
        self._parameters = [p for p in module.parameters() if p.requires_grad]
        self._l1 = float(config.get("l1", 0.0))
        self._clip = float(config.get("gradient_clip", 0.0))
        self._num_clipped = torch.zeros((), device=self._device)
        self._num_steps = 0

    @property
    def _device(self) -> torch.device:
        return self._parameters[0].device if self._parameters else torch.device("cpu")

    @torch.no_grad()
    def apply(self) -> None:
        """Change the gradients in place."""
        self._num_steps += 1
        if self._l1 > 0:
            for parameter in self._parameters:
                if parameter.grad is not None and parameter.dim() > 1:
                    parameter.grad.add_(parameter.sign(), alpha=self._l1)
        if self._clip > 0:
            norm = nn.utils.clip_grad_norm_(self._parameters, self._clip)
            self._num_clipped += norm > self._clip

    def take_clipped_share(self) -> float:
        """Return the share of steps that were clipped since this was asked last."""
        share = float(self._num_clipped) / max(1, self._num_steps)
        self._num_clipped.zero_()
        self._num_steps = 0
        return share
