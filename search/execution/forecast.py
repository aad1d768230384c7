"""A whole run in simulated time: how many trials a budget pays for, and what they would find."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from search.execution.simulator import Simulator, World
from search.strategy.budget import Plan
from search.strategy.deadline import Deadline
from search.strategy.method import Method
from search.strategy.phase import PhaseStrategy
from search.trials import History, Record, rank_records


@dataclass(frozen=True)
class PhaseForecast:
    """What a phase would come to.

    Attributes:
        phase: Its name.
        num_trials: Started.
        num_completed: Trained to their end.
        num_failed: Of them all.
        samples: Training samples of all trials together.
        busy_seconds: Of all slots together.
        ends_at: In run time, seconds.
        best_loss: The lowest validation loss at the highest rung that was reached; None when no
            trial reached one.
    """

    phase: str
    num_trials: int
    num_completed: int
    num_failed: int
    samples: int
    busy_seconds: float
    ends_at: float
    best_loss: float | None


@dataclass(frozen=True)
class Forecast:
    """What a run would come to.

    Attributes:
        slots: Trials at a time.
        phases: In their order; only coarse where nothing of it survived.
    """

    slots: int
    phases: tuple[PhaseForecast, ...]

    @property
    def wall_seconds(self) -> float:
        """Of the whole run."""
        return self.phases[-1].ends_at

    @property
    def busy_share(self) -> float:
        """Share of the slots' time that is spent in training and evaluation."""
        busy = sum(phase.busy_seconds for phase in self.phases)
        return busy / (self.slots * self.wall_seconds) if self.wall_seconds > 0 else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the fields, and what follows from them."""
        return {
            **asdict(self),
            "wall_seconds": self.wall_seconds,
            "busy_share": self.busy_share,
        }


def foresee(
    method: Method, plan: Plan, world: World, *, elapsed: float = 0.0, thinks: bool = True
) -> Forecast:
    """Run all phases of a method in simulated time.

    Args:
        method: What to run.
        plan: Its budget.
        world: What trainings say and cost.
        elapsed: Seconds of run time that are used up at the start.
        thinks: Ask models; without, proposals are random, and numbers and times much the same.
    """
    simulator = Simulator(world, method.slots, now=elapsed, thinks=thinks)
    coarse = method.coarse()
    simulator.run(coarse, plan.coarse_ends_at)
    phases = [_sum_up(coarse, simulator.now)]
    narrowed = method.narrow(coarse.history)
    if narrowed is None:
        return Forecast(method.slots, tuple(phases))
    method, _ = method.after(coarse.history)
    fine = method.fine(narrowed.focus, coarse.history)
    deadline = Deadline(lambda: method.fine_ends_at(coarse.history, fine.history, plan))
    simulator.run(fine, lambda: deadline.at(simulator.now))
    phases.append(_sum_up(fine, simulator.now))
    confirm = method.confirm(method.proof(coarse.history, fine.history, plan))
    simulator.run(confirm, math.inf)
    return Forecast(method.slots, (*phases, _sum_up(confirm, simulator.now)))


def _sum_up(phase: PhaseStrategy, now: float) -> PhaseForecast:
    records = list(phase.history)
    return PhaseForecast(
        phase=phase.phase,
        num_trials=len(records),
        num_completed=_count(phase.history, "completed"),
        num_failed=_count(phase.history, "failed"),
        samples=phase.history.samples_seen,
        busy_seconds=sum(record.seconds for record in records),
        ends_at=now,
        best_loss=_best_loss(records, phase),
    )


def _count(history: History, status: str) -> int:
    return sum(record.ending is not None and record.ending.status == status for record in history)


def _best_loss(records: list[Record], phase: PhaseStrategy) -> float | None:
    ranked = rank_records(records, phase.rungs or (phase.ladder.full,))
    return ranked[0].loss if ranked else None
