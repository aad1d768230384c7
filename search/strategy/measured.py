"""What was measured before the search, brought into the space that it searches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from search.findings import Finding
from search.space import Choice, Space
from search.strategy.change import Change

BATCH_SIZE = "batch_size"


def fitting(space: Space, findings: Sequence[Finding]) -> tuple[Space, list[Change]]:
    """Return the space without batches that don't fit into memory, and what has changed.

    Args:
        space: The study's.
        findings: The preflight's.
    """
    too_large = [f.value for f in findings if (f.check, f.status) == (BATCH_SIZE, "WARN")]
    limits = [value for value in too_large if value is not None]
    if not limits or BATCH_SIZE not in space:
        return space, []
    dimension, limit = space[BATCH_SIZE], min(limits)
    if not isinstance(dimension, Choice):
        return space, []
    kept = tuple(value for value in dimension.values if float(value) < limit)
    if not kept or len(kept) == len(dimension.values):
        return space, []
    after = replace(dimension, values=kept)
    why = f"batches of {limit:g} rows and more don't fit into memory"
    return space.replace(after), [Change.of(dimension, after, "narrowed", why, limit=limit)]
