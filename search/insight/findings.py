"""What audit and preflight found, in a line."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from search.data.audit import CHECKS as AUDIT_CHECKS
from search.errors import StudyError, did_you_mean
from search.findings import Finding
from search.insight.nodes import CHECKS as NODE_CHECKS
from search.training.preflight import CHECKS as PREFLIGHT_CHECKS

CHECKS = (*AUDIT_CHECKS, *NODE_CHECKS, *PREFLIGHT_CHECKS)


def check_names(accepted: Collection[str]) -> None:
    """Refuse to accept what is no check.

    Raises:
        StudyError: A name is neither the audit's, nor the cluster's, nor the preflight's.
    """
    for name in accepted:
        if name not in CHECKS:
            raise StudyError(f"checks.accept: no check '{name}'" + did_you_mean(name, CHECKS))


def describe(findings: Sequence[Finding], accepted: Collection[str] = ()) -> str:
    """Return how many checks passed, and the names of those that didn't."""
    names = list(dict.fromkeys(each.check for each in findings))
    poor: dict[str, list[str]] = {"WARN": [], "FAIL": []}
    for name in names:
        statuses = {each.status for each in findings if each.check == name}
        for status in ("FAIL", "WARN"):
            if status in statuses:
                poor[status].append(f"{name} (accepted)" if name in accepted else name)
                break
    passed = len(names) - len(poor["WARN"]) - len(poor["FAIL"])
    parts = [f"{passed} of {len(names)} checks passed"]
    parts += [f"{status}: {', '.join(poor[status])}" for status in ("WARN", "FAIL") if poor[status]]
    return "; ".join(parts)


def explain_failures(failed: Sequence[Finding], stage: str, file: str) -> str:
    """Return in a line why a stage stops the run, and how to go on.

    Args:
        failed: The findings that stop it.
        stage: ``audit`` or ``preflight``.
        file: Where all findings stand.
    """
    first = failed[0]
    more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    names = " ".join(f"--accept {name}" for name in dict.fromkeys(each.check for each in failed))
    return (
        f"{stage}: {first.check}: {first.message}{more}; {first.remedy}; "
        f"or wave it through by name: {names}; all findings: {file}"
    )
