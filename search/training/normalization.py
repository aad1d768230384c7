"""The statistics of batch normalisation, under the weights of now."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from search.data.batches import Resident
from search.training.precision import Precision

NUM_ROWS = 1024


class BatchStatistics:
    """Takes means and variances of batch normalisation anew before an evaluation.

    The running averages lag behind the weights. After some tens of steps they tell of a network
    that is no more, and the configurations that learn fastest come last at the lowest rungs. So
    they are computed as the weights are now (Wu and Johnson, 2021, PreciseBN), from training rows
    and without dropout, as they are used then.

    Args:
        module: The network. Layers that keep no averages, and those that it holds in evaluation
            mode while it is trained or whose momentum is 0, are left as they are.
        rows: Of which training rows the sample is drawn, shape (rows,), on the network's device.
        seed: Seeds the sample.
    """

    def __init__(self, module: nn.Module, rows: Tensor, seed: int) -> None:
        module.train()
        self._module = module
        self._layers = [
            each
            for each in module.modules()
            if isinstance(each, _BatchNorm)
            and each.training
            and each.running_mean is not None
            and each.momentum != 0.0
        ]
        self._rows = rows[:0]
        if self._layers:
            order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
            self._rows = rows[order[:NUM_ROWS].to(rows.device)]

    @torch.no_grad()
    def refresh(self, precision: Precision, data: Resident) -> None:
        """Take them anew; the network is left in evaluation mode.

        Args:
            precision: In which the network is called.
            data: Tensors on the network's device.
        """
        if len(self._rows) < 2:
            return
        self._module.eval()
        momenta = [layer.momentum for layer in self._layers]
        try:
            for layer in self._layers:
                layer.train()
                layer.momentum = 1.0
            with precision.region():
                self._module(*data.inputs(self._rows))
        finally:
            for layer, momentum in zip(self._layers, momenta, strict=True):
                layer.eval()
                layer.momentum = momentum
