"""Real trainings with a planted cause: what a curve's verdict should find.

A cause counts as planted only where its cure helps: the same training without it must come
clearly further. So a label never rests on the curve that is to be judged.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.guide.ground import open_data
from models import mlp
from search.data.subsample import subsample
from search.events import Ending, Trial
from search.insight.curves import Name, Scale
from search.space import Config
from search.task import ModelModule
from search.training.job import Job, Rows
from search.training.session import NetworkSession
from search.trials import Record

DATA = {
    "letter": "class",
    "covertype_16pct": "Cover_Type",
    "adult": "income",
    "fashion_mnist": "label",
    "digits": "label",
    "california_housing": "target",
}
ROWS, FEW_ROWS, MANY_ROWS, VALIDATION_ROWS, PROBE_ROWS = 2_000, 500, 8_000, 1_000, 500
NUM_EVALUATIONS = 24
LONGEST = 60 * ROWS
LONGER = 10 * LONGEST
"""No training takes more samples than these."""
ASLEEP = 0.5
"""A training ended with dead units where no validation row wakes more than this share."""
HELPS = 0.08
"""A cause's cure must bring this much on the scale of the best known training."""
RATES = {"adam": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2), "sgd": (1e-3, 1e-2, 3e-2, 1e-1, 3e-1)}


@dataclass(frozen=True)
class Planted:
    """A training and why it came out as it did."""

    record: Record
    scale: Scale
    label: Name
    data: str


class Dead(nn.Module):
    """An MLP whose hidden units never wake."""

    def __init__(self, config: Config, spec: Any) -> None:
        super().__init__()
        self.inner = mlp.MLP(config, spec)
        for part in list(self.inner.layers)[:-1]:
            if isinstance(part, nn.Linear):
                nn.init.constant_(part.bias, -30.0)

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Return the outputs."""
        outputs: torch.Tensor = self.inner(*inputs)
        return outputs


def _dead_model() -> ModelModule:
    module = ModuleType("dead")
    module.build = Dead  # type: ignore[attr-defined]
    return ModelModule("dead.py", module)


MODEL = ModelModule("models.mlp", mlp)


@dataclass(frozen=True)
class Known:
    """What some trainings without a fault have told of an optimizer.

    Attributes:
        rate: The learning rate that comes furthest in a training of usual length.
        enough: Samples after which a long training had nearly all of its gain.
        best: Its lowest validation loss.
    """

    rate: float
    enough: int
    best: float


class Ground:
    """A data set, with what is known of training on it.

    Args:
        folder: Of the data.
        name: Of the data set.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.dataset, self._plan, self._resident = open_data(folder, name, DATA[name])
        self.chance = self._chance()

    def _chance(self) -> float:
        if self.dataset.spec.task == "regression":
            return 1.0
        shares = np.bincount(self.dataset.strata) / len(self.dataset.strata)
        present = shares[shares > 0]
        return float(-(present * np.log(present)).sum())

    def rows(self, number: int) -> Rows:
        """Return the parts with so many training rows."""
        train = subsample(self._plan.train, number)
        return Rows.of(
            {
                "train": train,
                "validation": subsample(self._plan.validation, VALIDATION_ROWS),
                "probe": subsample(train, PROBE_ROWS),
            }
        )

    def train(
        self, config: Config, budget: int, seed: int, *, rows: int = ROWS, dead: bool = False
    ) -> Record:
        """Train, and return what a run would have recorded."""
        points = tuple(int(p) for p in np.linspace(0, budget, NUM_EVALUATIONS + 1)[1:])
        job = Job("t", config, self.dataset.spec, seed, budget, points, self._metric, 1.0, False)
        model = _dead_model() if dead else MODEL
        session = NetworkSession(job, model, self._resident, self.rows(rows))
        record = Record(Trial("t", "coarse", "planted", config, seed, budget, points))
        record.evaluations = list(session.run())
        asleep = self._asleep(session)
        outcome = session.outcome()
        record.ending = Ending("t", outcome.status, outcome.reason, sparsity=asleep)
        return record

    @torch.no_grad()
    def _asleep(self, session: NetworkSession) -> float:
        """Return the share of hidden units that no validation row wakes at the end."""
        seen: list[torch.Tensor] = []
        hidden = [part for part in session.module.modules() if isinstance(part, nn.ReLU)]
        hooks = [
            part.register_forward_hook(lambda _m, _i, out: seen.append((out > 0).any(0)))
            for part in hidden
        ]
        session.predict(self.rows(ROWS).validation[:256])
        for hook in hooks:
            hook.remove()
        return 1.0 - float(torch.cat(seen).float().mean())

    @property
    def _metric(self) -> str:
        return "accuracy" if self.dataset.spec.task == "classification" else "rmse"

    @cached_property
    def known(self) -> dict[str, Known]:
        """What is known of each optimizer."""
        return {optimizer: self._get_to_know(optimizer) for optimizer in RATES}

    def _get_to_know(self, optimizer: str) -> Known:
        tried = {r: self.train(usual(optimizer, r), LONGEST // 6, 0).loss for r in RATES[optimizer]}
        rate = min(tried, key=tried.__getitem__)
        longest = self.train(usual(optimizer, rate, dropout=0.3, weight_decay=1e-4), LONGEST, 0)
        aim = longest.loss + 0.02 * (self.chance - longest.loss)
        enough = next(e.point for e in longest.evaluations if e.validation_loss <= aim)
        return Known(rate, enough, longest.loss)

    @property
    def best(self) -> float:
        """The lowest loss that is known."""
        return min(known.best for known in self.known.values())

    @property
    def scale(self) -> Scale:
        """Of these data."""
        return Scale(self.chance, self.best)


def usual(optimizer: str, rate: float, **changes: Any) -> Config:
    """Return a sound configuration with changes."""
    config: Config = {
        "optimizer": optimizer,
        f"learning_rate_{optimizer}": rate,
        "momentum": 0.9,
        "schedule": "constant",
        "batch_size": 64,
        "dropout": 0.0,
        "weight_decay": 0.0,
        "l1": 0.0,
        "gradient_clip": 0.0,
        "pruning_rate": 0.0,
        "num_layers": 2,
        "num_units": 128,
        "shape": "constant",
        "normalization": "none",
        "input_noise": 0.0,
    }
    return {**config, **changes}


@dataclass(frozen=True)
class Draw:
    """What is left to chance in a plant."""

    ground: Ground
    rng: np.random.Generator

    @property
    def seed(self) -> int:
        """Of the training."""
        return int(self.rng.integers(2**31))

    def between(self, low: float, high: float) -> float:
        """Return a number from a range."""
        return float(self.rng.uniform(low, high))

    def choose(self, *values: Any) -> Any:
        """Return one of the values."""
        return values[int(self.rng.integers(len(values)))]

    def sound(self) -> tuple[str, Config]:
        """Return an optimizer and a configuration with nothing wrong."""
        optimizer = self.choose("adam", "sgd")
        rate = self.ground.known[optimizer].rate * 10 ** self.between(-0.3, 0.1)
        shape = {
            "num_layers": self.choose(1, 2, 3),
            "num_units": self.choose(64, 128, 256),
            "normalization": self.choose("none", "batch"),
            "schedule": self.choose("cosine", "one_cycle", "constant"),
        }
        return optimizer, usual(optimizer, rate, **shape)


Plant = Callable[[Draw], tuple[Record, Record | None]]
"""Returns the training, and the one with the cause cured where that must come further."""


def _rescaled(optimizer: str, config: Config, factor: float) -> Config:
    name = f"learning_rate_{optimizer}"
    return {**config, name: float(config[name]) * factor}


def _healthy(draw: Draw) -> tuple[Record, Record | None]:
    optimizer, config = draw.sound()
    config |= {"dropout": draw.choose(0.0, 0.3), "schedule": draw.choose("cosine", "one_cycle")}
    budget = int(draw.ground.known[optimizer].enough * draw.between(0.9, 1.5))
    return draw.ground.train(config, budget, draw.seed), None


def _lr_too_low(draw: Draw) -> tuple[Record, Record | None]:
    optimizer, config = draw.sound()
    budget, seed = draw.ground.known[optimizer].enough, draw.seed
    low = _rescaled(optimizer, config, 10 ** -draw.between(2.0, 3.5))
    return draw.ground.train(low, budget, seed), draw.ground.train(config, budget, seed)


def _lr_up(decades: tuple[float, float]) -> Plant:
    def plant(draw: Draw) -> tuple[Record, Record | None]:
        optimizer, config = draw.sound()
        config |= {"schedule": "constant"}
        budget, seed = draw.ground.known[optimizer].enough, draw.seed
        high = _rescaled(optimizer, config, 10 ** draw.between(*decades))
        return draw.ground.train(high, budget, seed), draw.ground.train(config, budget, seed)

    return plant


def _noisy(draw: Draw) -> tuple[Record, Record | None]:
    optimizer, config = draw.sound()
    config |= {"schedule": "constant", "normalization": "none", "num_units": 64}
    budget, seed = min(20_000, draw.ground.known[optimizer].enough), draw.seed
    # A rate for batches of 64 would kill the units; this one only swings.
    tiny = _rescaled(optimizer, config, draw.between(0.1, 0.3)) | {"batch_size": draw.choose(2, 4)}
    return draw.ground.train(tiny, budget, seed), draw.ground.train(config, budget, seed)


def _overfitting(draw: Draw) -> tuple[Record, Record | None]:
    _, config = draw.sound()
    config |= {"num_units": 256, "schedule": "constant"}
    budget, seed = int(FEW_ROWS * draw.between(60, 150)), draw.seed
    few = draw.ground.train(config, budget, seed, rows=FEW_ROWS)
    return few, draw.ground.train(config, budget, seed, rows=ROWS)


def _underfitting(draw: Draw) -> tuple[Record, Record | None]:
    optimizer, config = draw.sound()
    config |= {"normalization": "none", "num_layers": 1}
    budget, seed = draw.ground.known[optimizer].enough * 4, draw.seed
    small = {**config, "num_units": draw.choose(1, 2, 3)}
    return draw.ground.train(small, budget, seed), draw.ground.train(config, budget, seed)


def _still_improving(draw: Draw) -> tuple[Record, Record | None]:
    optimizer, config = draw.sound()
    config |= {"schedule": "constant"}
    enough, seed = draw.ground.known[optimizer].enough, draw.seed
    short = int(enough * draw.between(0.03, 0.12))
    return draw.ground.train(config, short, seed), draw.ground.train(config, enough, seed)


def _too_long(draw: Draw) -> tuple[Record, Record | None]:
    optimizer, config = draw.sound()
    config |= {"dropout": 0.3, "weight_decay": 1e-3, "num_units": 64, "num_layers": 1}
    config |= {"schedule": draw.choose("constant", "step"), "schedule_decay": 0.1}
    config |= {"batch_size": 256}
    budget = min(LONGER, int(draw.ground.known[optimizer].enough * draw.between(20, 40)))
    return draw.ground.train(config, budget, draw.seed, rows=MANY_ROWS), None


def _dead(draw: Draw) -> tuple[Record, Record | None]:
    optimizer, config = draw.sound()
    config |= {"normalization": "none", "num_layers": draw.choose(1, 2)}
    budget, seed = draw.ground.known[optimizer].enough, draw.seed
    record = draw.ground.train(config, budget, seed, dead=True)
    return record, draw.ground.train(config, budget, seed)


PLANTS: dict[Name, Plant] = {
    "healthy": _healthy,
    "lr-too-low": _lr_too_low,
    "lr-high": _lr_up((0.5, 1.3)),
    "diverged": _lr_up((1.5, 3.0)),
    "exploding": _lr_up((2.5, 4.5)),
    "noisy": _noisy,
    "overfitting": _overfitting,
    "underfitting": _underfitting,
    "still-improving": _still_improving,
    "too-long": _too_long,
    "dead": _dead,
}


def plant(ground: Ground, label: Name, number: int) -> Planted | None:
    """Return a training with a planted cause; None where its cure doesn't help.

    A learning rate that is far too high for its batches ends in one of four ways, and which one is
    an event: a loss that isn't finite, one above four times the start, units that nothing wakes, or
    none of it. So may end what should have been healthy.
    """
    draw = Draw(ground, np.random.default_rng([number, *map(ord, label + ground.name)]))
    record, cured = PLANTS[label](draw)
    if cured is not None and _gain(ground.scale, record, cured) < HELPS:
        return None
    if label in ("lr-high", "diverged", "exploding"):
        label = _ended(record, otherwise="lr-high")
    elif label in ("noisy", "healthy"):
        label = _ended(record, otherwise=label)
    return Planted(record, ground.scale, label, ground.name)


def _gain(scale: Scale, record: Record, cured: Record) -> float:
    last = record.evaluations[-1].validation_loss
    worst = last if math.isfinite(last) else scale.chance + 1.0
    return (worst - cured.loss) / (scale.chance - scale.best)


def _ended(record: Record, *, otherwise: Name) -> Name:
    assert record.ending is not None
    if record.ending.status != "failed":
        return "dead" if record.ending.sparsity > ASLEEP else otherwise
    losses = [x for e in record.evaluations for x in (e.train_loss, e.validation_loss)]
    finite = all(map(math.isfinite, losses)) and "batch" not in record.ending.reason
    return "diverged" if finite else "exploding"
