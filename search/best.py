"""The folder ``best/``: what the proof leaves to predict with, the single winner and the ensemble.

It holds all that is needed but the model's module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from search.data import Dataset
from search.data.prepare import Preparation
from search.errors import RunDirError
from search.insight.ensemble import Ensemble
from search.insight.result import Confirmed
from search.insight.selection import NoEnsemble, Read
from search.rundir import RESULT, RunDir
from search.space import Config
from search.task import ModelModule, Spec
from search.training.predictions import Predictions, read_part

MODEL, WEIGHTS = "best/model.json", "best/model.safetensors"
PREPARATION, ENSEMBLE = "best/preparation.json", "best/ensemble.json"


def write_best(
    run: RunDir, winner: Confirmed, data: Dataset, model: ModelModule, metric: str
) -> None:
    """Write the winner: its configuration, its weights and what is needed to predict.

    ``model.json`` comes last: where it is, all of it is.
    """
    weights = _weights(winner.best_run)
    if run.exists(weights):
        run.copy(weights, WEIGHTS)
    run.write_yaml("best/config.yaml", winner.config)
    run.write_json(PREPARATION, data.preparation.to_json())
    run.write_json(
        MODEL,
        {
            "model": model.path,
            "run": winner.best_run,
            "config": winner.config,
            "spec": data.spec.to_json(),
            "label": data.schema.label,
            "metric": metric,
        },
    )


def _weights(trial_id: str) -> str:
    return f"confirm/trials/{trial_id}/model.safetensors"


def read_confirmed(run: RunDir, confirmed: Sequence[Confirmed], model: ModelModule) -> Read:
    """Return what reads the predictions of the proof's runs.

    Raises:
        NoEnsemble: Weights of these runs weren't kept, so that nothing could predict with them.
    """
    trials = [record.trial.trial_id for each in confirmed for record in each.records]
    without = [trial_id for trial_id in trials if not run.exists(_weights(trial_id))]
    if model.train is not None:
        raise NoEnsemble("the model trains in a loop of its own, which keeps no weights")
    if without:
        raise NoEnsemble(f"the weights of {without[0]} are missing")

    def read(trial_id: str, part: str) -> Predictions | None:
        return read_part(run.path / "confirm" / "trials" / trial_id, part)

    return read


def write_ensemble(run: RunDir, ensemble: Ensemble | None) -> int:
    """Write what is needed to predict with an ensemble, beside the single winner.

    The members' weights are hard links to those in ``confirm/``, where the file system has them:
    they take no room of their own until ``best/`` is copied to another place.

    Args:
        run: The run.
        ensemble: None: there is none, and what an earlier proof left of one goes.

    Returns:
        The size of the members' weights, in bytes.
    """
    run.remove(ENSEMBLE)
    members = ensemble.members if ensemble is not None else ()
    size = 0
    for member in members:
        run.link(_weights(member.trial_id), f"best/{member_weights(member.trial_id)}")
        size += (run.path / _weights(member.trial_id)).stat().st_size
    if members:
        described = [
            {
                "trial_id": member.trial_id,
                "weight": member.weight,
                "config": member.config,
                "weights": member_weights(member.trial_id),
            }
            for member in members
        ]
        run.write_json(ENSEMBLE, {"members": described})
    return size


def member_weights(trial_id: str) -> str:
    """Return the file of a member's weights, within ``best/``."""
    return f"ensemble/{trial_id}.safetensors"


@dataclass(frozen=True)
class Part:
    """A trained network of the folder.

    Attributes:
        weight: Of its answers.
        config: What it was trained with.
        weights: The file of its weights.
    """

    weight: float
    config: Config
    weights: Path


@dataclass(frozen=True)
class Best:
    """What the folder holds.

    Attributes:
        model: The module's import path or file.
        metric: The study's metric.
        spec: What the module was told of the data.
        preparation: Makes a model's inputs of a table.
        parts: The single winner's network, or all of the ensemble.
    """

    model: str
    metric: str
    spec: Spec
    preparation: Preparation
    parts: tuple[Part, ...]

    @classmethod
    def read(cls, run: RunDir, *, ensemble: bool = False) -> Self:
        """Read it.

        Args:
            run: The run.
            ensemble: Take the ensemble instead of the single winner.

        Raises:
            RunDirError: The run isn't complete, keeps no weights, or has no ensemble.
        """
        if not run.exists(MODEL):
            raise RunDirError(
                f"{run.path} has no best model yet, the run isn't complete; "
                f"'sieve resume {run.path}' goes on with it"
            )
        about = run.read_json(MODEL)
        return cls(
            about["model"],
            about["metric"],
            Spec.from_json(about["spec"]),
            Preparation.from_json(run.read_json(PREPARATION)),
            _members(run) if ensemble else (_single(run, about["config"]),),
        )


def _single(run: RunDir, config: Config) -> Part:
    if not run.exists(WEIGHTS):
        raise RunDirError(
            f"{run.path} keeps no weights, as its model trains in a loop of its own; train it with "
            "best/config.yaml, and predict with what you get"
        )
    return Part(1.0, config, run.path / WEIGHTS)


def _members(run: RunDir) -> tuple[Part, ...]:
    if not run.exists(ENSEMBLE):
        result: dict[str, Any] = run.read_json(RESULT) if run.exists(RESULT) else {}
        why = (result.get("ensemble") or {}).get("reason") or "none was made"
        raise RunDirError(f"{run.path} has no ensemble ({why}); predict without --ensemble")
    folder = (run.path / ENSEMBLE).parent
    members = run.read_json(ENSEMBLE)["members"]
    return tuple(Part(m["weight"], m["config"], folder / m["weights"]) for m in members)
