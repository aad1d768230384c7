"""Findings of audit and preflight in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

STYLES = {"PASS": "green", "WARN": "yellow", "FAIL": "bold red"}
SHOWN_ROWS = 5


def print_findings(findings: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Print findings, one a line, what to do below those that didn't pass, and their count.

    Args:
        findings: As ``--json`` prints them.
        console: Where to print.
    """
    for finding in findings:
        line = Text(f"{finding['status']}  ", STYLES[finding["status"]])
        line.append(f"{finding['check']}: {finding['message']}", "default")
        console.print(line, soft_wrap=True)
        if finding["status"] != "PASS" and finding["remedy"]:
            console.print(
                f"      {finding['remedy']}{rows_in_words(finding)}", style="dim", soft_wrap=True
            )
    counts = {status: sum(f["status"] == status for f in findings) for status in STYLES}
    summary = ", ".join(f"{number} {status}" for status, number in counts.items() if number)
    console.print(summary, highlight=False)


def rows_in_words(finding: Mapping[str, Any]) -> str:
    """Return the first rows that a finding is about, in brackets; empty where there are none."""
    rows = finding.get("rows") or []
    if not rows:
        return ""
    more = ", …" if finding["num_rows"] > SHOWN_ROWS else ""
    return f" (rows {', '.join(str(row) for row in rows[:SHOWN_ROWS])}{more})"
