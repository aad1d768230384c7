"""What a check says that wasn't done."""

from __future__ import annotations

from search.findings import Finding


def not_done(check: str, reason: str) -> Finding:
    """Return the pass of a check that can't be done, or doesn't apply: it claims nothing.

    Args:
        check: Its name.
        reason: Why, in words that go on after a colon.
    """
    return Finding(check, "PASS", f"not done: {reason}")
