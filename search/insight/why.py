"""Why a trial went as it did, from a run directory's files alone.

Events say what happened, the journal why and on which numbers, ``result.json`` what came of it.
A run may be complete, interrupted, failed, or still at work.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from functools import cached_property
from typing import Any

from search.errors import RunDirError, did_you_mean
from search.events import PHASES, Event, Phase, Trial
from search.insight.contest import Contest
from search.insight.explanation import (
    Answer,
    Cost,
    Curve,
    Explanation,
    Place,
    differences,
    proposer,
    raised,
    state_of,
)
from search.insight.result import BASELINE, metric_of, resolution_of
from search.insight.trail import Judgements, trail
from search.rundir import COARSE_SPACE, PLAN, PROVENANCE, RESULT, RunDir
from search.space import Config
from search.trials import History, Record, rank_by_value, rank_records


def explain(run: RunDir, name: str | None = None) -> Answer:
    """Explain a trial of a run.

    Args:
        run: The run's folder.
        name: The trial's id, or ``baseline``; None: the winner, or the best trial so far where
            there is no winner.

    Raises:
        RunDirError: There is no such trial, no trial at all, or a file is damaged.
    """
    return _Files(run).answer(name)


class _Files:
    """A run's files, read once."""

    def __init__(self, run: RunDir) -> None:
        self.path, self.place = run.path, run.place
        self.events: dict[Phase, list[Event]] = {phase: run.events(phase) for phase in PHASES}
        self.histories = {phase: History(events) for phase, events in self.events.items()}
        self.journal = run.read_journal()
        files = (RESULT, PROVENANCE, PLAN, COARSE_SPACE)
        self.json: dict[str, dict[str, Any]] = {
            name: dict(run.read_json(name)) if run.exists(name) else {} for name in files
        }
        self.task = str((self.json[PROVENANCE].get("spec") or {}).get("task"))
        self.metric, self.mode = metric_of(
            self.json[RESULT].get("metric") or run.study().get("metric"), self.task
        )

    @cached_property
    def contest(self) -> Contest:
        """The proof as far as it has come."""
        num_rows = (self.json[PROVENANCE].get("data") or {}).get("test")
        return Contest(
            self.histories["confirm"],
            metric=self.metric,
            mode=self.mode,
            winner=(self.json[RESULT].get("winner") or {}).get("trial_id"),
            resolution=resolution_of(self.task, num_rows),
        )

    @cached_property
    def baseline(self) -> tuple[Config, str]:
        """The published default of the proof and its source; before the proof coarse's best."""
        for record in self.histories["confirm"]:
            kind, _, source = record.trial.source.partition(":")
            if kind == BASELINE:
                return record.trial.config, source
        best = self._best_default()
        if best is not None:
            return best.trial.config, best.trial.source.partition(":")[2]
        published = self.json[COARSE_SPACE].get("defaults") or []
        return (published[0]["config"], published[0]["source"]) if published else ({}, "")

    def _best_default(self) -> Record | None:
        """Return the published default that the proof will have, as far as coarse has come."""
        rungs = tuple(self.json[PLAN].get("rungs") or ())
        defaults = [record for record in self.histories["coarse"] if record.trial.is_default]
        ranked = rank_records(defaults, rungs) if rungs else rank_by_value(defaults)
        return next(iter(ranked), None)

    def records(self) -> Iterator[Record]:
        """All records, in the order of the phases."""
        return (record for history in self.histories.values() for record in history)

    def answer(self, name: str | None) -> Answer:
        """See :func:`explain`."""
        record, note = (self._find(name), "") if name else self._winner_or_best()
        stands_for = name or self.contest.winner
        explanation = self._explain(record, BASELINE if stands_for == BASELINE else None)
        return Answer(
            status=str(self.json[RESULT].get("status") or "unfinished"),
            metric=self.metric,
            asked=name,
            winner=self.contest.winner,
            note=note,
            baseline_source=self.baseline[1],
            explanation=explanation,
            contest=self.contest.ranked if explanation.role or not name else (),
        )

    def _find(self, name: str) -> Record:
        known = {record.trial.trial_id: record for record in self.records()}
        found = self._baseline_record() if name == BASELINE else known.get(name)
        if found is None:
            raise RunDirError(f"{self.place} has no trial '{name}'" + _meant(name, known))
        return found

    def _winner_or_best(self) -> tuple[Record, str]:
        if self.contest.winner is not None:
            return self._find(self.contest.winner), ""
        searched = [*self.histories["fine"]] or [*self.histories["coarse"]]
        if not searched:
            raise RunDirError(f"{self.place} has no trial yet; there is nothing to explain")
        # Where all failed, the one that came furthest.
        best = min(searched, key=lambda record: (record.value, -record.samples_seen))
        kind = "best" if math.isfinite(best.loss) else "longest"
        note = f"there is no winner yet; this is {best.trial.phase}'s {kind} trial so far"
        reason = self.json[RESULT].get("reason")
        return best, f"{note} ({reason})" if reason else note

    def _baseline_record(self) -> Record | None:
        """The trial of coarse that the baseline is of, else its first run of the proof."""
        tried = [r for r in self.histories["coarse"] if r.trial.is_default]
        proven = [r for r in self.histories["confirm"] if r.trial.source.startswith(BASELINE)]
        config = self.baseline[0]
        return next((r for r in (*tried, *proven) if r.trial.config == config), None)

    def _explain(self, record: Record, name: str | None) -> Explanation:
        """Explain a trial, as the configuration ``name`` of the proof where that is given."""
        trial, phase = record.trial, record.trial.phase
        history, judgements = self.histories[phase], Judgements(self.journal, phase)
        proof = Judgements(self.journal if phase != "confirm" else (), "confirm")
        rungs = (self.json[PLAN].get("ladder") or {}).get("rungs")
        ending = record.ending
        return Explanation(
            trial=trial,
            role=self._role(trial, name),
            proposed_by=proposer(trial.source),
            differs=differences(trial.config, self.baseline[0]),
            steps=trail(trial, self.events[phase], judgements),
            state=state_of(record),
            error=raised(ending.error or "") if ending is not None else "",
            curve=Curve.of(record),
            test_metric=None if ending is None else ending.test_metric,
            cost=Cost.of(record, history, rungs[-1] if rungs else None),
            place=Place.of_record(record, history),
            followed_by=tuple(self._followers(trial)),
            notes=judgements.notes(trial.trial_id) + proof.notes(trial.trial_id),
            outcome=self._outcome(record, name),
        )

    def _role(self, trial: Trial, name: str | None) -> str:
        if trial.phase == "confirm" and name is None:
            return "proof"
        found = self.contest.find(name or self._name(trial))
        if found is None:
            return ""
        return "winner" if found.wins else BASELINE if found.name == BASELINE else "finalist"

    def _name(self, trial: Trial) -> str:
        """Return the name that a trial of the search has, or would have, in the proof."""
        is_baseline = trial.is_default and trial.config == self.baseline[0]
        return BASELINE if is_baseline else trial.trial_id

    def _followers(self, trial: Trial) -> Iterator[str]:
        is_baseline = self._name(trial) == BASELINE
        for other in (record.trial for record in self.records()):
            kind, _, origin = other.source.partition(":")
            again = origin == trial.trial_id or (is_baseline and kind == BASELINE)
            if again and other.trial_id != trial.trial_id:
                yield other.trial_id

    def _outcome(self, record: Record, name: str | None) -> str:
        trial, contest = record.trial, self.contest
        if trial.phase == "confirm" and name is None:
            return contest.of_run(trial)
        name = name or self._name(trial)
        if contest.find(name) is not None:
            return contest.outcome(name)
        if not contest.ranked:
            return "finalists haven't been chosen yet"
        return f"no finalist: {self._why_none(record)}"

    def _why_none(self, record: Record) -> str:
        same = self.contest.with_config(record.trial.config)
        if same is not None:
            return f"its configuration was confirmed as {same}'s"
        if not math.isfinite(record.loss):
            return "it failed, or has no finite validation loss"
        names = [each.name for each in self.contest.ranked]
        phase = record.trial.phase
        chosen = [r for r in self.histories[phase] if r.trial.trial_id in names]
        ranked = sorted(chosen, key=lambda each: each.value)
        if not ranked or record.value < ranked[0].value:
            return "they are taken from fine first, and fine had enough"
        return (
            f"its best {record.standing} is behind that of the finalists from {phase}: "
            f"{ranked[0].standing} to {ranked[-1].standing.split()[-1]}"
        )


def _meant(name: str, known: Collection[str]) -> str:
    """Return what was meant: c0017 for ``c17``, else the closest."""
    number = name[1:]
    full = f"{name[:1].lower()}{int(number):04d}" if number.isdecimal() else ""
    return f"; did you mean '{full}'?" if full in known else did_you_mean(name, known)
