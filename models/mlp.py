"""A multi-layer perceptron for tables, and for small images taken as vectors.

Categorical columns go through embeddings of their own width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from search.space import Choice, Integer, Space, training_dimensions

if TYPE_CHECKING:
    from search.space import Config
    from search.task import Spec


def space(spec: Spec) -> Space:
    """Return the search space; every training dimension, depth, width, shape, input noise."""
    del spec
    return Space(
        [
            *training_dimensions(batch_sizes=(32, 64, 128, 256, 512)),
            Integer(name="num_layers", low=1, high=5, group=2),
            Integer(name="num_units", low=16, high=1024, log=True, group=2, reopen=True),
            Choice(name="shape", values=("constant", "funnel"), group=2),
            Choice(name="normalization", values=("none", "batch", "layer"), group=2),
            Choice(name="input_noise", values=(0.0, 0.1, 0.2, 0.4), ordered=True, group=3),
        ]
    )


def defaults(spec: Spec) -> list[dict[str, Any]]:
    """Return published configurations with their sources."""
    del spec
    common: dict[str, Any] = {
        "l1": 0.0,
        "gradient_clip": 0.0,
        "pruning_rate": 0.0,
        "input_noise": 0.0,
    }
    return [
        {
            **common,
            "source": "fastai's tabular_learner (Howard & Gugger 2020): 200-100, batch "
            "normalisation, one-cycle, AdamW 1e-3 with weight decay .01, batches of 64",
            "optimizer": "adamw",
            "learning_rate_adamw": 1e-3,
            "schedule": "one_cycle",
            "batch_size": 64,
            "dropout": 0.0,
            "weight_decay": 1e-2,
            "num_layers": 2,
            "num_units": 200,
            "shape": "funnel",
            "normalization": "batch",
        },
        {
            **common,
            "source": "scikit-learn's MLPClassifier: 100, Adam 1e-3, L2 1e-4, batches of 256 "
            "(the power of two next to its 200)",
            "optimizer": "adam",
            "learning_rate_adam": 1e-3,
            "schedule": "constant",
            "batch_size": 256,
            "dropout": 0.0,
            "weight_decay": 1e-4,
            "num_layers": 1,
            "num_units": 100,
            "shape": "constant",
            "normalization": "none",
        },
        {
            **common,
            "source": "Kingma & Ba 2015 (Adam), section 6.2: 1000-1000, dropout, Adam 1e-3, "
            "batches of 128",
            "optimizer": "adam",
            "learning_rate_adam": 1e-3,
            "schedule": "constant",
            "batch_size": 128,
            "dropout": 0.5,
            "weight_decay": 1e-6,
            "num_layers": 2,
            "num_units": 1000,
            "shape": "constant",
            "normalization": "none",
        },
    ]


def build(config: Config, spec: Spec) -> nn.Module:
    """Return the network for a configuration."""
    return MLP(config, spec)


class MLP(nn.Module):
    """Linear layers with normalisation, ReLU and dropout; linear output.

    Args:
        config: ``num_layers``, ``num_units``, ``shape`` (``funnel`` halves the units from
            layer to layer), ``normalization``, ``dropout``, ``input_noise`` (standard
            deviation of the Gaussian noise on standardised inputs while training, which acts
            as a penalty on the slope: Bishop, 1995).
        spec: Shapes.
    """

    def __init__(self, config: Config, spec: Spec) -> None:
        super().__init__()
        self.embeddings = nn.ModuleList(
            nn.Embedding(cardinality, embedding_width(cardinality))
            for cardinality in spec.categories
        )
        self.input_noise = float(config["input_noise"])
        width = spec.num_numeric + sum(embedding_width(c) for c in spec.categories)
        if spec.image is not None:
            width += spec.image[0] * spec.image[1] * spec.image[2]
        layers: list[nn.Module] = []
        units = int(config["num_units"])
        for _ in range(int(config["num_layers"])):
            layers += [nn.Linear(width, units), *_normalization(config, units), nn.ReLU()]
            if float(config["dropout"]) > 0:
                layers.append(nn.Dropout(float(config["dropout"])))
            width = units
            units = max(units // 2, 8) if config["shape"] == "funnel" else units
        self.layers = nn.Sequential(*layers, nn.Linear(width, spec.num_outputs))

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return (batch, outputs) from image, numeric and categorical inputs, as present."""
        parts: list[Tensor] = []
        for each in inputs:
            if each.dtype == torch.int64:
                codes = each.unbind(dim=1)
                parts += [e(c) for e, c in zip(self.embeddings, codes, strict=True)]
            else:
                parts.append(self._with_noise(each.flatten(1)))
        outputs: Tensor = self.layers(torch.cat(parts, dim=1) if len(parts) > 1 else parts[0])
        return outputs

    def _with_noise(self, values: Tensor) -> Tensor:
        if not self.training or self.input_noise == 0:
            return values
        return values + self.input_noise * torch.randn_like(values)


def embedding_width(cardinality: int) -> int:
    """Return fastai's rule for the width of an embedding: 1.6 n^.56, at most 50."""
    return int(min(50.0, round(1.6 * cardinality**0.56)))


def _normalization(config: Config, units: int) -> list[nn.Module]:
    kinds: dict[str, list[nn.Module]] = {
        "none": [],
        "batch": [nn.BatchNorm1d(units)],
        "layer": [nn.LayerNorm(units)],
    }
    return kinds[str(config["normalization"])]
