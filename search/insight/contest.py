"""The proof's configurations side by side, and why all but one of them weren't taken."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from search.events import Trial
from search.insight.compare import Comparison, Summary, compare
from search.insight.result import (
    BASELINE,
    Confirmed,
    by_metric,
    group_confirmed,
    in_order,
    is_near,
)
from search.space import Config
from search.trials import History


@dataclass(frozen=True)
class Contestant:
    """A configuration of the proof.

    Attributes:
        name: The trial that it comes from, or ``baseline``.
        wins: It is the result's winner.
        validation: Metric on the validation rows over the seeds.
        validation_loss: Mean over the seeds; NaN without a completed run.
        test: Metric on the test rows over the seeds.
        failed: How many of its runs weren't completed.
        against_baseline: Its test values against the baseline's, paired by seed; None for the
            baseline itself.
        why_not: Why it wasn't taken; empty for the winner, and before there is one.
    """

    name: str
    wins: bool
    validation: Summary
    validation_loss: float
    test: Summary
    failed: int
    against_baseline: Comparison | None
    why_not: str


class Contest:
    """The proof as far as it has come.

    Args:
        confirm: The confirm phase.
        metric: The study's metric.
        mode: ``max`` where more is better.
        winner: The result's winner; None before there is one.
        resolution: The step in which the metric comes on the test rows; see
            :func:`~search.insight.compare.compare`.

    Attributes:
        winner: As given.
        ranked: The configurations: the winner, then by validation, those without a completed
            run last.
    """

    def __init__(
        self,
        confirm: History,
        *,
        metric: str,
        mode: Literal["max", "min"],
        winner: str | None = None,
        resolution: float = 0.0,
    ) -> None:
        self.winner = winner
        self._metric, self._mode, self._resolution = metric, mode, resolution
        self._configs = {_name(r.trial): r.trial.config for r in confirm}
        self._groups = {each.name: each for each in group_confirmed(confirm)}
        completed = in_order([*self._groups.values()], mode)
        self._places = {each.name: place for place, each in enumerate(completed)}
        self._near = {
            each.name for each in completed if is_near(each, by_metric(completed, mode)[0])
        }
        order = sorted(self._groups.values(), key=self._order)
        self.ranked = tuple(self._contestant(each) for each in order)

    def _order(self, each: Confirmed) -> tuple[bool, int]:
        return (each.name != self.winner, self._places.get(each.name, len(self._places)))

    def find(self, name: str) -> Contestant | None:
        """Return a configuration of the proof by its name; None where it has none such."""
        return next((each for each in self.ranked if each.name == name), None)

    def with_config(self, config: Config) -> str | None:
        """Return the name under which a configuration is in the proof; None where it isn't."""
        return next((name for name, each in self._configs.items() if each == config), None)

    def outcome(self, name: str) -> str:
        """Return in words what became of a configuration of the proof."""
        each = self._of(name)
        if each.wins and name == BASELINE:
            return "the winner: the published default stays"
        if each.wins:
            against = each.against_baseline
            return f"the winner. {against.statement if against else ''}".strip()
        role = "the published default" if name == BASELINE else "a finalist"
        if self.winner is None:
            return f"{role}; the proof isn't complete"
        return f"{role}, not taken: {each.why_not}"

    def of_run(self, trial: Trial) -> str:
        """Return in words what became of the configuration that a run of the proof is of."""
        name = _name(trial)
        return f"a run of {name}: {self.outcome(name)}"

    def _of(self, name: str) -> Contestant:
        found = self.find(name)
        assert found is not None
        return found

    def _contestant(self, each: Confirmed) -> Contestant:
        wins = each.name == self.winner
        return Contestant(
            name=each.name,
            wins=wins,
            validation=each.validation,
            validation_loss=each.validation_loss if each.records else math.nan,
            test=Summary.of(list(each.test_by_seed.values())),
            failed=each.failed,
            against_baseline=self._against_baseline(each),
            why_not="" if wins or self.winner is None else self._why_not(each),
        )

    def _against_baseline(self, each: Confirmed) -> Comparison | None:
        baseline = self._groups.get(BASELINE)
        if baseline is None or each.name == BASELINE:
            return None
        return compare(
            each.test_by_seed,
            baseline.test_by_seed,
            metric=self._metric,
            mode=self._mode,
            resolution=self._resolution,
        )

    def _why_not(self, each: Confirmed) -> str:
        if not each.records:
            return f"none of its {each.failed} runs was completed"
        ahead = [g for g in self._groups.values() if g.records and self._is_ahead(g, each)]
        if ahead:
            # The winner, unless it was taken for another reason than validation.
            return self._behind(each, min(ahead, key=self._order))
        # Only a default that proves better on the test rows overrules validation.
        against = self._against_baseline(each)
        statement = against.statement if against is not None else ""
        return f"first on validation, but on the test rows: {statement}"

    def _is_ahead(self, first: Confirmed, second: Confirmed) -> bool:
        same = (first.validation.mean, first.validation_loss) == (
            second.validation.mean,
            second.validation_loss,
        )
        return not same and self._places[first.name] < self._places[second.name]

    def _behind(self, each: Confirmed, best: Confirmed) -> str:
        own, other = each.validation.mean, best.validation.mean
        whose = "the baseline" if best.name == BASELINE else best.name
        if each.failed > best.failed:
            runs = f"{each.failed} of its {each.failed + len(each.records)} runs failed"
            return f"{runs}, {best.failed or 'none'} of {whose}'s"
        losses = (
            f"a validation loss of {each.validation_loss:.4g} against {best.validation_loss:.4g}"
        )
        if own == other:
            return f"the same validation {self._metric} as {whose}, {own:.4g}, but {losses}"
        if (own > other) == (self._mode == "max"):
            if each.name not in self._near:
                return (
                    f"validation {self._metric} {own:.4g}, which the seeds can tell from the best; "
                    f"{whose}'s {other:.4g} they can't"
                )
            return (
                f"validation {self._metric} {own:.4g}, which the seeds can't tell from {whose}'s "
                f"{other:.4g}, but {losses}"
            )
        word = "lower" if own < other else "higher"
        found = compare(
            each.validation_by_seed, best.validation_by_seed, metric=self._metric, mode=self._mode
        )
        is_noise = found.ci95 is not None and found.verdict == "tie"
        noise = "; the seeds' noise could explain it" if is_noise else ""
        return f"validation {self._metric} {own:.4g}, {word} than {whose}'s {other:.4g}{noise}"


def _name(trial: Trial) -> str:
    kind, _, rest = trial.source.partition(":")
    return kind if kind == BASELINE else rest
