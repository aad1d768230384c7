"""What was measured before the search, brought into the space that it searches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from search.findings import Finding
from search.space import Choice, Config, Float, Space
from search.space.training import learning_rate_name
from search.strategy.change import Change

BATCH_SIZE, GPU_MEMORY, LEARNING_RATE = "batch_size", "gpu_memory", "learning_rate"
MOST_ON_A_GPU = 8
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


def describe_first(first: Float) -> str:
    """Return in words where coarse looks first."""
    return (
        f"every second point of coarse has {first.name} between {first.low:.2g} and "
        f"{first.high:.2g}: there the preflight has seen the loss fall"
    )


def where_first(space: Space, findings: Sequence[Finding], published: Config) -> Float | None:
    """Return the learning rates to look at first: those at which the loss has fallen.

    Measured with the published configuration's optimizer; of the others' rates it says nothing.

    Args:
        space: What is searched.
        findings: The preflight's.
        published: What it tried.

    Returns:
        The learning rate's dimension with the range that was measured; None where none was, none
        that lies in the space, or no less than all of it.
    """
    measured = [f.interval for f in findings if f.check == LEARNING_RATE and f.interval]
    own = learning_rate_name(str(published.get("optimizer", "")))
    name = next((name for name in (own, LEARNING_RATE) if name in space), None)
    dimension = None if name is None else space[name]
    if not measured or not isinstance(dimension, Float):
        return None
    low, high = max(measured[0][0], dimension.low), min(measured[0][1], dimension.high)
    first = dimension.with_range(low, high) if low < high else dimension
    return None if first == dimension else first
