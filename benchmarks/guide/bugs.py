"""Networks and set-ups with a bug that a preflight should find."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import torch
from torch import Tensor, nn

from search.space import Config, Space, training_dimensions
from search.task import ModelModule, Spec

WIDTH = 32
CONFIG: Config = {
    "optimizer": "adam",
    "learning_rate_adam": 1e-3,
    "schedule": "constant",
    "batch_size": 32,
    "dropout": 0.0,
    "weight_decay": 0.0,
    "l1": 0.0,
    "gradient_clip": 0.0,
    "pruning_rate": 0.0,
}


class Net(nn.Module):
    """A sound network; bugs change one thing of it.

    Args:
        spec: What it is for; numeric inputs.
    """

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.first = nn.Linear(spec.num_numeric, WIDTH)
        self.norm = nn.BatchNorm1d(WIDTH)
        self.second = nn.Linear(WIDTH, WIDTH)
        self.last = nn.Linear(WIDTH, spec.num_outputs)

    def hidden(self, numeric: Tensor) -> Tensor:
        """Return what the last layer gets."""
        return torch.relu(self.second(torch.relu(self.norm(self.first(numeric)))))

    def forward(self, numeric: Tensor) -> Tensor:
        """Return the outputs."""
        outputs: Tensor = self.last(self.hidden(numeric))
        return outputs


class SoftmaxOutput(Net):
    """The loss has a softmax of its own."""

    def forward(self, numeric: Tensor) -> Tensor:
        """Return probabilities."""
        return torch.softmax(super().forward(numeric), 1)


class ReluOutput(Net):
    """An output that can't be negative."""

    def forward(self, numeric: Tensor) -> Tensor:
        """Return what isn't negative."""
        return torch.relu(super().forward(numeric))


class SigmoidOutput(Net):
    """An output that is bound."""

    def forward(self, numeric: Tensor) -> Tensor:
        """Return numbers between 0 and 1."""
        return torch.sigmoid(super().forward(numeric))


class OneOutputTooFew(Net):
    """A class without an output."""

    def forward(self, numeric: Tensor) -> Tensor:
        """Return all outputs but one."""
        return super().forward(numeric)[:, :-1]


class Detached(Net):
    """The first layers aren't trained."""

    def hidden(self, numeric: Tensor) -> Tensor:
        """Return it without its gradient."""
        return super().hidden(numeric).detach()


class UnusedLayer(Net):
    """A layer that was forgotten."""

    def hidden(self, numeric: Tensor) -> Tensor:
        """Return the first layer's output."""
        return torch.relu(self.norm(self.first(numeric)))


class InputIgnored(Net):
    """Looks at nothing."""

    def forward(self, numeric: Tensor) -> Tensor:
        """Return the same for every row."""
        return super().forward(torch.zeros_like(numeric))


class HugeWeights(Net):
    """Begins with weights a thousand times too large."""

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        with torch.no_grad():
            self.last.weight.mul_(1000.0)


class AllAlike(Net):
    """All units begin alike, and stay so."""

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        for layer in (self.first, self.second, self.last):
            nn.init.constant_(layer.weight, 0.01)
            nn.init.zeros_(layer.bias)


class DeadUnits(Net):
    """No unit is ever on."""

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        nn.init.constant_(self.second.bias, -100.0)


class DropoutInEvaluation(Net):
    """Dropout that isn't told of evaluation."""

    def hidden(self, numeric: Tensor) -> Tensor:
        """Return it with a half dropped."""
        return nn.functional.dropout(super().hidden(numeric), 0.5)


class BatchStatisticsInEvaluation(Net):
    """Normalised by whatever stands in the batch."""

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.norm = nn.BatchNorm1d(WIDTH, track_running_stats=False)


class FrozenStatistics(Net):
    """Evaluates with the statistics that it was built with."""

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.norm = nn.BatchNorm1d(WIDTH, momentum=0.0)
        with torch.no_grad():
            self.first.bias.add_(50.0)


class RowsMixed(Net):
    """A mean over the batch in the place of one over the features."""

    def hidden(self, numeric: Tensor) -> Tensor:
        """Return it without the batch's mean."""
        hidden = super().hidden(numeric)
        return hidden - hidden.mean(0, keepdim=True)


class UnscaledInput(Net):
    """Undoes the scaling of the inputs."""

    def forward(self, numeric: Tensor) -> Tensor:
        """Return the outputs of what is far too large."""
        return super().forward(numeric * 10_000.0)


class LogOfNegative(Net):
    """Takes the logarithm of what may be negative."""

    def forward(self, numeric: Tensor) -> Tensor:
        """Return NaN for most rows."""
        return super().forward(torch.log(numeric))


class OutputsTurnedInEvaluation(Net):
    """Another order of the classes in evaluation."""

    def forward(self, numeric: Tensor) -> Tensor:
        """Return the outputs, in evaluation turned by one."""
        outputs = super().forward(numeric)
        return outputs if self.training else outputs.roll(1, 1)


class NoGradient(Net):
    """Forgot to leave inference mode."""

    def forward(self, numeric: Tensor) -> Tensor:
        """Return the outputs without any gradient."""
        with torch.no_grad():
            return super().forward(numeric)


_CALLS = itertools.count()


class UnseededWeights(Net):
    """Draws from a generator of its own, that nobody seeds."""

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        generator = torch.Generator().manual_seed(next(_CALLS))
        with torch.no_grad():
            self.first.weight.normal_(0.0, 0.2, generator=generator)


class NoiseOfNumpy(Net):
    """Draws noise from numpy while it trains, which no seed of torch's reaches."""

    def hidden(self, numeric: Tensor) -> Tensor:
        """Return it, while training with noise."""
        hidden = super().hidden(numeric)
        if not self.training:
            return hidden
        noise = np.random.default_rng().normal(0.0, 0.1, hidden.shape)
        return hidden + torch.from_numpy(noise).to(hidden)


class TrainedOnOtherLabels(Net):
    """Sound; the labels are shuffled against the rows."""


@dataclass(frozen=True)
class Bug:
    """A model with a bug.

    Attributes:
        name: Of the bug.
        build: Makes the network.
        config: That it is tried with.
        shuffles_labels: The bug is in the data.
    """

    name: str
    build: Callable[[Spec], nn.Module]
    config: Config
    shuffles_labels: bool = False

    @property
    def model(self) -> ModelModule:
        """As a model module."""
        return module_of(self.build, self.config)


def module_of(build: Callable[[Spec], nn.Module], config: Config = CONFIG) -> ModelModule:
    """Return a model module that builds a network, whatever its configuration."""
    module = ModuleType("buggy")
    contents = {
        "space": lambda spec: Space([*training_dimensions()]),  # noqa: ARG005
        "defaults": lambda spec: [{"source": "here", **config}],  # noqa: ARG005
        "build": lambda config, spec: build(spec),  # noqa: ARG005
    }
    vars(module).update(contents)
    return ModelModule("buggy", module)


BUGS = (
    *(
        Bug(kind.__name__, kind, CONFIG)
        for kind in (
            SoftmaxOutput,
            ReluOutput,
            SigmoidOutput,
            OneOutputTooFew,
            Detached,
            UnusedLayer,
            InputIgnored,
            HugeWeights,
            AllAlike,
            DeadUnits,
            DropoutInEvaluation,
            BatchStatisticsInEvaluation,
            FrozenStatistics,
            RowsMixed,
            UnscaledInput,
            LogOfNegative,
            OutputsTurnedInEvaluation,
            NoGradient,
            UnseededWeights,
            NoiseOfNumpy,
        )
    ),
    Bug("ShuffledLabels", TrainedOnOtherLabels, CONFIG, shuffles_labels=True),
    Bug("RateFarTooLow", Net, {**CONFIG, "learning_rate_adam": 1e-9}),
    Bug("RateFarTooHigh", Net, {**CONFIG, "learning_rate_adam": 1e2}),
)
