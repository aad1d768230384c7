"""A phase as a pure object: ask it for trials, tell it events, it answers with decisions.

Its whole state follows from its arguments and the events applied to it. Applying a log of
events to a fresh phase restores it; whoever drives it (Ray, a simulator, a test) is of no
matter to it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import numpy as np

from search.space import Config, Space
from search.strategy.asha import CONTINUE, Asha, Decision
from search.strategy.budget import Ladder
from search.trials import Ending, Evaluation, Event, History, Phase, Record, Trial

MIN_JUDGED = 5
"""A search phase whose time is up goes on until so many trials have been judged."""

Proposal = tuple[Config, str]
"""A configuration and its source."""


class PhaseStrategy(ABC):
    """What a driver needs of a phase.

    Attributes:
        phase: Its name.
        ladder: The rungs, and with them the evaluation points.
        history: What has happened so far.
        rungs: Where it decides on a trial beyond whether it has failed; none by default.
    """

    rungs: tuple[int, ...] = ()

    def __init__(self, phase: Phase, ladder: Ladder) -> None:
        self.phase = phase
        self.ladder = ladder
        self.history = History()
        self._stopped: dict[str, Decision] = {}

    @abstractmethod
    def ask(self) -> Trial | None:
        """Return the next trial, to be applied as an event when it starts; None: no more."""

    def apply(self, event: Event) -> Decision:
        """Take in an event and decide on the trial that it belongs to.

        A stop stands until the trial's ending comes in: where a crash came between the two,
        the trial is stopped at the next that is heard of it.
        """
        if not self.history.apply(event) or isinstance(event, Trial):
            return CONTINUE
        record = self.history[event.trial_id]
        stopped = self._stopped.get(event.trial_id)
        if isinstance(event, Ending):
            if stopped is None:
                self.settle(record)
            return CONTINUE
        decision = stopped or self.decide(record, event)
        if decision.action == "stop":
            self._stopped[event.trial_id] = decision
        return decision

    def decide(self, record: Record, evaluation: Evaluation) -> Decision:  # noqa: ARG002
        """Decide on a running trial after a new evaluation; by default it goes on."""
        return CONTINUE

    def settle(self, record: Record) -> None:  # noqa: B027 - few have a use for it
        """Take note of a trial that ended by itself."""

    def stop_of(self, trial_id: str) -> Decision | None:
        """Return the decision to stop a trial whose ending hasn't come in; None without one."""
        return self._stopped.get(trial_id)

    def restore(self, events: Iterable[Event]) -> None:
        """Apply the events of an earlier session."""
        for event in events:
            self.apply(event)

    @property
    def num_trials(self) -> int | None:
        """How many trials there will be; None where time decides."""
        return None

    @property
    def exhausted(self) -> bool:
        """Whether all trials have been started."""
        return self.num_trials is not None and len(self.history) >= self.num_trials

    @property
    def has_enough(self) -> bool:
        """Whether the phase may end when its time is up."""
        return True


class SearchPhase(PhaseStrategy):
    """Coarse and fine: a source of configurations under ASHA.

    Args:
        phase: ``coarse`` or ``fine``.
        space: Where to search.
        ladder: The rungs of the whole run.
        rungs: The phase's own among them.
        given: Configurations to try before any other.
        num_trials: Limit of the number of trials; None: no limit.
        seed: Seeds proposals and trainings.
        max_run_seconds: Stop a trial whose full run would take longer.
    """

    def __init__(
        self,
        phase: Phase,
        space: Space,
        ladder: Ladder,
        rungs: tuple[int, ...],
        given: Sequence[Proposal],
        *,
        num_trials: int | None,
        seed: int,
        max_run_seconds: float = math.inf,
    ) -> None:
        super().__init__(phase, ladder)
        self.space = space
        self.rungs = rungs
        self.seed = seed
        self._given = list(given)
        # Where all is fixed there is but one configuration beside the given ones.
        self._limit = num_trials if space.searched else len(self._given) or 1
        self._max_run_seconds = max_run_seconds
        self._asha = Asha(rungs, ladder.factor)

    @property
    def num_trials(self) -> int | None:
        """How many trials there will be; None where time decides."""
        return self._limit

    @property
    def has_enough(self) -> bool:
        """Whether a few trials have been judged at a rung, or have failed."""
        judged = [r for r in self.history if r.loss_at(self.rungs[0]) is not None]
        return len(judged) >= MIN_JUDGED

    def ask(self) -> Trial | None:
        """Return the next trial; None once the limit is reached."""
        if self.exhausted:
            return None
        number = len(self.history)
        given = self._given[number : number + 1]
        config, source = given[0] if given else self.propose(number)
        return Trial(
            trial_id=f"{self.phase[0]}{number:04d}",
            phase=self.phase,
            source=source,
            config=dict(config),
            seed=trial_seed(self.seed, number),
            budget_samples=self.rungs[-1],
            points=self.ladder.evaluation_points(self.rungs[-1]),
        )

    @abstractmethod
    def propose(self, number: int) -> Proposal:
        """Return the configuration of trial ``number``, beyond the given ones."""

    def decide(self, record: Record, evaluation: Evaluation) -> Decision:
        """Stop what failed, what is too slow to be proven in time, and what ASHA drops."""
        if not math.isfinite(evaluation.validation_loss):
            return self._asha.report(evaluation.point, evaluation.validation_loss)
        too_slow = self._too_slow(evaluation)
        if too_slow.action == "stop" and not record.trial.source.startswith("default"):
            return too_slow
        return self._asha.report(evaluation.point, record.loss)

    def _too_slow(self, evaluation: Evaluation) -> Decision:
        full = evaluation.seconds / evaluation.point * self.ladder.full
        if evaluation.point < self.rungs[0] or full <= self._max_run_seconds:
            return CONTINUE
        return Decision(
            "stop",
            f"too slow: a full run would take {full:.0f} s, and confirmation "
            f"has room for {self._max_run_seconds:.0f} s",
            {"full_run_seconds": full, "max_run_seconds": self._max_run_seconds},
        )

    def settle(self, record: Record) -> None:
        """Enter the loss of a trial that completed early at the rungs that it left out."""
        completed = record.ending is not None and record.ending.status == "completed"
        if not completed or not math.isfinite(record.loss):
            return
        for rung in self.rungs:
            if rung > record.evaluations[-1].point:
                self._asha.report(rung, record.loss)


def trial_seed(seed: int, number: int) -> int:
    """Return the training seed of trial ``number`` of a run seeded with ``seed``."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0] >> 1)


def rank_records(records: Iterable[Record], rungs: tuple[int, ...]) -> list[Record]:
    """Order records from best to worst: the higher rung first, then the lower loss at it.

    Failed trials and those that reached no rung are left out.
    """

    def key(record: Record) -> tuple[int, float]:
        level = highest_rung(record, rungs)
        loss = record.loss_at(rungs[level]) if level >= 0 else None
        return (-level, math.inf if loss is None else loss)

    ranked = [r for r in records if highest_rung(r, rungs) >= 0 and math.isfinite(r.loss)]
    return sorted(ranked, key=key)


def highest_rung(record: Record, rungs: tuple[int, ...]) -> int:
    """Return the index of the highest rung that the record has a loss at; -1 for none."""
    reached = [level for level, rung in enumerate(rungs) if record.loss_at(rung) is not None]
    return max(reached, default=-1)
