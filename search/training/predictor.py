"""What a training leaves to predict with, in a file, and what is made of the file.

Networks leave their weights, a loop of its own what its module's ``save_predictor`` returns.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from search.data.batches import Resident
from search.errors import ModelError, RunDirError, one_line
from search.space import Config
from search.task import ModelModule, Predict, Spec
from search.training.network import load_network, outputs_of
from search.training.own_data import inputs_of, outputs_by
from search.training.precision import Precision

WEIGHTS, OWN = "model.safetensors", "model.bin"
"""The file's name: of a network's weights, and of what a loop of its own leaves."""


class Predictor(Protocol):
    """A trained model, ready to predict."""

    def outputs(self, data: Resident, rows: Tensor) -> NDArray[np.float32]:
        """Return (rows, outputs): logits or log-probabilities, or the standardised prediction.

        Args:
            data: On the device that the predictor was made for.
            rows: Row numbers, shape (rows,), on that device; at least one.
        """


def kept_file(folder: Path) -> Path | None:
    """Return the file that a training has left in a folder; None where it left none."""
    paths = (folder / name for name in (WEIGHTS, OWN))
    return next((path for path in paths if path.is_file()), None)


def load_predictor(
    model: ModelModule, config: Config, spec: Spec, kept: Path, device: torch.device
) -> Predictor:
    """Make a predictor of what a training has left.

    Args:
        model: The module that it was trained from.
        config: The configuration that it was trained with.
        spec: What the module was told of the data.
        kept: The file, see :func:`kept_file`; its name may be another, its suffix mayn't.
        device: Where a network shall compute, in the precision that it was trained in.

    Raises:
        ModelError: The module isn't the one that the file is of.
        RunDirError: The file can't be read.
    """
    if kept.suffix == Path(WEIGHTS).suffix:
        return _Network(load_network(model, config, spec, kept, device), device)
    try:
        saved = kept.read_bytes()
    except OSError as error:
        raise RunDirError(f"{kept} can't be read: {one_line(error)}") from error
    return _Own(own_predict(model, config, spec, saved, str(kept)), spec)


class _Network:
    """A network on its device."""

    def __init__(self, module: torch.nn.Module, device: torch.device) -> None:
        self._module, self._precision = module, Precision(module, device)

    def outputs(self, data: Resident, rows: Tensor) -> NDArray[np.float32]:
        return outputs_of(self._module, self._precision, data, rows).cpu().numpy()


class _Own:
    """A module's own function."""

    def __init__(self, predict: Predict, spec: Spec) -> None:
        self._predict, self._spec = predict, spec

    def outputs(self, data: Resident, rows: Tensor) -> NDArray[np.float32]:
        wanted = (len(rows), self._spec.num_outputs)
        return outputs_by(self._predict, inputs_of(data, rows, self._spec), wanted)


def own_saved(model: ModelModule, state: Any) -> bytes | None:
    """Return what a module wants to keep of a state of its loop; None where it keeps nothing.

    Raises:
        ModelError: ``save_predictor`` raises, or returns something else than bytes.
    """
    if model.save_predictor is None:
        return None
    try:
        saved: Any = model.save_predictor(state)
    except Exception as error:
        raise ModelError(f"model {model.path}: save_predictor raised {one_line(error)}") from error
    if not isinstance(saved, bytes | bytearray):
        raise ModelError(
            f"model {model.path}: save_predictor() returned {type(saved).__name__}; "
            "it must return bytes"
        )
    return bytes(saved)


def own_predict(
    model: ModelModule, config: Config, spec: Spec, saved: bytes, name: str = "what was saved"
) -> Predict:
    """Return the function that a module makes of what it has kept.

    Raises:
        ModelError: It has no ``load_predictor``, or this raises or returns something else.
    """
    load: Any = model.load_predictor
    if load is None:
        raise ModelError(
            f"model {model.path} has no load_predictor to read {name} with; "
            "give it as it was in the run"
        )
    try:
        predict: Any = load(saved, dict(config), spec)
    except Exception as error:
        raise ModelError(
            f"model {model.path}: load_predictor doesn't read {name} ({one_line(error)}); "
            "it must read what save_predictor has returned"
        ) from error
    if not callable(predict):
        raise ModelError(
            f"model {model.path}: load_predictor() returned {type(predict).__name__}; "
            "it must return a function predict(inputs)"
        )
    return predict  # type: ignore[no-any-return]
