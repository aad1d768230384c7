"""How long a trial may say nothing."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from search.execution import watchdog
from search.execution.watchdog import Watchdog


@pytest.mark.parametrize(
    ("whole_s", "first_s"), [(20.0, 300.0), (1000.0, 1000.0), (1e5, 3600.0), (math.inf, 3600.0)]
)
def test_the_first_report_may_take_as_long_as_a_whole_training(
    whole_s: float, first_s: float, tmp_path: Path
) -> None:
    made = Watchdog(whole_s=whole_s)
    assert made.limit_s == first_s
    with made.watching(tmp_path):
        pass
    assert made.limit_s == watchdog.LEAST_S, "a report took next to nothing"


def test_what_the_user_says_holds_for_every_report(tmp_path: Path) -> None:
    made = Watchdog(5.0, whole_s=1000.0)
    assert made.limit_s == 5.0
    with made.watching(tmp_path):
        pass
    assert made.limit_s == 5.0
