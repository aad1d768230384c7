"""A training that several processes carry out together, each on its part of every batch.

Without a process group, or alone in it, everything here is the training as it is.
"""

from __future__ import annotations

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel


def num_processes() -> int:
    """Return how many processes train together."""
    together = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if together else 1


def is_first() -> bool:
    """Say whether this process speaks for all."""
    return num_processes() == 1 or distributed.get_rank() == 0


class Parallel:
    """One process's part of a training (PyTorch's data parallel: Li et al., 2020).

    Gradients are averaged over the processes, weighted so that they are those of the whole batch.

    Args:
        module: The network, the same in all processes.
        device: Where it is.

    Attributes:
        module: To be called in training steps.
    """

    def __init__(self, module: nn.Module, device: torch.device) -> None:
        self._number = num_processes()
        self._own = module
        self.module: nn.Module = module
        if self._number > 1:
            ids = [device] if device.type == "cuda" else None
            self.module = DistributedDataParallel(module, device_ids=ids)

    def share(self, rows: Tensor) -> tuple[Tensor, float]:
        """Return this process's rows of a batch, and what their mean loss is to be weighted by.

        A batch of fewer rows than there are processes gives some a row that counts nothing.
        """
        if self._number == 1:
            return rows, 1.0
        own = rows[distributed.get_rank() :: self._number]
        if len(own) == 0:
            return rows[:1], 0.0
        return own, len(own) * self._number / len(rows)

    def total(self, loss: Tensor) -> Tensor:
        """Return the whole batch's loss from the weighted losses of the processes."""
        if self._number > 1:
            distributed.all_reduce(loss)
            loss = loss / self._number
        return loss

    def settle(self) -> None:
        """Give all processes the first one's buffers: running means differ by the rows seen."""
        if self._number > 1:
            for buffer in self._own.buffers():
                distributed.broadcast(buffer, 0)
