"""Batches: tensors resident on the device, indexed; an order of the data that can be resumed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from search.data.columns import joined
from search.data.dataset import Prepared


class Resident:
    """Prepared rows' tensors on one device; on the CPU they share Arrow's memory.

    Args:
        dataset: The prepared rows; only to predict, they need no target.
        device: Where the tensors live.

    Attributes:
        device: Where the tensors live.
    """

    def __init__(self, dataset: Prepared, device: torch.device | str) -> None:
        self.device = torch.device(device)
        spec, preparation = dataset.spec, dataset.preparation
        table = dataset.inputs
        self._inputs = {kind: self._tensor(table[kind]) for kind in spec.inputs}
        has_target = "target" in table.column_names
        self._target = self._tensor(table["target"]) if has_target else None
        if spec.image is not None:
            self._inputs["image"] = self._inputs["image"].view(-1, *spec.image)
            shape = (1, spec.image[0], 1, 1)
            self._mean = torch.tensor(preparation.pixel_mean, device=self.device).view(shape)
            self._inverse_sd = 1.0 / torch.tensor(preparation.pixel_sd, device=self.device).view(
                shape
            )

    def _tensor(self, column: pa.ChunkedArray) -> Tensor:
        return _shared_tensor(column).to(self.device)

    def batch(self, rows: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """Return the inputs, as :meth:`inputs` does, and the target of some rows.

        Args:
            rows: Row numbers, shape (batch,), on this device.
        """
        return self.inputs(rows), self.target(rows)

    def inputs(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Return the inputs of some rows, in the order of ``Spec.inputs``."""
        inputs = []
        for kind, tensor in self._inputs.items():
            values = tensor[rows]
            if kind == "image":
                values = (values - self._mean) * self._inverse_sd
                values = values.contiguous(memory_format=torch.channels_last)
            inputs.append(values.long() if kind == "categorical" else values)
        return tuple(inputs)

    def target(self, rows: Tensor) -> Tensor:
        """Return the target of some rows, shape (batch,)."""
        assert self._target is not None, "these rows have no target"
        return self._target[rows]

    @property
    def bytes_per_row(self) -> int:
        """What a row takes as a network's inputs, in 4 bytes a value."""
        return 4 * sum(tensor[:1].numel() for tensor in self._inputs.values())


def _shared_tensor(column: pa.ChunkedArray) -> Tensor:
    chunk = joined(column)
    if pa.types.is_fixed_size_list(chunk.type):
        values = chunk.flatten().to_numpy(zero_copy_only=True).reshape(len(chunk), -1)
    else:
        values = chunk.to_numpy(zero_copy_only=True)
    with warnings.catch_warnings():
        # Arrow's memory is read-only and torch has no such tensors; ours are only indexed.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(values)


@dataclass(frozen=True)
class Position:
    """A place in the data: how many epochs are done, and how many rows of the present one."""

    epoch: int = 0
    offset: int = 0

    def to_json(self) -> dict[str, int]:
        """Return the fields."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, int]) -> Position:
        """Read what :meth:`to_json` wrote."""
        return cls(**values)


_CPU = torch.device("cpu")


@dataclass(frozen=True)
class EpochOrder:
    """A shuffled order for each epoch, which follows from the seed and the epoch alone.

    Attributes:
        num_rows: Rows to order.
        seed: Another seed, another order.
        device: Where the order is wanted; it is the same on all.
    """

    num_rows: int
    seed: int
    device: torch.device = _CPU

    def permutation(self, epoch: int) -> Tensor:
        """Return the order of an epoch, int64, shape (num_rows,)."""
        return _permutation(self.num_rows, self.seed, epoch, self.device)


@lru_cache(maxsize=2)
def _permutation(num_rows: int, seed: int, epoch: int, device: torch.device) -> Tensor:
    mixed = int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1)
    generator = torch.Generator().manual_seed(mixed)
    return torch.randperm(num_rows, generator=generator).to(device)


def batches(
    order: EpochOrder, position: Position, batch_size: int
) -> Iterator[tuple[Tensor, Position]]:
    """Yield batches without end from a position on.

    Every batch is full: what is left of an epoch below that is passed over, since a tiny last
    batch upsets batch normalisation. A data set smaller than a batch is one batch an epoch.

    Args:
        order: The epochs' orders.
        position: Where to start.
        batch_size: Rows in a batch.

    Yields:
        Indices into the ordered rows, int64, shape (batch,), and the position after them.
    """
    size = min(batch_size, order.num_rows)
    while True:
        if position.offset + size > order.num_rows:
            position = Position(position.epoch + 1, 0)
        start = position.offset
        position = Position(position.epoch, start + size)
        yield order.permutation(position.epoch)[start : start + size], position
