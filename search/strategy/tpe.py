"""HyperOpt's tree-structured Parzen estimator (Bergstra et al., 2011), made safe.

HyperOpt sees a flat unit cube; scales and conditions stay with :class:`~search.space.Space`.
An inactive dimension is left out of an observation, which is how HyperOpt itself records the
branches that weren't taken. Failures enter as a finite penalty: as NaN or as nothing they
would draw the search towards them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import hyperopt
import numpy as np
from hyperopt import tpe as hyperopt_tpe
from hyperopt.base import JOB_STATE_DONE, STATUS_OK, Domain

from search.space import Choice, Config, Dimension, Space

_GAMMA = 1.0
"""The best sqrt(n) of n observations are the good ones. HyperOpt's own quarter of that leaves one
or two among twenty, and suggestions no better than random ones."""


@dataclass(frozen=True)
class Observation:
    """A configuration and its loss; infinite when it failed."""

    config: Config
    loss: float


def suggest(
    space: Space, observations: Sequence[Observation], *, seed: int, num_startup: int = 5
) -> Config:
    """Return the configuration that TPE would try next.

    Args:
        space: Where to search.
        observations: Comparable ones: of the same fidelity. Those outside of the space count
            only where they lie inside of a dimension's range.
        seed: The same seed and observations give the same suggestion.
        num_startup: With fewer observations the suggestion is drawn at random.
    """
    if not space.searched:
        return space.from_unit([])
    domain = Domain(lambda config: config, _hyperopt_space(space), pass_expr_memo_ctrl=False)
    trials = hyperopt.Trials()
    losses = finite_losses([each.loss for each in observations])
    documents = [
        _document(number, space, each.config, loss)
        for number, (each, loss) in enumerate(zip(observations, losses, strict=True))
    ]
    if documents:
        trials.insert_trial_docs(documents)
        trials.refresh()
    (new,) = hyperopt_tpe.suggest(
        [len(documents)],
        domain,
        trials,
        seed,
        n_startup_jobs=num_startup,
        gamma=_GAMMA,
        verbose=False,
    )
    values = new["misc"]["vals"]
    return space.from_unit([_unit(d, values[d.name][0]) for d in space.searched])


def finite_losses(losses: Sequence[float]) -> list[float]:
    """Return the losses with each that isn't finite replaced by a penalty.

    The penalty lies as far above the worst finite loss as that lies above the best one.
    """
    finite = [loss for loss in losses if math.isfinite(loss)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    penalty = high + max(high - low, 1.0)
    return [loss if math.isfinite(loss) else penalty for loss in losses]


def _is_categorical(dimension: Dimension) -> TypeGuard[Choice]:
    return isinstance(dimension, Choice) and not dimension.ordered


def _hyperopt_space(space: Space) -> dict[str, Any]:
    return {
        d.name: hyperopt.hp.randint(d.name, len(d.values))
        if _is_categorical(d)
        else hyperopt.hp.uniform(d.name, 0.0, 1.0)
        for d in space.searched
    }


def _unit(dimension: Dimension, value: float) -> float:
    return (value + 0.5) / len(dimension.values) if _is_categorical(dimension) else float(value)


def _document(number: int, space: Space, config: Config, loss: float) -> dict[str, Any]:
    values: dict[str, list[float]] = {}
    for dimension, unit in zip(space.searched, space.to_unit(config), strict=True):
        inside = not math.isnan(unit) and -1e-9 <= unit <= 1 + 1e-9
        if not inside:
            values[dimension.name] = []
        elif _is_categorical(dimension):
            values[dimension.name] = [dimension.values.index(config[dimension.name])]
        else:
            values[dimension.name] = [float(np.clip(unit, 0.0, 1.0))]
    return {
        "tid": number,
        "spec": None,
        "state": JOB_STATE_DONE,
        "result": {"loss": float(loss), "status": STATUS_OK},
        "misc": {
            "tid": number,
            "cmd": ("domain_attachment", "FMinIter_Domain"),
            "workdir": None,
            "idxs": {name: [number] * len(vals) for name, vals in values.items()},
            "vals": values,
        },
        "exp_key": None,
        "owner": None,
        "version": 0,
        "book_time": None,
        "refresh_time": None,
    }
