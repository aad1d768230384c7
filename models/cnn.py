"""A small convolutional network for images: blocks of 3x3 convolutions, then a dense head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from search.space import Choice, Integer, Space, training_dimensions

if TYPE_CHECKING:
    from search.space import Config
    from search.task import Spec


def space(spec: Spec) -> Space:
    """Return the search space; every training dimension, depth, width, head, flips.

    Raises:
        ValueError: The data have no image column, or others beside it.
    """
    if spec.image is None:
        raise ValueError("models.cnn needs an image column; for tables take models.mlp")
    if len(spec.inputs) > 1:
        raise ValueError(
            "models.cnn takes the image alone; leave the other columns out (data.ignore), "
            "or take models.mlp"
        )
    return Space(
        [
            *training_dimensions(batch_sizes=(32, 64, 128, 256)),
            Integer(name="num_blocks", low=1, high=3, group=2),
            Integer(name="convs_per_block", low=1, high=2, group=2),
            Integer(name="num_channels", low=8, high=64, log=True, group=2, reopen=True),
            Choice(name="dense_units", values=(0, 64, 128, 256), ordered=True, group=2),
            Choice(name="normalization", values=("none", "batch", "layer"), group=2),
            Choice(name="flip", values=("none", "horizontal"), group=3),
        ]
    )


def defaults(spec: Spec) -> list[dict[str, Any]]:
    """Return published configurations with their sources."""
    del spec
    common: dict[str, Any] = {
        "l1": 0.0,
        "gradient_clip": 0.0,
        "pruning_rate": 0.0,
        "flip": "none",
    }
    return [
        {
            **common,
            "source": "Keras' MNIST convnet (Chollet 2015): 32-64 channels, dropout .5, "
            "Adam 1e-3, batches of 128",
            "optimizer": "adam",
            "learning_rate_adam": 1e-3,
            "schedule": "constant",
            "batch_size": 128,
            "dropout": 0.5,
            "weight_decay": 1e-6,
            "num_blocks": 2,
            "convs_per_block": 1,
            "num_channels": 32,
            "dense_units": 0,
            "normalization": "none",
        },
        {
            **common,
            "source": "He et al. 2016, the CIFAR-10 recipe: SGD .1, momentum .9, weight decay "
            "1e-4, batch normalisation, two drops, batches of 128; 16 channels",
            "optimizer": "sgd",
            "learning_rate_sgd": 0.1,
            "momentum": 0.9,
            "schedule": "step",
            "schedule_decay": 0.01,
            "batch_size": 128,
            "dropout": 0.0,
            "weight_decay": 1e-4,
            "num_blocks": 3,
            "convs_per_block": 1,
            "num_channels": 16,
            "dense_units": 0,
            "normalization": "batch",
        },
    ]


def build(config: Config, spec: Spec) -> nn.Module:
    """Return the network for a configuration."""
    return CNN(config, spec)


class CNN(nn.Module):
    """Blocks of convolutions that double the channels and halve the size; dense head.

    Args:
        config: ``num_blocks``, ``convs_per_block``, ``num_channels`` (of the first block),
            ``dense_units`` (0: straight to the output), ``normalization``, ``dropout``,
            ``flip`` (mirrors every second image while training).
        spec: Shapes; the image is the only input.
    """

    def __init__(self, config: Config, spec: Spec) -> None:
        super().__init__()
        assert spec.image is not None
        before, height, width = spec.image
        channels = int(config["num_channels"])
        layers: list[nn.Module] = []
        for _ in range(int(config["num_blocks"])):
            for _ in range(int(config["convs_per_block"])):
                bias = config["normalization"] == "none"
                layers.append(nn.Conv2d(before, channels, 3, padding=1, bias=bias))
                layers += [*_normalization(config, channels), nn.ReLU()]
                before = channels
            if min(height, width) >= 2:
                layers.append(nn.MaxPool2d(2))
                height, width = height // 2, width // 2
            channels *= 2
        self.flip = config["flip"] == "horizontal"
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.head = _head(config, before * height * width, spec.num_outputs)

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, outputs) from (batch, channels, height, width)."""
        if self.training and self.flip:
            mirrored = torch.rand(len(image), 1, 1, 1, device=image.device) < 0.5
            image = torch.where(mirrored, image.flip(3), image)
        outputs: Tensor = self.head(self.layers(image))
        return outputs


def _head(config: Config, width: int, num_outputs: int) -> nn.Module:
    dropout, units = float(config["dropout"]), int(config["dense_units"])
    layers: list[nn.Module] = [nn.Dropout(dropout)] if dropout > 0 else []
    if units:
        layers += [nn.Linear(width, units), nn.ReLU(), nn.Linear(units, num_outputs)]
    else:
        layers.append(nn.Linear(width, num_outputs))
    return nn.Sequential(*layers)


def _normalization(config: Config, channels: int) -> list[nn.Module]:
    kinds: dict[str, list[nn.Module]] = {
        "none": [],
        "batch": [nn.BatchNorm2d(channels)],
        # Over channels and positions, as layer normalisation does for vectors.
        "layer": [nn.GroupNorm(1, channels)],
    }
    return kinds[str(config["normalization"])]
