"""What was measured before the search, brought into the space that it searches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from search.findings import Finding
from search.space import Choice, Space
from search.strategy.change import Change

BATCH_SIZE, GPU_MEMORY = "batch_size", "gpu_memory"
MOST_ON_A_GPU = 4
"""More trials on a GPU take turns rather than go side by side."""


def num_on_a_gpu(findings: Sequence[Finding]) -> int:
    """Return how many trials may share a GPU: what has been measured of their memory allows.

    Args:
        findings: The preflight's.
    """
    shares = [f.value for f in findings if f.check == GPU_MEMORY and f.value]
    return max(1, min(MOST_ON_A_GPU, *(int(1.0 / share) for share in shares))) if shares else 1


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
