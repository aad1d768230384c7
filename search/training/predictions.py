"""What a trained model says of the rows that it wasn't trained on, kept in a file of its own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from torch import Tensor

PREDICTIONS = "predictions.safetensors"
"""The file, in its trial's folder."""
MAX_BYTES = 256 * 2**20
"""Of one trial's outputs; larger ones aren't kept."""


@dataclass(frozen=True)
class Predictions:
    """One model's outputs on some rows.

    Attributes:
        rows: (n,) int64, row numbers of the source.
        outputs: (n, outputs) float32: logits or log-probabilities, or the standardised prediction.
    """

    rows: NDArray[np.int64]
    outputs: NDArray[np.float32]

    @classmethod
    def of(cls, rows: Tensor, outputs: Tensor) -> Predictions:
        """Take them from tensors on any device."""
        return cls(rows.cpu().numpy(), outputs.float().cpu().numpy())


def save_predictions(folder: Path, parts: dict[str, Predictions]) -> bool:
    """Write the predictions of one trial; say whether there were any, small enough to keep.

    Args:
        folder: The trial's.
        parts: ``validation``, and in confirm ``test``.
    """
    if not parts or sum(each.outputs.nbytes for each in parts.values()) > MAX_BYTES:
        return False
    arrays: dict[str, NDArray[Any]] = {}
    for name, each in parts.items():
        arrays[f"{name}.rows"] = np.ascontiguousarray(each.rows)
        arrays[f"{name}.outputs"] = np.ascontiguousarray(each.outputs)
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{PREDICTIONS}.{os.getpid()}.tmp"
    save_file(arrays, temporary)
    os.replace(temporary, folder / PREDICTIONS)
    return True


def read_predictions(folder: Path) -> dict[str, Predictions]:
    """Return a trial's predictions by part; empty where none were kept."""
    if not (folder / PREDICTIONS).is_file():
        return {}
    arrays = load_file(folder / PREDICTIONS)
    parts = sorted({name.partition(".")[0] for name in arrays})
    return {part: Predictions(arrays[f"{part}.rows"], arrays[f"{part}.outputs"]) for part in parts}
