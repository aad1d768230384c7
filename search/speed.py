"""How fast trainings are: what was measured, and what is too slow to be proven in time."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from search.events import TOO_SLOW


@dataclass(frozen=True)
class Speed:
    """What training costs here, measured with every slot busy.

    Attributes:
        samples_per_second: Training of the first published default, on one slot.
        eval_seconds: One evaluation on the validation rows and the slice of training rows.
    """

    samples_per_second: float
    eval_seconds: float

    def to_json(self) -> dict[str, float]:
        """Return the fields."""
        return asdict(self)


@dataclass(frozen=True)
class SpeedLimit:
    """How long a full run may take.

    Attributes:
        full_samples: Training samples of a full run.
        max_run_seconds: A configuration that needs more couldn't be proven in time.
    """

    full_samples: int
    max_run_seconds: float = math.inf

    @property
    def seconds_per_sample(self) -> float:
        """The limit of one training sample, evaluations included."""
        return self.max_run_seconds / self.full_samples

    def why_broken(self, seconds: float, samples: int, margin: float = 1.0) -> str | None:
        """Return in words that a training is too slow; None when it isn't.

        Args:
            seconds: What it has taken.
            samples: Training samples of that time.
            margin: Times the limit that still passes.
        """
        full = seconds / samples * self.full_samples
        if full <= margin * self.max_run_seconds:
            return None
        return (
            f"{TOO_SLOW}: a full run would take {full:.0f} s, and confirmation "
            f"has room for {self.max_run_seconds:.0f} s"
        )
