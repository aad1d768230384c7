"""What becomes of a dimension from one version of the space to the next."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Self

from search.space import Dimension
from search.space.dimensions import dimension_from_json


@dataclass(frozen=True)
class Change:
    """What became of one dimension, and why.

    Attributes:
        dimension: Its name.
        change: ``kept``, ``narrowed``, ``widened``, ``reopened``, ``fixed``, ``restored`` or
            ``moved``.
        before: Its JSON before.
        after: Its JSON now; empty where it went.
        why: In words.
        numbers: The evidence.
    """

    dimension: str
    change: str
    before: dict[str, Any]
    after: dict[str, Any]
    why: str
    numbers: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, before: Dimension, after: Dimension | None, change: str, why: str, **numbers: Any
    ) -> Self:
        """Return the change from a dimension to another."""
        later = {} if after is None else after.to_json()
        return cls(before.name, change, before.to_json(), later, why, numbers)

    @property
    def dimension_after(self) -> Dimension:
        """The dimension as it is now."""
        return dimension_from_json(self.after)

    def to_json(self) -> dict[str, Any]:
        """Return the fields."""
        return asdict(self)
