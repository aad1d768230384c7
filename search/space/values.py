"""What a configuration's values are, and when two of them are the same."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

Value = float | int | str | bool


def is_number(value: Any) -> bool:
    """Say whether ``value`` is a finite number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_among(value: Any, values: Iterable[Value]) -> bool:
    """Say whether ``value`` is one of ``values``; 1 and 1.0 are the same, 1 and True are not."""
    return any(
        bool(value == each) and isinstance(value, bool) == isinstance(each, bool) for each in values
    )
