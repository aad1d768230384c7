"""A configuration's network: built, asked for its outputs, and read back from its weights."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from search.data.batches import Resident
from search.errors import ModelError, RunDirError, SieveError, one_line
from search.space import Config
from search.task import ModelModule, Spec
from search.training.precision import Precision
from search.training.pruning import to_format

EVAL_CHUNK = {"cpu": 256, "cuda": 16_384}  # on a CPU the activations should stay in its cache
EVAL_BYTES = 2**25
"""Of a chunk's inputs on a GPU: activations are many times as large."""


def build_network(model: ModelModule, config: Config, spec: Spec) -> nn.Module:
    """Build a configuration's network.

    Raises:
        ModelError: ``build`` returned something else.
    """
    assert model.build is not None
    module = model.build(dict(config), spec)
    if not isinstance(module, nn.Module):
        raise ModelError(
            f"model {model.path}: build() returned {type(module).__name__}, not a torch.nn.Module"
        )
    return module


@torch.no_grad()
def outputs_of(module: nn.Module, precision: Precision, data: Resident, rows: Tensor) -> Tensor:
    """Return a network's outputs in evaluation mode, (rows, outputs) float32 on its device.

    Args:
        module: The network; it is left in evaluation mode.
        precision: In which it is called.
        data: Tensors on the network's device.
        rows: Row numbers, shape (rows,), on the device; at least one.
    """
    module.eval()
    outputs = []
    for chunk in torch.split(rows, _chunk(data)):
        with precision.region():
            outputs.append(module(*data.inputs(chunk)).float())
    return torch.cat(outputs)


def _chunk(data: Resident) -> int:
    """Return how many rows are looked at together."""
    most = EVAL_CHUNK[data.device.type]
    if data.device.type == "cpu":
        return most
    return max(256, min(most, EVAL_BYTES // data.bytes_per_row))


def load_network(
    model: ModelModule, config: Config, spec: Spec, weights: Path, device: torch.device
) -> nn.Module:
    """Build a network and give it the weights that a training has left.

    What was pruned is 0 in the file, so that the network needs no masks.

    Args:
        model: The module that it was trained from.
        config: The configuration that it was trained with.
        spec: What the module was told of the data.
        weights: A safetensors file.
        device: Where it shall be.

    Raises:
        ModelError: The module builds another network than the file is of, or none.
        RunDirError: The file is damaged.
    """
    try:
        tensors = load_file(weights)
    except (SafetensorError, OSError) as error:
        raise RunDirError(f"{weights} can't be read: {one_line(error)}") from error
    try:
        module = build_network(model, config, spec)
        module.load_state_dict(tensors)
    except SieveError:
        raise
    except Exception as error:
        raise ModelError(
            f"model {model.path} doesn't build the network that {weights} is of "
            f"({one_line(error)}); give it as it was in the run"
        ) from error
    to_format(module, torch.channels_last)
    return module.to(device)
