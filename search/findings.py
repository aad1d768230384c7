"""What audit and preflight find: a status, the evidence, what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Status = Literal["PASS", "WARN", "FAIL"]

MAX_ROWS = 10_000
"""As JSON a finding names no more rows than these; ``num_rows`` counts them all."""

Rows = NDArray[np.int64]


def _none() -> Rows:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Finding:
    """What a check has to say.

    Attributes:
        check: The check's name.
        status: ``FAIL`` stops a run, unless the check is accepted by name.
        message: What was found, with its numbers.
        remedy: What to do about it; empty where there is nothing to do.
        columns: That it is about.
        rows: Numbers of the rows that it is about, from 0, in the table's order, or the most
            suspect first.
        num_rows: How many there are.
        value: The number that decided; None where there is none.
        interval: From where to where, where that is what was measured.
    """

    check: str
    status: Status
    message: str
    remedy: str = ""
    columns: tuple[str, ...] = ()
    rows: Rows = field(default_factory=_none)
    num_rows: int = 0
    value: float | None = None
    interval: tuple[float, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values; of many rows the first ones, an interval if any."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        if fields.pop("interval") is not None:
            fields["interval"] = list(self.interval or ())
        rows = self.rows[:MAX_ROWS].tolist()
        return {**fields, "columns": list(self.columns), "rows": rows}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Finding:
        """Read what :meth:`to_json` wrote."""
        rows = np.array(values["rows"], dtype=np.int64)
        interval = tuple(values["interval"]) if "interval" in values else None
        columns = tuple(values["columns"])
        return cls(**{**values, "columns": columns, "rows": rows, "interval": interval})


def warn(
    check: str,
    message: str,
    remedy: str,
    *,
    columns: Sequence[str] = (),
    rows: Rows | None = None,
    value: float | None = None,
    fails: bool = False,
) -> Finding:
    """Return a finding that isn't a pass.

    Args:
        check: Its name.
        message: What was found.
        remedy: What to do.
        columns: It is about these.
        rows: And about these; None: about none.
        value: The number that decided.
        fails: It is bad enough to stop a run.
    """
    found = _none() if rows is None else rows
    return Finding(
        check=check,
        status="FAIL" if fails else "WARN",
        message=message,
        remedy=remedy,
        columns=tuple(columns),
        rows=found,
        num_rows=len(found),
        value=None if value is None else float(value),
    )


def failures(findings: Iterable[Finding], accepted: Iterable[str] = ()) -> list[Finding]:
    """Return the findings that stop a run: those that fail and weren't accepted by name."""
    waved = set(accepted)
    return [each for each in findings if each.status == "FAIL" and each.check not in waved]
