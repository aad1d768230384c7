"""The proof's runs together: an ensemble, chosen on validation, compared on test (rule G27).

It is offered, not forced: it predicts with several models where one may do. All seeds' runs of the
chosen configurations are members, so that the simplest ensemble is all the runs of one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.insight.compare import Verdict, in_words, verdict_of
from search.insight.resample import resample
from search.insight.result import Confirmed
from search.insight.selection import Field, NoEnsemble, Read, kept, runs_of
from search.insight.truth import Score, Truth
from search.space import Config
from search.training.predictions import answers_of, average, decided
from search.trials import Record

_WORDS: dict[Verdict, str] = {
    "better": "is better than the single winner",
    "tie": "can't be told apart from the single winner",
    "worse": "is worse than the single winner",
}


@dataclass(frozen=True)
class Member:
    """A run of the proof in an ensemble.

    Attributes:
        trial_id: The run.
        configuration: The trial that its configuration was found as, or ``baseline``.
        config: The configuration.
        weight: Of its answers; all members' are 1 together.
        num_parameters: Of its network.
    """

    trial_id: str
    configuration: str
    config: Config
    weight: float
    num_parameters: int


@dataclass(frozen=True)
class RowComparison:
    """The ensemble's metric minus another's, on the test rows.

    Attributes:
        difference: In the metric's unit.
        ci95: 95 % interval by a paired bootstrap over the test rows, for the models as they are.
        verdict: ``better`` or ``worse`` where the interval leaves out 0, else ``tie``.
    """

    difference: float
    ci95: tuple[float, float]
    verdict: Verdict


@dataclass(frozen=True)
class Ensemble:
    """What is offered beside the single winner.

    Attributes:
        members: The heaviest configuration's first.
        validation: Its score on validation, the mean over the seeds, the runs of one at a time.
        winner_validation: Likewise of the winning configuration.
        test: Its score on the test rows, all members together.
        comparison: Against the single winner: the run whose weights are kept as best.
        runs_comparison: Against the mean of the winning configuration's runs.
        num_parameters: Of all members.
        cost_factor: These over the single winner's: what a prediction costs.
        statement: The comparison in words.
    """

    members: tuple[Member, ...]
    validation: Score
    winner_validation: Score
    test: Score
    comparison: RowComparison
    runs_comparison: RowComparison
    num_parameters: int
    cost_factor: float
    statement: str

    def to_json(self) -> dict[str, Any]:
        """Return the fields as in ``result.json``; the members' configurations are left out."""
        values = asdict(self)
        for member in values["members"]:
            del member["config"]
        return values


def choose_ensemble(
    confirmed: Sequence[Confirmed], winner: Confirmed, read: Read, truth: Truth
) -> Ensemble:
    """Choose an ensemble on validation and compare it on test.

    Args:
        confirmed: Finalists and baseline; those that completed every seed that the winner has may
            join.
        winner: The one of them that won.
        read: Gives the runs' predictions.
        truth: What they should have said.

    Raises:
        NoEnsemble: There is nothing to average, or what is needed wasn't kept.
    """
    field = Field.of(confirmed, winner, read, truth)
    if winner not in field.groups:
        raise NoEnsemble("the winner's predictions aren't finite")
    weights = field.weights()
    members = _members(field, weights)
    if len(members) == 1:
        raise NoEnsemble("a single run is best on validation")
    test = _Test.of(members, winner, read, truth)
    single = next(r for r in winner.records if r.trial.trial_id == winner.best_run)
    alone, total = _num_parameters(single), sum(each.num_parameters for each in members)
    return Ensemble(
        members=members,
        validation=field.score(weights),
        winner_validation=field.score(np.array([float(g is winner) for g in field.groups])),
        test=test.score,
        comparison=test.against_best,
        runs_comparison=test.against_runs,
        num_parameters=total,
        cost_factor=total / alone if alone else float(len(members)),
        statement=_statement(members, test.against_best, truth.metric),
    )


def _members(field: Field, weights: NDArray[np.float64]) -> tuple[Member, ...]:
    order = [place for place in np.argsort(-weights, kind="stable") if weights[place] > 0]
    return tuple(
        Member(
            run.trial.trial_id,
            field.groups[place].name,
            dict(run.trial.config),
            float(weights[place]) / len(field.seeds),
            _num_parameters(run),
        )
        for place in order
        for run in runs_of(field.groups[place], field.seeds)
    )


def _num_parameters(run: Record) -> int:
    return run.ending.num_parameters if run.ending is not None else 0


@dataclass(frozen=True)
class _Test:
    """What the test rows say: the one use of them that the proof hasn't made."""

    score: Score
    against_best: RowComparison
    against_runs: RowComparison

    @classmethod
    def of(cls, members: Sequence[Member], winner: Confirmed, read: Read, truth: Truth) -> _Test:
        def answers(trial_id: str) -> NDArray[np.float64]:
            found = answers_of(kept(read, trial_id, "test").outputs, truth.task)
            if not np.isfinite(found).all():
                raise NoEnsemble(f"what {trial_id} predicts on the test rows isn't finite")
            return found

        runs = [record.trial.trial_id for record in winner.records]
        rows = kept(read, runs[0], "test").rows
        together = average((each.weight, answers(each.trial_id)) for each in members)
        said = [decided(each, truth.task) for each in (together, *map(answers, runs))]
        drawn = resample(truth, truth.values[rows], said)

        def against(others: Sequence[str]) -> RowComparison:
            places = [1 + runs.index(trial_id) for trial_id in others]
            difference, ci95 = drawn.difference(0, places)
            return RowComparison(difference, ci95, verdict_of(*ci95, truth.mode))

        return cls(truth.score(together, rows), against([winner.best_run]), against(runs))


def _statement(members: Sequence[Member], comparison: RowComparison, metric: str) -> str:
    said = in_words(comparison.difference, comparison.ci95, metric)
    return (
        f"An ensemble of {len(members)} models ({', '.join(_shares(members))}), chosen on "
        f"validation, {_WORDS[comparison.verdict]} on the test rows: {said}."
    )


def _shares(members: Sequence[Member]) -> Iterator[str]:
    for name in dict.fromkeys(each.configuration for each in members):
        weights = [each.weight for each in members if each.configuration == name]
        yield f"{name} {sum(weights):.0%}"
