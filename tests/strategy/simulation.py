"""A synthetic objective and a synchronous driver: phases run here without Ray or training."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from search.events import (
    Ending,
    Evaluation,
    Event,
    Pause,
    Promotion,
    Trial,
    event_from_json,
    event_to_json,
)
from search.space import Choice, Config, Float, Integer, Space
from search.strategy.asha import Decision
from search.strategy.budget import Ladder
from search.strategy.phase import PhaseStrategy
from search.task import Default

LADDER = Ladder((4, 12, 36, 108), factor=3)

SPACE = Space(
    [
        Choice(name="optimizer", values=("sgd", "adam"), group=1),
        Float(
            name="learning_rate_sgd",
            low=1e-5,
            high=1.0,
            log=True,
            limits=(1e-7, 10.0),
            group=1,
            when={"optimizer": ("sgd",)},
        ),
        Float(
            name="learning_rate_adam",
            low=1e-5,
            high=1e-1,
            log=True,
            limits=(1e-7, 10.0),
            group=1,
            when={"optimizer": ("adam",)},
        ),
        Integer(name="num_layers", low=1, high=5, group=2),
        Choice(name="batch_size", values=(32, 64, 128, 256), ordered=True, group=2),
        Float(
            name="weight_decay",
            low=1e-6,
            high=1e-1,
            log=True,
            limits=(1e-8, 10.0),
            group=3,
            reopen=True,
        ),
    ]
)

DEFAULTS = [
    Default(
        {
            "optimizer": "adam",
            "learning_rate_adam": 1e-4,
            "num_layers": 1,
            "batch_size": 64,
            "weight_decay": 1e-4,
        },
        "a paper",
    ),
    Default(
        {
            "optimizer": "sgd",
            "learning_rate_sgd": 1e-2,
            "num_layers": 5,
            "batch_size": 256,
            "weight_decay": 1e-6,
        },
        "another paper",
    ),
]


def final_loss(config: Config) -> float:
    """Return the loss after a full training; 0.1 at the best, infinite where it diverges."""
    optimizer = str(config["optimizer"])
    rate = math.log10(float(config[f"learning_rate_{optimizer}"]))
    best, edge = {"sgd": (-1.5, -0.5), "adam": (-3.0, -1.5)}[optimizer]
    if rate > edge:
        return math.inf
    decay = math.log10(float(config["weight_decay"]))
    return (
        0.1
        + 0.15 * (rate - best) ** 2
        + 0.05 * (optimizer == "sgd")
        + 0.03 * (int(config["num_layers"]) - 3) ** 2
        + 0.01 * (decay + 4) ** 2
    )


def curve(config: Config, share: float) -> float:
    """Return the loss after ``share`` of a full training, falling towards the final one."""
    return final_loss(config) + 0.5 * math.exp(-6 * share)


@dataclass(frozen=True)
class Step:
    """What a phase answered to an event, and what it would have asked for after it."""

    event: Event
    decision: Decision
    ask: Trial | Promotion | None


def evaluation(trial: Trial, number: int, loss: float, *, seconds: float = 1.0) -> Evaluation:
    """Return a trial's evaluation ``number``."""
    point = trial.points[number - 1]
    return Evaluation(
        trial_id=trial.trial_id,
        evaluation=number,
        point=point,
        samples_seen=point,
        train_loss=loss,
        validation_loss=loss,
        train_metric=0.5,
        validation_metric=0.5,
        learning_rate=0.1,
        seconds=seconds * point,
    )


class Simulation:
    """Drives a phase with a few slots, in a fixed order.

    Some trials raise, some end early, some evaluations are delivered twice. A loss is that of
    ``curve``, where no other is given; trials are ranked by it, where no objective is given.
    """

    def __init__(
        self,
        phase: PhaseStrategy,
        *,
        slots: int = 3,
        faults: bool = True,
        loss: Callable[[Trial, int], float] | None = None,
        objective: Callable[[float], float] | None = None,
    ) -> None:
        self.phase = phase
        self._objective = objective
        self._loss = loss or self._usual
        self.steps: list[Step] = []
        self._slots = slots
        self._faults = faults

    def run(self, max_events: int, *, ask_ahead: bool = False) -> list[Step]:
        """Return what happened until nothing is left or ``max_events`` have come in."""
        self._ask_ahead = ask_ahead
        live: list[tuple[Trial, int]] = []
        while len(self.steps) < max_events:
            while len(live) < self._slots and (job := self._next()) is not None:
                live.append(job)
            if not live:
                break
            moved = [(trial, self._advance(trial, done)) for trial, done in live]
            live = [(trial, done) for trial, done in moved if done]
        return self.steps

    def _next(self) -> tuple[Trial, int] | None:
        wanted = self.phase.wants()
        if wanted is not None:
            self._apply(wanted)
        if self.phase.question is not None:
            self._apply(self.phase.question())
        job = self.phase.ask()
        if job is None:
            return None
        self._apply(job)
        record = self.phase.history[job.trial_id]
        return record.trial, len(record.evaluations)

    def _advance(self, trial: Trial, done: int) -> int:
        """Deliver the next evaluation; return how many there are, 0 when the slot is free."""
        number = int(trial.trial_id[1:]) if trial.trial_id[1:].isdigit() else 1
        if self._faults and number % 9 == 4 and done == 2:
            self._apply(Ending(trial.trial_id, "failed", "RuntimeError: out of memory"))
            return 0
        new = evaluation(trial, done + 1, self._loss(trial, trial.points[done]))
        if self._objective is not None:
            new = replace(new, objective=self._objective(new.validation_loss))
        decision = self._apply(new)
        if self._faults and len(self.steps) % 7 == 0:
            self._apply(new)
        if decision.action == "pause":
            self._apply(Pause(trial.trial_id, decision.reason))
            return 0
        if decision.action == "stop":
            status = "failed" if decision.failed else "stopped"
            self._apply(Ending(trial.trial_id, status, decision.reason))
            return 0
        early = self._faults and number % 5 == 3 and done + 1 == len(trial.points) // 2
        if early or done + 1 == len(trial.points):
            self._apply(Ending(trial.trial_id, "completed", "done", train_seconds=1.0))
            return 0
        return done + 1

    def _usual(self, trial: Trial, point: int) -> float:
        return curve(trial.config, point / self.phase.ladder.full)

    def _apply(self, event: Event) -> Decision:
        decision = self.phase.apply(event)
        ask = self.phase.ask() if self._ask_ahead else None
        self.steps.append(Step(event, decision, ask))
        return decision


def through_json(events: list[Event]) -> list[Event]:
    """Return the events as they come back from a log file."""
    return [event_from_json(json.loads(json.dumps(event_to_json(event)))) for event in events]
