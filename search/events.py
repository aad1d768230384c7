"""The events that a phase consists of.

A phase's whole history is a list of events: a :class:`Trial` was started, an
:class:`Evaluation` came in, a trial made a :class:`Pause` at a rung, a :class:`Promotion` called
it again, it reached its :class:`Ending`. Appended to a file as they happen and applied again in
order, they rebuild every decision's state exactly; nothing else needs to survive a crash.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from search.space import Config

Phase = Literal["coarse", "fine", "confirm"]
PHASES: tuple[Phase, ...] = ("coarse", "fine", "confirm")
Status = Literal["completed", "stopped", "failed"]
TOO_SLOW = "too slow"
"""How the reason begins where a trial was stopped since it couldn't be proven in time."""


@dataclass(frozen=True)
class Trial:
    """A configuration to be trained once.

    Attributes:
        trial_id: Unique in the run: the phase's letter and a number.
        phase: The phase that it belongs to.
        source: Who proposed it: ``default:…``, ``around:…``, ``sobol``, ``grid``, ``random``,
            ``survivor:…``, ``look:…``, ``gp``, ``tpe``, ``finalist:…``, ``baseline``.
        config: The configuration.
        seed: Seeds initialisation, data order and dropout.
        budget_samples: Training samples after which it ends; schedules stretch to it.
        points: Training samples at which it is evaluated, rising; the last is the budget.
        division: Which of its phase's rows it is trained and judged on. In coarse 0 is the
            planned subsample, the others are those that it has grown to; in confirm 0 is the
            search's division of the data, the others are the proof's own.
    """

    trial_id: str
    phase: Phase
    source: str
    config: Config
    seed: int
    budget_samples: int
    points: tuple[int, ...]
    division: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", tuple(self.points))  # a list when read from JSON

    @property
    def is_default(self) -> bool:
        """Whether it is a published default of the model."""
        return self.source.startswith("default:")

    @property
    def is_around(self) -> bool:
        """Whether it was drawn around a published default."""
        return self.source.startswith("around:")

    @property
    def is_drawn(self) -> bool:
        """Whether nothing that was known led to it."""
        return self.source in {"sobol", "random", "grid"}


@dataclass(frozen=True)
class Probes:
    """What the last step before an evaluation looked like.

    Attributes:
        gradient_norm: Of all weight matrices and kernels together, before any clipping.
        gradient_ratio: By how much two neighbouring layers' gradients differ at most.
        update_ratio: Norm of a layer's update by that of its weights, the median over the layers.
        dead_units: Share of the hidden units whose gradient was zero on the whole batch.
        clipped_steps: Share of the steps since the evaluation before whose gradient was clipped.
    """

    gradient_norm: float = math.nan
    gradient_ratio: float = math.nan
    update_ratio: float = math.nan
    dead_units: float = math.nan
    clipped_steps: float = 0.0


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of a trial during training.

    Attributes:
        trial_id: The trial.
        evaluation: 1, 2, 3 …
        point: The planned number of training samples; rungs are among these.
        samples_seen: The true number, up to a batch more.
        train_loss: Mean loss on a fixed slice of training rows, network in evaluation mode.
        validation_loss: Mean loss on the validation rows.
        train_metric: The study's metric on that slice.
        validation_metric: The study's metric on the validation rows.
        learning_rate: In force when it was taken.
        seconds: Training and evaluation so far.
        eval_seconds: Of these, evaluation's; 0 where it isn't known.
        probes: Of the step before it; None where the training has a loop of its own.
        objective: What trials are ranked by, lower is better, where the study promotes by the
            metric; None: the validation loss.
    """

    trial_id: str
    evaluation: int
    point: int
    samples_seen: int
    train_loss: float
    validation_loss: float
    train_metric: float
    validation_metric: float
    learning_rate: float
    seconds: float
    eval_seconds: float = 0.0
    probes: Probes | None = None
    objective: float | None = None

    def __post_init__(self) -> None:
        probes: Any = self.probes
        if isinstance(probes, dict):  # when read from JSON
            object.__setattr__(self, "probes", Probes(**probes))

    @property
    def value(self) -> float:
        """What trials are ranked by: lower is better."""
        return self.validation_loss if self.objective is None else self.objective


@dataclass(frozen=True)
class Asked:
    """A model was asked for proposals, on what was known at that moment.

    Attributes:
        number: Of the question, from 0.
    """

    number: int


@dataclass(frozen=True)
class Proposals:
    """Configurations that a model proposes to try next.

    Attributes:
        configs: In the order in which to try them.
        source: What proposes them: ``gp``, ``tpe``.
        state: What the model wants to find again at the next question.
        changes: Of the space, on the evidence of that moment, as JSON.
    """

    configs: tuple[Config, ...]
    source: str
    state: tuple[float, ...] = ()
    changes: tuple[dict[str, Any], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "configs", tuple(self.configs))  # lists when read from JSON
        object.__setattr__(self, "state", tuple(self.state))
        object.__setattr__(self, "changes", tuple(self.changes))


@dataclass(frozen=True)
class Growth:
    """Trials that start from now on are trained on more rows.

    Attributes:
        division: Theirs: the next of the phase's nested subsamples.
        reason: In words.
        numbers: What the decision rests on.
    """

    division: int
    reason: str
    numbers: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Pause:
    """A trial waits at a rung, its state saved, its slot free.

    Attributes:
        trial_id: The trial.
        reason: In words.
        vitals: The fields of an :class:`Ending` that are known so far.
    """

    trial_id: str
    reason: str
    vitals: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Promotion:
    """A paused trial is called to go on.

    Attributes:
        trial_id: The trial.
        rung: Samples at which it is judged next.
        reason: In words.
        is_look: It was drawn by lot for a second look, whatever its rank.
    """

    trial_id: str
    rung: int
    reason: str
    is_look: bool = False


@dataclass(frozen=True)
class Ending:
    """How a trial ended.

    Attributes:
        trial_id: The trial.
        status: ``completed`` (its budget, or early stopping), ``stopped`` (by a decision),
            ``failed`` (diverged, raised, or its process died).
        reason: In words.
        train_seconds: Spent in training steps.
        eval_seconds: Spent in evaluations.
        start_seconds: From the end of the process's trial before to this one's start; None
            for a process's first trial.
        started_at: Unix time.
        ended_at: Unix time.
        num_parameters: Of the network.
        samples_seen: Training samples, those after the last evaluation included.
        sparsity: Share of prunable weights that are zero at the end.
        test_loss: In the confirm phase, of the best checkpoint.
        test_metric: Likewise.
        error: A traceback, where there is one.
    """

    trial_id: str
    status: Status
    reason: str
    train_seconds: float = 0.0
    eval_seconds: float = 0.0
    start_seconds: float | None = None
    started_at: float = math.nan
    ended_at: float = math.nan
    num_parameters: int = 0
    samples_seen: int = 0
    sparsity: float = 0.0
    test_loss: float | None = None
    test_metric: float | None = None
    error: str | None = None

    @property
    def is_too_slow(self) -> bool:
        """Whether it was stopped since a full run of it couldn't be proven in time."""
        return self.status == "stopped" and self.reason.startswith(TOO_SLOW)


Event = Trial | Evaluation | Pause | Promotion | Ending | Asked | Proposals | Growth
_KINDS: dict[str, type[Event]] = {
    "trial": Trial,
    "evaluation": Evaluation,
    "pause": Pause,
    "promotion": Promotion,
    "ending": Ending,
    "asked": Asked,
    "proposals": Proposals,
    "growth": Growth,
}


def event_to_json(event: Event) -> dict[str, Any]:
    """Return an event as JSON values with its kind under ``event``."""
    kind = next(name for name, cls in _KINDS.items() if isinstance(event, cls))
    return {"event": kind, **asdict(event)}


def event_from_json(values: Any) -> Event:
    """Read what :func:`event_to_json` wrote.

    Raises:
        ValueError, TypeError, KeyError: It isn't an event.
    """
    if not isinstance(values, dict):
        raise TypeError(f"{values!r} is no event")
    fields = {key: value for key, value in values.items() if key not in ("event", "elapsed")}
    return _KINDS[values["event"]](**fields)
