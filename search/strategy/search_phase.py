"""Coarse and fine: a source of configurations under promotion ASHA."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence

from search.events import Evaluation, Phase, Promotion, Trial
from search.space import Config, Space
from search.speed import SpeedLimit
from search.strategy.asha import CONTINUE, Decision
from search.strategy.bloomers import curves_by_rung, flat_ones
from search.strategy.brackets import Brackets
from search.strategy.budget import Ladder
from search.strategy.memory import Memory
from search.strategy.phase import PhaseStrategy, trial_seed
from search.strategy.ranking import Observation, cost_alone, cost_of, name_of, observation
from search.strategy.second_look import SecondLook
from search.strategy.watch import Watch
from search.trials import History, Record

MIN_JUDGED = 5
"""A search phase whose time is up goes on until so many trials have been judged."""

Proposal = tuple[Config, str]
"""A configuration and its source."""
LOOK = "look:"
"""The source of a trial of the phase before that is trained anew, and in full, goes on with its
name."""


class SearchPhase(PhaseStrategy):
    """A source of configurations under ASHA.

    Args:
        phase: ``coarse`` or ``fine``.
        space: Where to search.
        ladder: The rungs of the whole run.
        rungs: The phase's own among them.
        given: Configurations to try before any other.
        num_trials: Limit of the number of trials; None: no limit.
        seed: Seeds proposals and trainings.
        max_run_seconds: Stop a trial whose full run would take longer.
        num_brackets: Of successive halving, side by side.
        watch: Ends trainings by their curves; None: ASHA alone decides.
        before: Trials of the phase before, for the comparison of curves, and for a second look at
            those among them whose curves were flat.

    Attributes:
        seen: What rungs have told.
        division: Of the trials that start now.
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
        num_brackets: int = 1,
        watch: Watch | None = None,
        before: History | None = None,
    ) -> None:
        super().__init__(phase, ladder)
        self.space = space
        self.rungs = rungs
        self.seed = seed
        self.seen = Memory()
        self.division = 0
        self._given = list(given)
        # Where all is fixed there is but one configuration beside the given ones.
        self._limit = num_trials if space.searched else len(self._given) or 1
        self._limit_of_speed = SpeedLimit(ladder.full, max_run_seconds)
        # Fine has fewer rungs than coarse may have.
        self._brackets = Brackets(rungs, ladder.factor, min(num_brackets, len(rungs)))
        self._points = ladder.evaluation_points(rungs[-1])
        self._looks = SecondLook(rungs[-1], seed)
        self._watch = watch or Watch(None)
        self._curves = curves_by_rung(before or (), rungs, self._watch.chance)
        self._flat = {
            record.trial.trial_id: record.trial.config
            for record in flat_ones(before or History(), ladder.coarse, self._watch.chance)
        }
        self._flat_names = {name_of(config): trial_id for trial_id, config in self._flat.items()}
        for name in self._flat:
            self._looks.pause(name, "flat")
        self._num_started = 0

    @property
    def num_trials(self) -> int | None:
        """How many trials there will be; None where time decides."""
        return self._limit

    @property
    def has_enough(self) -> bool:
        """Whether a few trials have been judged at a rung, have failed or were stopped."""
        return max(self._brackets.num_judged, len(self.history.ended)) >= MIN_JUDGED

    def ask(self) -> Trial | Promotion | None:
        """Return a paused trial that may go on, or the next new one; None: nothing now."""
        call = self._brackets.promotable()
        if call is not None:
            why = f"among the best 1/{self.ladder.factor} of its rung by now"
            return Promotion(*call, why)
        drawn = self._looks.draw(self._num_started)
        if drawn is not None and drawn not in self._flat:
            why = f"a second look, by lot: its curve is {self._looks.kind_of(drawn)}"
            return Promotion(drawn, self.rungs[-1], why, is_look=True)
        number = len(self.history)
        if self._is_full:
            return None
        if number < len(self._given):
            return self._new_trial(*self._given[number])
        if drawn is not None:
            return self._new_trial(self._flat[drawn], f"{LOOK}{drawn}")
        return self._new_trial(*self.propose(number))

    @property
    def _is_full(self) -> bool:
        return self._limit is not None and len(self.history) >= self._limit

    def _new_trial(self, config: Config, source: str) -> Trial:
        number = len(self.history)
        return Trial(
            trial_id=f"{self.phase[0]}{number:04d}",
            phase=self.phase,
            source=source,
            config=dict(config),
            seed=trial_seed(self.seed, number),
            budget_samples=self.rungs[-1],
            points=self._points,
            division=self.division,
        )

    @abstractmethod
    def propose(self, number: int) -> Proposal:
        """Return the configuration of trial ``number``, beyond the given ones."""

    def started(self, event: Trial | Promotion) -> None:
        """Let a trial that was called wait no longer."""
        self._num_started += 1
        if isinstance(event, Trial):
            self._brackets.start(event.trial_id)
            self._start_look(event)
        else:
            self._brackets.withdraw(event.trial_id)
            if event.is_look:
                self._looks.look(event.trial_id)
            self._looks.leave(event.trial_id)

    def _start_look(self, trial: Trial) -> None:
        if trial.source.startswith(LOOK):
            self._looks.look(trial.source.removeprefix(LOOK), trial.trial_id)
        else:  # the model may have proposed one of the flat ones: it isn't trained twice
            self._looks.leave(self._flat_names.get(name_of(trial.config), ""))
        if self._is_full:
            for name in self._flat:
                self._looks.leave(name)

    def decide(self, record: Record, evaluation: Evaluation) -> Decision:
        """Stop what failed and what is too slow to be proven in time; pause what ASHA holds."""
        trial, point = record.trial, evaluation.point
        if not math.isfinite(evaluation.validation_loss):
            self._fail(record)
            return self._brackets.report(trial.trial_id, point, evaluation.validation_loss)
        too_slow = self._too_slow(record, point)
        if too_slow is not None:
            self.seen.add(cost_of(record, self.rungs[0]))  # its loss is of no use to anyone
            return Decision("stop", too_slow)
        before = record.evaluations[-2].point if len(record.evaluations) > 1 else 0
        self._looks.spend(trial.trial_id, point - before)
        hopeless = self._watch.look(record)
        if hopeless.action == "stop":
            return self._give_up(record, hopeless)
        return self._at_rung(record, point) if point in self.rungs else CONTINUE

    def _give_up(self, record: Record, hopeless: Decision) -> Decision:
        """Enter a trial that more training won't help with what it has come to."""
        trial_id, reached = record.trial.trial_id, record.evaluations[-1].point
        missed = next((rung for rung in self.rungs if rung >= reached), self.rungs[-1])
        self.seen.add(observation(record, missed))
        if self._looks.is_looked_at(trial_id):  # no other was trained in full
            self._looks.end(trial_id, record.value)
        self._brackets.complete(trial_id, reached - 1, record.value)
        return hopeless

    def _at_rung(self, record: Record, point: int) -> Decision:
        trial_id = record.trial.trial_id
        self.seen.add(observation(record, point))
        losses = [each.validation_loss for each in record.evaluations]
        kind = self._curves[point].kind(losses)
        if record.trial.is_drawn:
            self._curves[point].enter(losses)
        if self._looks.is_looked_at(trial_id):
            self._brackets.pass_by(trial_id, point, record.value)
            return CONTINUE
        early = self._watch.too_early(point) if point < self.rungs[-1] else None
        if early is not None:
            self._brackets.pass_by(trial_id, point, record.value)
            return Decision("continue", early)
        decision = self._brackets.report(trial_id, point, record.value, record.standing)
        if decision.action == "pause" and record.trial.division == self.division:
            self._looks.pause(trial_id, kind)
        return decision

    def _too_slow(self, record: Record, point: int) -> str | None:
        rate = record.seconds_per_sample
        if point < self.rungs[0] or record.trial.is_default or math.isnan(rate):
            return None
        return self._limit_of_speed.why_broken(rate * point, point)

    def settle(self, record: Record) -> None:
        """Enter a trial that ended by itself at the rungs that it left out."""
        assert record.ending is not None
        if record.has_failed:
            self._fail(record)
        elif (cost := cost_alone(record, self.rungs[0])) is not None:
            self.seen.add(cost)
        elif record.ending.status == "completed" and math.isfinite(record.value):
            trial, reached = record.trial, record.evaluations[-1].point
            self._looks.end(trial.trial_id, record.value)
            self._brackets.complete(trial.trial_id, reached, record.value)
            if reached < self.rungs[-1]:
                self.seen.add(observation(record, self.rungs[-1]))

    def _fail(self, record: Record) -> None:
        finite = [e.point for e in record.evaluations if math.isfinite(e.validation_loss)]
        self._looks.end(record.trial.trial_id, math.inf)
        missed = self._brackets.fail(record.trial.trial_id, max(finite, default=0))
        if missed is not None:
            self.seen.add(Observation(record.trial.config, missed, math.inf))
