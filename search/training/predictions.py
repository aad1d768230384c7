"""What a trained model says of the rows that it wasn't trained on, kept in a file of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from scipy.special import softmax
from torch import Tensor

from search.files import write_at_once
from search.task import TaskType

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
    write_at_once(folder / PREDICTIONS, lambda path: save_file(arrays, path))
    return True


def read_predictions(folder: Path) -> dict[str, Predictions]:
    """Return a trial's predictions by part; empty where none were kept."""
    if not (folder / PREDICTIONS).is_file():
        return {}
    arrays = load_file(folder / PREDICTIONS)
    parts = sorted({name.partition(".")[0] for name in arrays})
    return {part: Predictions(arrays[f"{part}.rows"], arrays[f"{part}.outputs"]) for part in parts}


def read_part(folder: Path, part: str) -> Predictions | None:
    """Return a trial's predictions of one part, reading nothing else; None where it isn't kept."""
    path = folder / PREDICTIONS
    if not path.is_file():
        return None
    with safe_open(path, framework="numpy") as file:
        if f"{part}.rows" not in file.keys():  # noqa: SIM118 - it is no dictionary
            return None
        return Predictions(file.get_tensor(f"{part}.rows"), file.get_tensor(f"{part}.outputs"))


def answers_of(outputs: NDArray[np.float32], task: TaskType) -> NDArray[np.float64]:
    """Return what outputs say, shape (rows, outputs): what several models are averaged in.

    The classes' probabilities, or the standardised prediction.
    """
    values = outputs.astype(np.float64)
    return softmax(values, axis=1) if task == "classification" else values


def average(
    answers: Iterable[tuple[float, NDArray[np.float64]]],
) -> NDArray[np.float64]:
    """Add up several models' answers, each (weight, (rows, outputs)), as they come."""
    weighted = iter(answers)
    weight, first = next(weighted)
    total = weight * first
    for weight, each in weighted:
        total += weight * each
    return total


def decided(answers: NDArray[np.float64], task: TaskType) -> NDArray[Any]:
    """Return the prediction, shape (rows,): the likeliest class's code, or the standardised."""
    return answers.argmax(axis=1) if task == "classification" else answers[:, 0]
