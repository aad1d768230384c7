"""The weakness report as plain data: before tuning and after, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.report import text
from search.report.files import Run

Values = Mapping[str, Any]
_SHOWN_ROWS = 20


@dataclass(frozen=True)
class Gauge:
    """An interval on the scale that all intervals of its list share, in percent.

    Attributes:
        left: Where it begins.
        width: Its length.
        zero: Where no difference lies.
    """

    left: float
    width: float
    zero: float


@dataclass(frozen=True)
class SliceRow:
    """A slice.

    Attributes:
        words: What it holds.
        num_rows: That it holds.
        error: In it.
        rest: Elsewhere.
        other: What the other side's model errs there, on the proof's rows; empty where unknown.
        difference: From the rest, with its interval.
        is_significant: Whether chance doesn't explain it.
        gauge: The interval as a bar.
    """

    words: str
    num_rows: int
    error: str
    rest: str
    other: str
    difference: str
    is_significant: bool
    gauge: Gauge


@dataclass(frozen=True)
class ShareRow:
    """A class's recall, or the share of a class that is taken for another, with its interval."""

    words: str
    num_rows: str
    share: str
    interval: str


@dataclass(frozen=True)
class SampleRow:
    """A row of the data to look at."""

    row: int
    truth: str
    said: str
    loss: str
    probability: str
    values: str
    picture: str | None


@dataclass(frozen=True)
class Part:
    """One side: before tuning, or after.

    Attributes:
        side: ``before`` or ``after``.
        name: The configuration.
        origin: Where it was published, and how long it was trained; empty after tuning.
        missing: Why there is nothing; empty where there is something.
        error: Of all rows.
        interval: Its interval.
        num_rows: Validation rows that were looked at.
        num_slices: Slices that were looked at.
        slices: The worst.
        classes: The worst.
        confusions: The most frequent.
        samples: With the highest loss.
        mislabels: Whose label seems wrong.
        models: Whose word that is.
        cant_fix: What all models get wrong; None where there is one model only.
    """

    side: str
    name: str
    origin: str = ""
    missing: str = ""
    error: str = ""
    interval: str = ""
    num_rows: int = 0
    num_slices: int = 0
    slices: tuple[SliceRow, ...] = ()
    classes: tuple[ShareRow, ...] = ()
    confusions: tuple[ShareRow, ...] = ()
    samples: tuple[SampleRow, ...] = ()
    mislabels: tuple[SampleRow, ...] = ()
    models: tuple[str, ...] = ()
    cant_fix: CantFix | None = None

    @property
    def other(self) -> str:
        """Whose errors stand beside its own; empty where nobody's do."""
        if not any(each.other for each in self.slices):
            return ""
        return "Winner now" if self.side == "before" else "Default"

    @property
    def has_pictures(self) -> bool:
        """Whether the samples are images."""
        return any(each.picture for each in self.samples)


@dataclass(frozen=True)
class CantFix:
    """The errors that every good model makes.

    Attributes:
        models: That make them.
        num_rows: How many rows.
        share: Of the winner's errors.
        rows: The numbers of the first ones.
        in_common: Slices in which they are frequent.
    """

    models: tuple[str, ...]
    num_rows: int
    share: str
    rows: str
    in_common: tuple[SliceRow, ...]


def weakness_parts(run: Run) -> list[Part]:
    """Return what there is of the two sides, before tuning first."""
    before, after = run.weakness_before, run.weakness_after
    parts = []
    if before:
        parts.append(_part("before", before, after.get("compared_before") or (), "winner"))
    if after:
        parts.append(_part("after", after, after.get("compared") or (), "baseline"))
    return parts


def _part(side: str, values: Values, compared: Sequence[Values], other: str) -> Part:
    if values.get("missing"):
        return Part(side, name="", missing=str(values["missing"]))
    has_classes = bool(values["has_classes"])
    error = values["error"]
    return Part(
        side=side,
        name=str(values["name"]),
        origin=_origin(values),
        error=amount(error["value"], has_classes),
        interval=f"{amount(error['low'], has_classes)} to {amount(error['high'], has_classes)}",
        num_rows=int(values["num_rows"]),
        num_slices=int(values["num_slices"]),
        slices=_slices(values["slices"], has_classes, _others(compared, other, has_classes)),
        classes=tuple(_class(each) for each in values["classes"]),
        confusions=tuple(_confusion(each) for each in values["confusions"]),
        samples=tuple(_sample(each) for each in values["samples"]),
        mislabels=tuple(_sample(each) for each in values["mislabels"]),
        models=tuple(values["models"]),
        cant_fix=_cant_fix(values["tuning_cant_fix"]),
    )


def _origin(values: Values) -> str:
    if "source" not in values:
        return ""
    return f"{values['source']}, after {text.count(values['samples_seen'])} training samples"


def amount(value: float | None, has_classes: bool, *, signed: bool = False) -> str:
    """Return an error: the share that is wrong in percent, or its size in the target's unit.

    >>> amount(0.1234, True), amount(1234.5, False), amount(0.05, True, signed=True)
    ('12.3 %', '1,234', '+5.0 %')
    """
    if value is None:
        return text.NONE
    sign = "+" if signed and value >= 0 else ""
    return f"{sign}{100 * value:.1f} %" if has_classes else f"{sign}{text.number(value)}"


def _others(compared: Sequence[Values], name: str, has_classes: bool) -> dict[str, str]:
    known = [each for each in compared if name in each]
    return {str(each["words"]): amount(each[name]["error"], has_classes) for each in known}


def _slices(
    slices: Sequence[Values], has_classes: bool, others: Mapping[str, str]
) -> tuple[SliceRow, ...]:
    lowest = min((each["low"] for each in slices), default=0.0)
    low, high = min(lowest, 0.0), max((each["high"] for each in slices), default=1.0)
    return tuple(_slice(each, has_classes, others, low, high) for each in slices)


def _slice(
    values: Values, has_classes: bool, others: Mapping[str, str], low: float, high: float
) -> SliceRow:
    scale = 100 / (high - low) if high > low else 0.0
    ends = [amount(values[end], has_classes, signed=True) for end in ("low", "high")]
    difference = amount(values["error"] - values["rest"], has_classes, signed=True)
    return SliceRow(
        words=str(values["words"]),
        num_rows=int(values["num_rows"]),
        error=amount(values["error"], has_classes),
        rest=amount(values["rest"], has_classes),
        other=others.get(str(values["words"]), ""),
        difference=f"{difference} [{ends[0]}, {ends[1]}]",
        is_significant=values["low"] > 0,
        gauge=Gauge(
            left=scale * (values["low"] - low),
            width=scale * (values["high"] - values["low"]),
            zero=-scale * low,
        ),
    )


def _class(values: Values) -> ShareRow:
    return _share(str(values["name"]), values["num_rows"], values["recall"])


def _confusion(values: Values) -> ShareRow:
    words = f"{values['truth']} → {values['said']}"
    return _share(words, values["num_rows"], values["share"])


def _share(words: str, num_rows: float, share: Values) -> ShareRow:
    ends = [amount(share[end], True) for end in ("low", "high")]
    value = amount(share["value"], True)
    return ShareRow(words, text.number(round(num_rows, 1)), value, f"{ends[0]} to {ends[1]}")


def _sample(values: Values) -> SampleRow:
    chance = values["probability"]
    return SampleRow(
        row=int(values["row"]),
        truth=text.number(values["truth"]),
        said=text.number(values["said"]),
        loss=text.number(values["loss"], 3),
        probability="" if chance is None else f"{100 * chance:.2g} %",
        values=", ".join(f"{name} = {text.number(v)}" for name, v in values["values"].items()),
        picture=_picture(values["picture"]),
    )


def _picture(uri: Any) -> str | None:
    """Return a picture of ours, and nothing else that a browser would fetch."""
    return uri if isinstance(uri, str) and uri.startswith("data:image/png;base64,") else None


def _cant_fix(values: Values | None) -> CantFix | None:
    if values is None:
        return None
    rows = list(values["rows"])
    more = ", …" if len(rows) > _SHOWN_ROWS else ""
    return CantFix(
        models=tuple(values["models"]),
        num_rows=int(values["num_rows"]),
        share=f"{100 * values['share']:.0f} %",
        rows=", ".join(str(row) for row in rows[:_SHOWN_ROWS]) + more,
        in_common=_slices(values["in_common"], True, {}),
    )
