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
from search.training.predictor import kept_file

BEST, MODEL = "best", "best/model.json"
PREPARATION, ENSEMBLE = "best/preparation.json", "best/ensemble.json"


def write_best(
    run: RunDir, winner: Confirmed, data: Dataset, model: ModelModule, metric: str
) -> None:
    """Write the winner: its configuration and what is needed to predict.

    ``model.json`` comes last: where it is, all of it is.
    """
    kept = _kept(run, winner.best_run)
    if kept is not None:
        run.copy(str(kept), f"{BEST}/{kept.name}")
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


def _kept(run: RunDir, trial_id: str) -> Path | None:
    """Return what a run of the proof has left to predict with, within the run directory."""
    path = kept_file(run.path / "confirm" / "trials" / trial_id)
    return None if path is None else path.relative_to(run.path)


def read_confirmed(run: RunDir, confirmed: Sequence[Confirmed], model: ModelModule) -> Read:
    """Return what reads the predictions of the proof's runs.

    Raises:
        NoEnsemble: What these runs trained wasn't kept, so that nothing could predict with them.
    """
    trials = [record.trial.trial_id for each in confirmed for record in each.records]
    without = [trial_id for trial_id in trials if _kept(run, trial_id) is None]
    if not model.can_predict:
        raise NoEnsemble(
            "the model trains in a loop of its own and keeps nothing to predict with; "
            "it has no save_predictor and load_predictor"
        )
    if without:
        raise NoEnsemble(f"the model that {without[0]} trained is missing")

    def read(trial_id: str, part: str) -> Predictions | None:
        return read_part(run.path / "confirm" / "trials" / trial_id, part)

    return read


def write_ensemble(run: RunDir, ensemble: Ensemble | None) -> int:
    """Write what is needed to predict with an ensemble, beside the single winner.

    The members' files are hard links to those in ``confirm/``, where the file system has them:
    they take no room of their own until ``best/`` is copied to another place.

    Args:
        run: The run.
        ensemble: None: there is none, and what an earlier proof left of one goes.

    Returns:
        The size of the members' files, in bytes.
    """
    run.remove(ENSEMBLE)
    if ensemble is None:
        return 0
    described, size = [], 0
    for member in ensemble.members:
        kept = _kept(run, member.trial_id)
        assert kept is not None, "an ensemble is made of runs that were kept"
        name = f"ensemble/{member.trial_id}{kept.suffix}"
        run.link(str(kept), f"{BEST}/{name}")
        size += (run.path / kept).stat().st_size
        about = {"trial_id": member.trial_id, "weight": member.weight, "config": member.config}
        described.append({**about, "weights": name})
    run.write_json(ENSEMBLE, {"members": described})
    return size


@dataclass(frozen=True)
class Part:
    """A trained model of the folder.

    Attributes:
        weight: Of its answers.
        config: What it was trained with.
        kept: What its training has left, see :mod:`search.training.predictor`.
    """

    weight: float
    config: Config
    kept: Path


@dataclass(frozen=True)
class Best:
    """What the folder holds.

    Attributes:
        model: The module's import path or file.
        metric: The study's metric.
        spec: What the module was told of the data.
        preparation: Makes a model's inputs of a table.
        parts: The single winner, or all of the ensemble.
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
            RunDirError: The run isn't complete, keeps no trained model, or has no ensemble.
        """
        if not run.exists(MODEL):
            raise RunDirError(
                f"{run.place} has no best model yet, the run isn't complete; "
                f"'sieve resume {run.place}' goes on with it"
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
    kept = kept_file(run.path / BEST)
    if kept is None:
        raise RunDirError(
            f"{run.place} keeps no trained model: it has a training loop of its own without "
            "save_predictor and load_predictor (README, 'Your own model'); train it with "
            "best/config.yaml, and predict with what you get"
        )
    return Part(1.0, config, kept)


def _members(run: RunDir) -> tuple[Part, ...]:
    if not run.exists(ENSEMBLE):
        result: dict[str, Any] = run.read_json(RESULT) if run.exists(RESULT) else {}
        why = (result.get("ensemble") or {}).get("reason") or "none was made"
        raise RunDirError(f"{run.place} has no ensemble ({why}); predict without --ensemble")
    folder = (run.path / ENSEMBLE).parent
    members = run.read_json(ENSEMBLE)["members"]
    return tuple(Part(m["weight"], m["config"], folder / m["weights"]) for m in members)
