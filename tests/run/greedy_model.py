"""A network, and values with which it takes more memory than a GPU has, or breaks its context."""

import torch
from torch import nn

from search.space import Choice, Float, Space


def space(spec):
    kind = Choice(name="kind", values=("sound", "greedy", "breaks"))
    return Space([Float(name="learning_rate", low=1e-3, high=1e-1, log=True), kind])


def defaults(spec):
    return [{"learning_rate": 1e-2, "kind": "sound", "source": "a textbook"}]


class Net(nn.Module):
    """One layer."""

    def __init__(self, spec, kind):
        super().__init__()
        self.layer, self.kind = nn.Linear(spec.num_numeric, spec.num_outputs), kind

    def forward(self, numeric):
        if self.kind == "greedy" and self.training:
            torch.empty(1 << 40, dtype=torch.uint8, device=numeric.device)
        if self.kind == "breaks" and self.training:
            nn.functional.one_hot(torch.full((2,), 7, device=numeric.device), 3).sum().item()
            numeric[torch.full((2,), 1 << 30, device=numeric.device)].sum().item()
        return self.layer(numeric)


def build(config, spec):
    return Net(spec, config["kind"])
