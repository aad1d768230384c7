"""The run directory: every file of a run, each stage reading those of earlier stages only."""

from search.rundir.files import (
    AFTER,
    AUDIT,
    BEFORE,
    CLUSTER,
    COARSE_SPACE,
    DONE,
    PLAN,
    PREFLIGHT,
    PROVENANCE,
    RAY_LOGS,
    RESULT,
    SUBSAMPLE,
    TRUST,
)
from search.rundir.run import RunDir

__all__ = [
    "AFTER",
    "AUDIT",
    "BEFORE",
    "CLUSTER",
    "COARSE_SPACE",
    "DONE",
    "PLAN",
    "PREFLIGHT",
    "PROVENANCE",
    "RAY_LOGS",
    "RESULT",
    "SUBSAMPLE",
    "TRUST",
    "RunDir",
]
