"""Numbers, durations and configurations as people read them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

NONE = "—"
"""What stands in the place of a value that doesn't exist."""

_TICKS = "▁▂▃▄▅▆▇█"
_SHORT = {
    "learning_rate": "lr",
    "optimizer": "opt",
    "weight_decay": "wd",
    "batch_size": "batch",
    "schedule": "sched",
}


def number(value: Any, digits: int = 4) -> str:
    """Return a value as text: four significant digits, thousands separated, ``—`` for none.

    >>> number(0.000012), number(12345), number(0.5), number(None), number("adam")
    ('1.2e-5', '12,345', '0.5', '—', 'adam')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return NONE
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if float(value).is_integer() and (isinstance(value, int) or abs(value) < 1e6):
        return f"{int(value):,}"
    if 1e-3 <= abs(value) < 1e6:
        places = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
        whole = f"{value:,.{places}f}"
        return whole.rstrip("0").rstrip(".") if "." in whole else whole
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def count(value: float | None) -> str:
    """Return a large count in short.

    >>> count(950), count(12_300), count(4_560_000)
    ('950', '12.3k', '4.56M')
    """
    if value is None or not math.isfinite(value):
        return NONE
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * size:  # so that 999,900 becomes 1M, never 1e+03k
            return f"{value / size:.3g}{letter}"
    return number(value, 3)


def seconds(value: float | None) -> str:
    """Return a duration in the units in which people say it.

    >>> seconds(0.045), seconds(31.24), seconds(252), seconds(7500)
    ('45 ms', '31.2 s', '4 min 12 s', '2 h 05 min')
    """
    if value is None or not math.isfinite(value):
        return NONE
    if 0 < value < 0.1:
        return f"{1000 * value:.0f} ms"
    if value < 59.95:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def mean_sd(mean: float | None, sd: float | None) -> str:
    """Return ``mean ± sd`` with as many places as two digits of the deviation need.

    >>> mean_sd(0.88123, 0.0042), mean_sd(0.5, None)
    ('0.8812 ± 0.0042', '0.5')
    """
    if mean is None or sd is None or not (math.isfinite(mean) and math.isfinite(sd)):
        return number(mean)
    return f"{mean:{_form(sd)}} ± {sd:{_form(sd)}}"


def interval(low: float | None, high: float | None, signed: bool = False) -> str:
    """Return ``[low, high]`` with as many places as two digits of its width need.

    Args:
        low: Lower end; None when there is no interval.
        high: Upper end.
        signed: Write the plus signs too, for differences.
    """
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return NONE
    sign, form = "+" if signed else "", _form((high - low) / 2)
    return f"[{low:{sign}{form}}, {high:{sign}{form}}]"


def difference(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """Return a signed difference with as many places as its interval."""
    if value is None or not math.isfinite(value):
        return NONE
    if low is None or high is None or not math.isfinite(high - low):
        return f"{value:+.3g}"
    return f"{value:+{_form((high - low) / 2)}}"


def aligned(values: Sequence[float]) -> list[str]:
    """Return values with the same number of places, as many as four digits of them need.

    >>> aligned([0.91123, 0.898])
    ['0.9112', '0.8980']
    """
    places = max((len(number(value).partition(".")[2]) for value in values), default=0)
    exponent = any("e" in number(value) for value in values)
    return [number(value) if exponent else f"{value:.{places}f}" for value in values]


def _form(spread: float) -> str:
    """Return the format with two digits of a spread: fixed, or with an exponent where it's tiny."""
    if spread <= 0:
        return ".4f"
    places = max(1 - math.floor(math.log10(spread)), 0)
    return f".{places}f" if places <= 6 else ".3e"


def short_config(config: Mapping[str, Any]) -> str:
    """Return a configuration in one line with short names, for a table's cell."""
    return " ".join(f"{_short_name(name)}={number(value, 2)}" for name, value in config.items())


def _short_name(name: str) -> str:
    for long, short in _SHORT.items():
        name = name.replace(long, short)
    return name


def sparkline(values: Sequence[float], width: int = 12) -> str:
    """Draw a curve in at most ``width`` characters, on a log scale when all are above 0.

    Values that aren't finite are drawn as ``x``.

    >>> sparkline([8, 4, 2, 1])
    '█▆▃▁'
    """
    if not values:
        return ""
    picked = np.linspace(0, len(values) - 1, min(width, len(values))).round().astype(int)
    shown = np.asarray(values, dtype=float)[picked]
    finite = shown[np.isfinite(shown)]
    if finite.size == 0:
        return "x" * len(shown)
    scaled = np.log(shown, where=shown > 0, out=np.full_like(shown, np.nan))
    if finite.min() <= 0:
        scaled = shown
    low, high = np.nanmin(scaled[np.isfinite(shown)]), np.nanmax(scaled[np.isfinite(shown)])
    return "".join(_tick(value, float(low), float(high)) for value in scaled)


def _tick(value: float, low: float, high: float) -> str:
    if not math.isfinite(value):
        return "x"
    # Halves, since the whole range may be wider than the largest float.
    share = (value / 2 - low / 2) / (high / 2 - low / 2) if high / 2 > low / 2 else 0.5
    return _TICKS[min(int(share * len(_TICKS)), len(_TICKS) - 1)]
