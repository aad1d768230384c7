"""The study file: every option of a run, with its default, validated.

A study is a YAML file; command-line options and ``--set a.b=c`` are laid over it. The resolved
study is saved with the run and hashed, so that a run directory can't be continued with another.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from search.errors import StudyError, did_you_mean
from search.files import explain_secret

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"


def parse_duration(value: Any) -> float:
    """Read ``90``, ``90s``, ``20m`` or ``1h30m`` as seconds.

    Raises:
        StudyError: It is none of these, or not above 0.
    """
    seconds = 0.0
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str):
        text = value.strip().lower()
        # A number without a unit stands alone: is 1h30 an hour and a half, or 30 s more?
        if re.fullmatch(_NUMBER, text):
            seconds = float(text)
        elif re.fullmatch(rf"(?:{_NUMBER}\s*[smhd]\s*)+", text):
            parts = re.findall(rf"({_NUMBER})\s*([smhd])", text)
            seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not 0 < seconds < math.inf:
        raise StudyError(f"'{value}' is no duration; write seconds, or 90s, 20m, 1h30m")
    return seconds


Duration = Annotated[float, BeforeValidator(parse_duration)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataSection(_Section):
    """What to learn from.

    Attributes:
        uri: ``sklearn:digits|breast_cancer|wine|diabetes``, a Parquet file or folder, a CSV file.
        label: The column to predict; inferred from the usual names when None.
        split: A column with train / validation / test; a column named ``split`` when None.
        ignore: Columns to leave out.
        kinds: Column to ``numeric``, ``categorical``, ``image`` or ``ignore``, where
            inference gets it wrong.
        task: ``classification`` or ``regression``; inferred from the label when None.
        image_shape: (channels, height, width); inferred from the length when None.
    """

    uri: Annotated[str, Field(min_length=1)] = "sklearn:digits"
    label: str | None = None
    split: str | None = None
    ignore: tuple[str, ...] = ()
    kinds: dict[str, Literal["numeric", "categorical", "image", "ignore"]] = {}
    task: Literal["classification", "regression"] | None = None
    image_shape: tuple[int, int, int] | None = None


class ChecksSection(_Section):
    """The look at the data and the model before anything is tuned.

    Attributes:
        audit: Whether to look at the data.
        preflight: Whether to look at the model.
        accept: Checks of either whose failure doesn't stop the run.
    """

    audit: bool = True
    preflight: bool = True
    accept: tuple[str, ...] = ()


class ResourcesSection(_Section):
    """What one trial gets.

    Attributes:
        cpus_per_trial: CPUs, and torch threads.
        gpus_per_trial: GPUs or a fraction; None: where there are GPUs one, or as large a share
            of one as the preflight finds that trials need.
        max_concurrent: Trials at a time; None: as many as fit.
    """

    cpus_per_trial: Annotated[int, Field(ge=1)] = 1
    gpus_per_trial: Annotated[float, Field(ge=0)] | None = None
    max_concurrent: Annotated[int, Field(ge=1)] | None = None


class BudgetSection(_Section):
    """How long a full training is, and the rungs below it.

    Attributes:
        full_epochs: Passes over all training rows in a full run; None: what the time budget
            allows, up to the model's own number or 50 (more on small data).
        reduction_factor: Each rung is this many times the one below; the best 1/factor go on.
        num_rungs: From the shortest to the full run; coarse uses all but the last.
        num_brackets: Brackets of successive halving, side by side: the second begins to compare
            at the second rung, and so on. More than one is for models whose short trainings say
            little about long ones.
    """

    full_epochs: Annotated[float, Field(gt=0)] | None = None
    reduction_factor: Annotated[int, Field(ge=2, le=10)] = 3
    num_rungs: Annotated[int, Field(ge=4, le=8)] = 4
    num_brackets: Annotated[int, Field(ge=1)] = 1


class CoarseSection(_Section):
    """The wide and short phase.

    Attributes:
        num_trials: Trials to start; None: as many as fit the share of the time, without a time
            budget 54.
        share: Of the search's time: of what the proof leaves of the time budget.
        searcher: Who proposes: ``sobol``, random points that spread evenly, or ``grid``, every
            combination of a few values, for at most three searched dimensions. A space of at most
            50 configurations is tried whole, in fine too, whoever proposes otherwise.
        classes: Train each configuration for an eighth of the lowest rung on the rows of so many
            classes, the first ones, before anything else; what fails there never starts. Few
            classes only find what breaks: nothing is ranked by them. None: no such smoke rung.
        order: ``together`` searches all dimensions at once; ``by-group`` the learning rate and the
            optimizer first, then capacity, then regularisation, the others held at the best known
            values; from the second round on the most important group first.
    """

    num_trials: Annotated[int, Field(ge=1)] | None = None
    share: Annotated[float, Field(gt=0, lt=1)] = 0.15
    searcher: Literal["sobol", "grid"] = "sobol"
    classes: Annotated[int, Field(ge=2)] | None = None
    order: Literal["together", "by-group"] = "together"


class NarrowSection(_Section):
    """The step from the coarse space to the fine space.

    Attributes:
        enabled: False keeps the coarse space.
        survivors: Share of the coarse trials that speak for where to look (at least five).
    """

    enabled: bool = True
    survivors: Annotated[float, Field(gt=0, le=1)] = 0.25


class FineSection(_Section):
    """The narrow and long phase.

    Attributes:
        num_trials: Trials to start; None: as many as fit before the time that confirm needs,
            without a time budget 18.
        searcher: Who proposes: ``gp``, a Gaussian process over configuration and fidelity,
            ``tpe``, HyperOpt's, or ``grid``, every combination of a few values of what was
            narrowed to.
        order: ``together`` searches all dimensions at once; ``by-group`` one group after the
            other, the most important first, the others held at the best known values.
    """

    num_trials: Annotated[int, Field(ge=1)] | None = None
    searcher: Literal["gp", "tpe", "grid"] = "gp"
    order: Literal["together", "by-group"] = "together"


class ConfirmSection(_Section):
    """The proof.

    Attributes:
        num_finalists: Configurations beside the baseline.
        num_seeds: Trainings of each.
        workers_per_run: Processes that share each training, with what a trial gets for each: for
            runs on all the data that one GPU would take too long for, or has no memory for.
        share: Of the time budget.
    """

    num_finalists: Annotated[int, Field(ge=1)] = 3
    num_seeds: Annotated[int, Field(ge=2)] = 3
    workers_per_run: Annotated[int, Field(ge=1, le=64)] = 1
    share: Annotated[float, Field(gt=0, lt=1)] = 0.4


class TrainingSection(_Section):
    """How a trial trains.

    Attributes:
        checkpoint_interval_s: At most this many seconds of training are lost to a crash,
            rounded up to the next evaluation.
        early_stopping: End a trial whose validation loss hasn't improved for a third of its
            budget; its best checkpoint counts.
        max_silence_s: End a trial that reports nothing for so long, as failed; None: 20 times what
            reports take, at least two minutes.
        max_checkpoint_bytes: What the states of running and waiting trials may take on disk;
            where it is too little the worst waiting ones begin again when they are called. None:
            what they need.
    """

    checkpoint_interval_s: Annotated[float, Field(ge=0)] = 15.0
    early_stopping: bool = True
    max_silence_s: Duration | None = None
    max_checkpoint_bytes: Annotated[int, Field(ge=1)] | None = None


class Study(_Section):
    """Every option of a run.

    Attributes:
        data: What to learn from; a string is its ``uri``.
        model: An import path or a .py file.
        metric: ``accuracy``, ``balanced_accuracy``, ``f1_macro``, ``rmse``, ``mae``, ``r2``;
            None: accuracy, or rmse for regression. The winner is proven on it.
        promote_by: What trials are ranked by until then: the validation ``loss``, which moves
            before a metric does, or the validation ``metric``.
        time_budget: For the whole run; None: by the numbers of trials.
        seed: Seeds splits, subsamples, sampling and trainings.
        verdicts: Whether curves' verdicts end trainings and move the space; ``off`` leaves that
            to ASHA and the searcher.
        space: Dimension to ``{low, high}``, ``{values}`` or ``{value}`` that replace the
            model's own.
        grid_points: Values of a number on a grid: equally spaced on its scale, both ends among
            them, all where a whole number has no more. Of a choice a grid has all values.
    """

    data: Annotated[
        DataSection, BeforeValidator(lambda v: {"uri": v} if isinstance(v, str) else v)
    ] = DataSection()
    model: str = "models.mlp"
    metric: str | None = None
    promote_by: Literal["loss", "metric"] = "loss"
    time_budget: Duration | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    verdicts: bool = True
    space: dict[str, dict[str, Any]] = {}
    grid_points: Annotated[int, Field(ge=2, le=50)] = 5
    checks: ChecksSection = ChecksSection()
    resources: ResourcesSection = ResourcesSection()
    budget: BudgetSection = BudgetSection()
    coarse: CoarseSection = CoarseSection()
    narrow: NarrowSection = NarrowSection()
    fine: FineSection = FineSection()
    confirm: ConfirmSection = ConfirmSection()
    training: TrainingSection = TrainingSection()

    def to_json(self) -> dict[str, Any]:
        """Return every option, defaults included, as JSON values."""
        return self.model_dump(mode="json")

    @property
    def digest(self) -> str:
        """Identify the resolved study: the first 16 hexadecimal digits of its SHA-256."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


QUICK_START: dict[str, Any] = {"data": {"uri": "sklearn:digits"}, "time_budget": "2m"}
"""The study of ``sieve run`` without any argument."""


def resolve_study(values: dict[str, Any]) -> Study:
    """Validate a study's values.

    Raises:
        StudyError: A key is unknown (with what was probably meant), or a value is wrong.
    """
    try:
        study = Study.model_validate(values)
    except ValidationError as error:
        raise StudyError(_explain(error.errors()[0])) from error
    if why := explain_secret(study.data.uri):
        raise StudyError(f"study key 'data.uri': {why}")
    _check_together(study)
    return study


def _check_together(study: Study) -> None:
    """Refuse values that are right each by itself, and not together."""
    brackets, rungs = study.budget.num_brackets, study.budget.num_rungs
    if brackets >= rungs:
        raise StudyError(
            f"study key 'budget.num_brackets' = {brackets}: coarse compares at {rungs - 1} rungs "
            "and each bracket begins at another one; give fewer brackets, or more budget.num_rungs"
        )
    for phase, section in (("coarse", study.coarse), ("fine", study.fine)):
        if (section.searcher, section.order) == ("grid", "by-group"):
            raise StudyError(
                f"study keys '{phase}.searcher' = 'grid' and '{phase}.order' = 'by-group': a grid "
                "varies all its dimensions together; take another searcher, or order together"
            )
    gpus, workers = study.resources.gpus_per_trial, study.confirm.workers_per_run
    if gpus is not None and gpus > 1 and gpus != int(gpus):
        raise StudyError(
            f"study key 'resources.gpus_per_trial' = {gpus:g}: only one GPU is shared; give "
            f"{int(gpus)} or {int(gpus) + 1}, or a fraction below 1"
        )
    if gpus is not None and 0 < gpus < 1 < workers:
        raise StudyError(
            f"study keys 'resources.gpus_per_trial' = {gpus:g} and 'confirm.workers_per_run' = "
            f"{workers}: processes that train together need a GPU each; give 1 or more GPUs"
        )


def _explain(problem: Any) -> str:
    # A tagged position such as ("data", "uri") names the path; the rest is pydantic's message.
    path = [str(part) for part in problem["loc"]]
    where = ".".join(path)
    if problem["type"] == "extra_forbidden":
        return f"no study key '{where}'" + did_you_mean(path[-1], _keys_beside(path))
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"study key '{where}' = {problem['input']!r}: {message}"


def _keys_beside(path: list[str]) -> list[str]:
    model: type[BaseModel] = Study
    for part in path[:-1]:
        inner = model.model_fields[part].annotation
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return list(model.model_fields)


def load_study_file(path: Path) -> dict[str, Any]:
    """Read a study file's values, without validating them.

    Relative paths in it are meant from the folder where the command is run.

    Raises:
        StudyError: The file is missing, isn't YAML, or isn't a mapping.
    """
    if not path.is_file():
        raise StudyError(f"no study file '{path}'; give an existing .yaml file")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        line = str(error).replace("\n", " ")
        raise StudyError(f"study file {path} isn't valid YAML: {line}") from error
    if not isinstance(values, dict):
        raise StudyError(f"study file {path} is empty or no mapping of keys; see README")
    return values


def overlay(values: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return ``values`` with the dotted ``path`` set; the original is left as it is."""
    head, _, rest = path.partition(".")
    below = values.get(head)
    if head == "data" and isinstance(below, str):
        below = {"uri": below}
    if rest:
        value = overlay(below if isinstance(below, dict) else {}, rest, value)
    return {**values, head: value}


def parse_setting(setting: str) -> tuple[str, Any]:
    """Split ``a.b=c``; the value is read as YAML.

    Raises:
        StudyError: There is no ``=``, no key, or the value isn't YAML.
    """
    path, equals, text = setting.partition("=")
    if not equals or not path.strip():
        raise StudyError(f"--set {setting}: write it as key.key=value")
    try:
        return path.strip(), yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise StudyError(f"--set {setting}: the value isn't valid YAML") from error
