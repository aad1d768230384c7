"""What a training's curve says, and what to change: one verdict a training, with its evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from search.insight.curve import Curve, Scale
from search.insight.verdicts import RULES, Name, Verdict, diverged, exploding
from search.trials import Record

__all__ = ["MIN_EVALUATIONS", "Name", "Scale", "Verdict", "describe", "judge", "judge_all"]

MIN_EVALUATIONS = 5
"""With fewer a curve has no shape, and only what has gone wrong for good is said."""


def judge(record: Record, scale: Scale) -> Verdict | None:
    """Return what a training's curve says; None while it is too short, or where a fault ended it.

    Args:
        record: The training, ended or not.
        scale: Of the data.
    """
    failed = exploding(record) or diverged(record, scale)
    if failed is not None:
        return failed
    if record.has_failed or len(record.evaluations) < MIN_EVALUATIONS:
        return None
    curve = Curve(record, scale)
    for rule in RULES:
        verdict = rule(curve)
        if verdict is not None:
            return verdict
    return Verdict("healthy", len(curve), f"reached {curve.best:.0%} of the best known and held it")


def judge_all(records: Iterable[Record], chance: float | None) -> dict[str, Verdict]:
    """Return the verdicts on a phase's trainings by trial, on the scale of the best of them.

    Args:
        records: The trainings.
        chance: Loss of the best prediction that ignores the inputs; None: there are none.
    """
    records = list(records)
    if chance is None or not records:
        return {}
    scale = Scale(chance, min(record.loss for record in records))
    verdicts = {record.trial.trial_id: judge(record, scale) for record in records}
    return {trial_id: verdict for trial_id, verdict in verdicts.items() if verdict is not None}


def describe(verdicts: Iterable[Verdict]) -> str:
    """Return in a line how many trainings have which verdict."""
    counts = Counter(verdict.name for verdict in verdicts)
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())
