"""Gradual magnitude pruning during training (Zhu & Gupta, 2017), with torch's own pruning.

Sparsity rises along their cubic from a quarter of the budget to its middle, and the surviving
weights train on. The masks are attached before the first step, so that a network has the same
parameters at any moment, which makes a checkpoint fit whenever it was taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.utils import prune

START, END = 0.25, 0.5


class Pruner:
    """Prunes a network's weights globally by magnitude.

    Args:
        module: The network; its linear and convolution layers but the last are pruned.
        rate: Share of their weights that is zero in the end; 0: none.
    """

    def __init__(self, module: nn.Module, rate: float) -> None:
        layers = [m for m in module.modules() if isinstance(m, nn.Linear | nn.Conv1d | nn.Conv2d)]
        self._module = module
        self._layers = layers[:-1] if rate > 0 else []
        self._rate = rate
        for layer in self._layers:
            prune.identity(layer, "weight")  # type: ignore[no-untyped-call]

    def advance(self, progress: float) -> None:
        """Prune up to what is due at ``progress`` in [0, 1] of the budget."""
        if not self._layers:
            return
        ramp = min(max((progress - START) / (END - START), 0.0), 1.0)
        due = self._rate * (1.0 - (1.0 - ramp) ** 3)
        done = self.sparsity
        if due <= done:
            return
        # torch counts the amount from what the masks have left.
        amount = min((due - done) / (1.0 - done), 1.0)
        targets = [(layer, "weight") for layer in self._layers]
        # torch strings the weights together as views, which channels-last kernels don't allow.
        with _memory_format(self._module, torch.contiguous_format):
            scores = {
                (layer, "weight"): layer.get_parameter("weight_orig").detach().contiguous()
                for layer in self._layers
            }
            prune.global_unstructured(targets, prune.L1Unstructured, scores, amount=amount)

    @property
    def sparsity(self) -> float:
        """Share of the prunable weights that is masked."""
        masks = [layer.get_buffer("weight_mask") for layer in self._layers]
        total = sum(mask.numel() for mask in masks)
        kept = sum(float(torch.count_nonzero(mask)) for mask in masks)
        return 1.0 - kept / total if total else 0.0

    def make_permanent(self) -> None:
        """Write the zeros into the weights and take the masks off."""
        for layer in self._layers:
            prune.remove(layer, "weight")  # type: ignore[no-untyped-call]
        self._layers = []


@contextmanager
def _memory_format(module: nn.Module, memory_format: torch.memory_format) -> Iterator[None]:
    to_format(module, memory_format)
    try:
        yield
    finally:
        to_format(module, torch.channels_last)


def to_format(module: nn.Module, memory_format: torch.memory_format) -> None:
    """Lay a network's kernels out as ``memory_format``; training uses channels last."""
    module.to(memory_format=memory_format)  # type: ignore[call-overload]
