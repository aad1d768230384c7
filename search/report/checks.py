"""What audit and preflight have found, for the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from search.report.files import Run
from search.report.findings import rows_in_words


@dataclass(frozen=True)
class CheckRow:
    """A finding that isn't a pass.

    Attributes:
        status: ``WARN`` or ``FAIL``.
        check: Its name.
        message: What was found.
        remedy: What to do, with the first rows that it is about.
        is_accepted: It failed, and the study let it through.
    """

    status: str
    check: str
    message: str
    remedy: str
    is_accepted: bool


@dataclass(frozen=True)
class Checks:
    """One of the two looks before tuning.

    Attributes:
        title: Of what.
        rows: What didn't pass, failures first.
        passed: Check and message of what did.
        missing: Why there is nothing; empty where there is something.
    """

    title: str
    rows: tuple[CheckRow, ...]
    passed: tuple[tuple[str, str], ...]
    missing: str


def checks(run: Run) -> list[Checks]:
    """Return the look at the data and the one at the model."""
    wanted: dict[str, Any] = (run.study.get("study") or run.study).get("checks") or {}
    accepted = frozenset(wanted.get("accept") or ())
    return [
        _checks("The data (audit)", run.audit, "audit", wanted, accepted),
        _checks("The model (preflight)", run.preflight, "preflight", wanted, accepted),
    ]


def _checks(
    title: str,
    findings: Sequence[dict[str, Any]],
    name: str,
    wanted: dict[str, Any],
    accepted: frozenset[str],
) -> Checks:
    off = wanted.get(name) is False
    missing = "the study switches it off" if off else f"it isn't done yet (no {name}.json)"
    rows = [_row(each, accepted) for each in findings if each["status"] != "PASS"]
    return Checks(
        title,
        tuple(sorted(rows, key=lambda row: row.status != "FAIL")),
        tuple((each["check"], each["message"]) for each in findings if each["status"] == "PASS"),
        "" if findings else missing,
    )


def _row(finding: dict[str, Any], accepted: frozenset[str]) -> CheckRow:
    fails = finding["status"] == "FAIL"
    return CheckRow(
        finding["status"],
        finding["check"],
        finding["message"],
        f"{finding['remedy']}{rows_in_words(finding)}",
        fails and finding["check"] in accepted,
    )
