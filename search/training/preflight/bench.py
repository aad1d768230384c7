"""A network on its way through the checks, and the few things that they all do with it."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from search.data.batches import EpochOrder, Position, Resident, batches
from search.space import Config, Space
from search.task import ModelModule, Spec
from search.training.job import Rows
from search.training.network import build_network
from search.training.optimizers import GradientRules, learning_rate, make_optimizer
from search.training.precision import Precision
from search.training.scoring import loss_function

NO_TIME = "no time was left for it"
LOOK_ROWS = 64
CHUNK_ROWS = 256
"""That are evaluated together."""
PART = 0.5
"""Of the time that is left, for one check: what comes after it needs some too."""
NUM_SEEDS = 3
WARM_STEPS = 3
GENTLE = 1e-3
"""A learning rate that does no harm in three steps."""


class OutOfTime(Exception):  # noqa: N818 - it is no mistake
    """The time is up before a check can tell anything; its line says what there was time for."""


def too_few(steps: int) -> OutOfTime:
    """Return what ends a check that so many steps tell nothing."""
    if steps == 0:
        return OutOfTime(NO_TIME)
    made = "1 step" if steps == 1 else f"{steps} steps"
    return OutOfTime(f"there was time for {made} only, too few to tell")


@dataclass
class Bench:
    """A model, one of its configurations, and the data to try it on.

    Attributes:
        model: The model module; it has a ``build``.
        config: What to build.
        spec: Shapes and task.
        data: Resident tensors.
        rows: The parts of a search phase; kept in a random order, so that the first ones of them
            are a sample.
        seconds: What all checks together may take.
        space: What is searched; None: what the module searches by itself.
        clock: Tells the time in seconds.
    """

    model: ModelModule
    config: Config
    spec: Spec
    data: Resident
    rows: Rows
    seconds: float
    space: Space | None = None
    clock: Callable[[], float] = time.perf_counter

    def __post_init__(self) -> None:
        self._began = self.clock()
        self._warmed: dict[int, nn.Module] = {}
        rows = self.rows
        train, validation, probe = map(_mixed, (rows.train, rows.validation, rows.probe))
        self.rows = Rows(train, validation, probe, rows.test).to(self.data.device)
        self.loss = loss_function(self.spec.task)

    @property
    def seconds_left(self) -> float:
        """Until the checks must end."""
        return self._began + self.seconds - self.clock()

    def go_on(self, steps: int) -> None:
        """Break a check off whose time is up.

        Args:
            steps: That it has made.

        Raises:
            OutOfTime: No time is left.
        """
        if self.seconds_left <= 0:
            raise too_few(steps)

    @property
    def batch_size(self) -> int:
        """The configuration's, at most all rows."""
        return min(int(self.config.get("batch_size", 64)), len(self.rows.train))

    def network(self, seed: int = 0, config: Config | None = None) -> nn.Module:
        """Build the network as a trial would."""
        torch.manual_seed(seed)
        module = build_network(self.model, config or self.config, self.spec).to(self.data.device)
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return module

    def warmed(self, seed: int = 0) -> nn.Module:
        """Build the network and train it for three steps: a head that begins with zeros has left.

        One that can't be trained is returned as it was built. The last one is kept, since three
        steps of a slow model take long.

        Raises:
            OutOfTime: No time is left for three steps.
        """
        if seed not in self._warmed:
            self._warmed = {seed: self._warm(seed)}
        return self._warmed[seed]

    def let_go(self) -> None:
        """Let go of the network that :meth:`warmed` keeps: it takes memory."""
        self._warmed.clear()

    def _warm(self, seed: int) -> nn.Module:
        module = self.network(seed)
        training = Training(
            self, module, self.config, self.rows.train, batch_size=self.batch_size, seed=seed
        )
        training.set_learning_rate(min(learning_rate(self.config), GENTLE))
        with contextlib.suppress(RuntimeError):
            for steps, _ in enumerate(training.steps(WARM_STEPS), start=1):
                if steps < WARM_STEPS:
                    self.go_on(steps)
        return module

    def look(self, part: Tensor | None = None) -> tuple[tuple[Tensor, ...], Tensor]:
        """Return inputs and target of a few training rows."""
        rows = self.rows.train if part is None else part
        return self.data.batch(rows[:LOOK_ROWS])

    def loss_of(self, module: nn.Module, rows: Tensor) -> float:
        """Return the mean loss of rows in evaluation mode."""
        return float(self.losses_of(module, rows).mean())

    @torch.no_grad()
    def losses_of(self, module: nn.Module, rows: Tensor, seconds: float = math.inf) -> Tensor:
        """Return the loss of each row in evaluation mode, shape (rows,), on the CPU.

        Where there isn't time for all of them, of the first ones.
        """
        module.eval()
        found = []
        ends = self.clock() + seconds
        precision = Precision(module, self.data.device)
        for chunk in torch.split(rows, CHUNK_ROWS):
            inputs, target = self.data.batch(chunk)
            with precision.region():
                outputs = module(*inputs).float()
            found.append(row_losses(outputs, target, self.spec).cpu())
            if self.clock() >= ends:
                break
        return torch.cat(found)


def names_of(names: list[str]) -> str:
    """Return the first ones of some names, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(f"'{name}'" for name in names[:3]) + more


def _mixed(rows: Tensor) -> Tensor:
    """Return rows in another order: the first ones of a sorted file are all alike."""
    return rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))]


def row_losses(outputs: Tensor, target: Tensor, spec: Spec) -> Tensor:
    """Return the loss of each row, shape (rows,)."""
    if spec.task == "classification":
        return nn.functional.cross_entropy(outputs, target, reduction="none")
    return (outputs.squeeze(-1) - target) ** 2


class Training:
    """Plain training of a network, step by step.

    Args:
        bench: What is trained on.
        module: The network.
        config: Its optimizer and gradient rules.
        rows: To train on.
        batch_size: Rows of a step.
        seed: Of their order.
    """

    def __init__(
        self,
        bench: Bench,
        module: nn.Module,
        config: Config,
        rows: Tensor,
        *,
        batch_size: int,
        seed: int = 0,
    ) -> None:
        self._bench, self._module, self._rows = bench, module, rows
        self._optimizer = make_optimizer(module, config)
        self._rules = GradientRules(module, config)
        self._precision = Precision(module, bench.data.device)
        order = EpochOrder(len(rows), seed, rows.device)
        self._stream = batches(order, Position(), min(batch_size, len(rows)))

    def set_learning_rate(self, rate: float) -> None:
        """Change the learning rate."""
        for group in self._optimizer.param_groups:
            group["lr"] = rate

    def steps(self, number: int, seconds: float = math.inf) -> Iterator[float]:
        """Train for so many steps, or until the time is up; yield each one's loss."""
        ends = self._bench.clock() + seconds
        self._module.train()
        for _ in range(number):
            indices, _ = next(self._stream)
            yield self._step(self._rows[indices])
            if self._bench.clock() >= ends:
                return

    def _step(self, rows: Tensor) -> float:
        inputs, target = self._bench.data.batch(rows)
        self._optimizer.zero_grad(set_to_none=True)
        with self._precision.region():
            loss = self._bench.loss(self._module(*inputs), target)
        loss.backward()  # type: ignore[no-untyped-call]
        self._rules.apply()
        self._optimizer.step()
        return float(loss.detach())


def plain(config: Config) -> Config:
    """Return a configuration without what keeps a network from learning a batch by heart."""
    off = {"dropout": 0.0, "weight_decay": 0.0, "l1": 0.0, "input_noise": 0.0}
    return {**config, **{name: value for name, value in off.items() if name in config}}
