"""Does a model module keep its contract? The quick look before a run, and the whole test."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from search.data import Dataset
from search.data.batches import Resident
from search.data.phase_rows import RowPlan
from search.errors import ModelError, SieveError, one_line
from search.events import Evaluation
from search.space import Config, Space
from search.task import ModelModule, Spec
from search.training.check_predictor import KEEPS_NOTHING, REMEDY, look_at_predictor
from search.training.job import Job, Rows
from search.training.network import build_network
from search.training.scoring import resolve_metric
from search.training.sessions import open_session

_LOOK_ROWS, _TRAIN_ROWS = 8, 400
_CONFIGS = 5
_POINTS = (256, 512, 768, 1024)


@dataclass(frozen=True)
class Check:
    """One finding of the conformance test."""

    check: str
    status: Literal["PASS", "WARN", "FAIL"]
    message: str


def look_at_network(
    model: ModelModule, config: Config, spec: Spec, data: Resident, rows: Rows
) -> int:
    """Build a network and send a few rows through it.

    Args:
        model: The model module; one with a loop of its own isn't looked at.
        config: What to build.
        spec: Shapes and task.
        data: Resident tensors.
        rows: The parts of a search phase.

    Returns:
        The number of its parameters; 0 for a module with a loop of its own.

    Raises:
        ModelError: ``build`` or ``forward`` raises, or the output has the wrong shape.
    """
    if model.build is None:
        return 0
    inputs, _ = data.batch(rows.train[:_LOOK_ROWS])
    try:
        network = build_network(model, config, spec).eval()
        outputs = network(*inputs)
    except SieveError:
        raise
    except Exception as error:
        raise ModelError(
            f"model {model.path}: build or forward raised {one_line(error)}"
        ) from error
    wanted = (len(inputs[0]), spec.num_outputs)
    if not isinstance(outputs, torch.Tensor) or tuple(outputs.shape) != wanted:
        given = (
            tuple(outputs.shape) if isinstance(outputs, torch.Tensor) else type(outputs).__name__
        )
        raise ModelError(
            f"model {model.path}: the network returns {given} for {wanted[0]} rows; "
            f"it must return {wanted}: one output for each of {spec.num_outputs} "
            + ("classes" if spec.task == "classification" else "targets")
        )
    return sum(parameter.numel() for parameter in network.parameters())


def check_model_on(model: ModelModule, dataset: Dataset) -> list[Check]:
    """Run the conformance test on a few hundred rows of a data set, on the CPU."""
    rows = RowPlan.of(dataset, seed=0).search(_TRAIN_ROWS)
    metric = resolve_metric(None, dataset.spec.task)
    data = Resident(dataset, "cpu")
    return check_model(model, dataset.spec, data, Rows.of(rows), metric=metric, elsewhere=True)


def check_model(
    model: ModelModule,
    spec: Spec,
    data: Resident,
    rows: Rows,
    *,
    metric: str,
    elsewhere: bool = False,
) -> list[Check]:
    """Run the conformance test.

    Args:
        model: The model module.
        spec: Shapes and task.
        data: Resident tensors of some data that the model is for.
        rows: The parts of a search phase.
        metric: A metric of the task.
        elsewhere: Let another process predict, too, which takes it some seconds to start.

    Returns:
        One finding each for space, defaults, shapes, determinism, resume and predictions.
    """
    work = _Conformance(model, spec, data, rows, metric, elsewhere)
    parts: dict[str, Callable[[], str]] = {
        "space": work.space,
        "defaults": work.defaults,
        "shapes": work.shapes,
        "determinism": work.determinism,
        "resume": work.resume,
        "predictions": work.predictions,
    }
    return [_attempt(name, part) for name, part in parts.items()]


@dataclass(frozen=True, eq=False)
class _Conformance:
    """The parts of the test; each returns what is good, or raises what isn't."""

    model: ModelModule
    spec: Spec
    data: Resident
    rows: Rows
    metric: str
    elsewhere: bool

    def space(self) -> str:
        space = self.model.space(self.spec)
        if Space.from_json(space.to_json()) != space:
            raise ModelError("the space changes on its way through JSON; use plain values")
        return f"{len(space)} dimensions"

    def defaults(self) -> str:
        return f"{len(self._defaults())} published, all in the space"

    def _defaults(self) -> list[Config]:
        return [default.config for default in self.model.defaults(self.spec)]

    def shapes(self) -> str:
        for config in self._configs():
            look_at_network(self.model, config, self.spec, self.data, self.rows)
        return f"outputs (rows, {self.spec.num_outputs}) for {_CONFIGS} random configurations"

    def _configs(self) -> list[Config]:
        space = self.model.space(self.spec)
        units = np.random.default_rng(0).random((_CONFIGS, len(space.searched)))
        return [space.from_unit(unit) for unit in units]

    def determinism(self) -> str:
        for config in self._defaults():
            _same(self._train(config), self._train(config), "a second run with the same seed")
        return "the same seed gives the same losses"

    def resume(self) -> str:
        for config in self._defaults() + self._configs():
            whole = self._train(config)
            for cut in range(1, len(whole)):
                _same(whole, self._train(config, cut), f"a run interrupted after evaluation {cut}")
        return "interrupted and resumed gives the same losses, bit for bit"

    def predictions(self) -> str:
        if not self.model.can_predict:
            raise _Lacks(f"{KEEPS_NOTHING}; {REMEDY}")
        for number, config in enumerate(self._defaults()):
            elsewhere = self.elsewhere and number == 0
            look_at_predictor(
                self.model, self._job(config), self.data, self.rows, elsewhere=elsewhere
            )
        return "what is kept of a training predicts what its best evaluation scored"

    def _job(self, config: Config) -> Job:
        return Job(
            "check", config, self.spec, 0, _POINTS[-1], _POINTS, self.metric, early_stopping=False
        )

    def _train(self, config: Config, cut: int | None = None) -> list[Evaluation]:
        return _train(self._job(config), self.model, self.data, self.rows, cut)


class _Lacks(Exception):  # noqa: N818 - the contract allows it
    """The module does without something, which has its price."""


def _attempt(name: str, part: Callable[[], str]) -> Check:
    try:
        return Check(name, "PASS", part())
    except _Lacks as lack:
        return Check(name, "WARN", str(lack))
    except SieveError as error:
        return Check(name, "FAIL", str(error))
    except Exception as error:
        return Check(name, "FAIL", one_line(error))


def _train(
    job: Job, model: ModelModule, data: Resident, rows: Rows, cut: int | None
) -> list[Evaluation]:
    session = open_session(job, model, data, rows)
    for evaluation in session.run():
        if evaluation.evaluation == cut:
            break
    if cut is not None and not session.has_ended:
        buffer = io.BytesIO()
        torch.save(session.state(), buffer)
        buffer.seek(0)
        session = open_session(job, model, data, rows, torch.load(buffer, weights_only=False))
        for _ in session.run():
            pass
    return session.evaluations


def _same(first: list[Evaluation], second: list[Evaluation], what: str) -> None:
    def key(evaluation: Evaluation) -> tuple[Any, ...]:
        values = (evaluation.samples_seen, evaluation.train_loss, evaluation.validation_loss)
        return tuple("nan" if math.isnan(value) else value for value in values)

    if len(first) != len(second):
        raise ModelError(f"{what} has {len(second)} evaluations; it must have {len(first)}")
    for one, other in zip(first, second, strict=True):
        if key(one) != key(other):
            raise ModelError(
                f"{what} differs at evaluation {one.evaluation}: validation loss "
                f"{one.validation_loss!r} and {other.validation_loss!r}"
            )
