"""A look into one step of training: how large gradients and updates are, which units are dead.

Taken once before each evaluation, not at each step: a step's worth of norms costs little there.
Embeddings are left out, since most of their rows have no part in a batch.
"""

from __future__ import annotations

import itertools
import math
from statistics import median

import torch
from torch import Tensor, nn

from search.events import Probes


class Probe:
    """Looks at a network's weight matrices and kernels before and after an optimizer step.

    Args:
        module: The network.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._before: list[tuple[nn.Parameter, Tensor]] = []
        self._gradients: list[tuple[Tensor, Tensor]] = []
        self._numbers: dict[str, float] = {}

    @torch.no_grad()
    def before_step(self) -> None:
        """Look at the gradients, as the loss has left them, and remember the weights."""
        kernels = [each for each in _kernels(self._module) if each.grad is not None]
        self._before = [(each, each.clone()) for each in kernels]
        self._gradients = [_look_at(each.grad) for each in kernels if each.grad is not None]

    @torch.no_grad()
    def after_step(self) -> None:
        """Look at what the step has changed."""
        if not self._before:
            self._numbers = {}
            return
        changes = [(torch.norm(now - old), torch.norm(old)) for now, old in self._before]
        looks = [(*look, *change) for look, change in zip(self._gradients, changes, strict=True)]
        units = [len(weights) for weights, _ in self._before]
        self._before = []
        # One transfer from the device for all numbers.
        table = torch.stack([torch.stack(look).double() for look in looks]).T.tolist()
        norms, dead, updates, weights = table
        self._numbers = {
            "gradient_norm": math.hypot(*norms),
            "gradient_ratio": _largest_ratio(norms),
            "update_ratio": median(_share(*each) for each in zip(updates, weights, strict=True)),
            # The last layer's units are the outputs.
            "dead_units": sum(dead[:-1]) / max(1, sum(units[:-1])),
        }

    def probes(self, clipped_steps: float) -> Probes:
        """Return the numbers of the step that was looked at since this was asked last, if any."""
        numbers, self._numbers = self._numbers, {}
        return Probes(**numbers, clipped_steps=clipped_steps)


def _look_at(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Return a gradient's norm, and how many of its layer's units have none."""
    return torch.norm(gradient), (gradient.flatten(1).abs().amax(1) == 0).sum().double()


def _kernels(module: nn.Module) -> list[nn.Parameter]:
    return [
        parameter
        for part in module.modules()
        if not isinstance(part, nn.Embedding | nn.EmbeddingBag)
        for parameter in part.parameters(recurse=False)
        if parameter.requires_grad and parameter.dim() > 1
    ]


def _share(update: float, weights: float) -> float:
    return update / weights if weights else 0.0


def _largest_ratio(norms: list[float]) -> float:
    """Return by how much the gradients of two neighbouring layers differ at most."""
    pairs = [(low, high) for low, high in map(sorted, itertools.pairwise(norms)) if low > 0]
    return max((high / low for low, high in pairs), default=1.0)
