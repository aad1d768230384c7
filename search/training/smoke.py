"""The smoke rung: a short training on few classes, before a configuration costs a whole rung.

Few classes only find what breaks: between two classes the order of configurations says nothing of
that between ten. So nothing is ranked by it; a training that isn't finite or diverges fails, and
all others begin afresh.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from search.data.batches import Resident
from search.task import ModelModule
from search.training.job import Job, Rows, Vitals
from search.training.sessions import open_session
from search.trials import Record

SHARE = 8
"""It takes one in so many of the lowest rung's samples."""
SMOKED_OUT = "smoke rung on the first"


@dataclass(frozen=True)
class SmokeRung:
    """What a configuration has to pass.

    Attributes:
        num_classes: The first ones.
        samples: Training samples.
        rows: Row numbers of the parts, of these classes alone.
    """

    num_classes: int
    samples: int
    rows: Mapping[str, NDArray[np.int64]]

    def describe(self, records: list[Record]) -> str:
        """Return in words how many of a phase's trials failed it."""
        reasons = [record.ending.reason for record in records if record.ending is not None]
        out = sum(reason.startswith(SMOKED_OUT) for reason in reasons)
        return (
            f"{SMOKED_OUT} {self.num_classes} classes: {out} of {len(records)} configurations "
            "failed it and never started; nothing is ranked by it"
        )


@dataclass(frozen=True)
class Smoked:
    """How a configuration came out of it.

    Attributes:
        why_failed: In words; None where it passed.
        vitals: What it has cost.
    """

    why_failed: str | None
    vitals: Vitals


def smoke(job: Job, model: ModelModule, data: Resident, rung: SmokeRung) -> Smoked:
    """Train a job's beginning on few classes; its schedule is that of the whole job."""
    points = (rung.samples, *(point for point in job.points if point > rung.samples))
    short = replace(job, points=points, early_stopping=False, speed_limit=None)
    session = open_session(short, model, data, Rows.of(rung.rows))
    next(session.run(), None)
    outcome = session.outcome() if session.has_ended else None
    if outcome is None or outcome.status != "failed":
        return Smoked(None, session.vitals())
    why = f"{SMOKED_OUT} {rung.num_classes} classes: {outcome.reason}"
    return Smoked(why, session.vitals())
