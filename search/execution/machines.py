"""Machines: how many trials they have room for, which a cluster may start, whether they are missed.

Nothing here asks Ray: what is up is told by who has asked.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from search.errors import StudyError

BOOTSTRAP = Path.home() / "ray_bootstrap_config.yaml"
"""Where ``ray up`` leaves the cluster's file on the head."""
_GPU_NAME = "accelerator_type:"
_MOST_SIZES = 3


@dataclass(frozen=True)
class Kind:
    """A kind of machines.

    Attributes:
        resources: Of one: ``CPU``, ``GPU``.
        number: At most; infinite where there is no limit.
    """

    resources: Mapping[str, float]
    number: float = 1

    @property
    def gpu(self) -> str:
        """The name of its GPUs, as Ray knows it; empty where it doesn't, or has none."""
        named = (each for each in self.resources if each.startswith(_GPU_NAME))
        return next(named, "").removeprefix(_GPU_NAME) if self.resources.get("GPU", 0) else ""

    def slots(self, num_cpus: int, num_gpus: float) -> float:
        """Return how many trials these machines have room for."""
        each = int(self.resources.get("CPU", 0) // num_cpus)
        if num_gpus > 0:
            gpus = int(self.resources.get("GPU", 0))
            # No share stretches over two GPUs.
            fit = gpus * int(1.0 / num_gpus + 1e-9) if num_gpus < 1 else int(gpus / num_gpus)
            each = min(each, fit)
        return self.number * each if each else 0


def count_slots(kinds: Iterable[Kind], num_cpus: int, num_gpus: float) -> float:
    """Return how many trials machines have room for; no trial stretches over two."""
    return sum(kind.slots(num_cpus, num_gpus) for kind in kinds)


def describe_largest(kinds: Iterable[Kind]) -> str:
    """Return what the largest of machines have, in words; empty where there are none."""
    sizes = {(kind.resources.get("CPU", 0), kind.resources.get("GPU", 0)) for kind in kinds}
    largest = sorted(sizes, reverse=True)[:_MOST_SIZES]
    return "; ".join(f"{cpus:g} CPUs and {gpus:g} GPUs" for cpus, gpus in largest)


def kinds_of(cluster: Mapping[str, Any]) -> list[Kind]:
    """Return the machines that a cluster's file may start, the head left out.

    Args:
        cluster: What ``ray up`` was given, as it was completed.
    """
    head, most = cluster.get("head_node_type"), cluster.get("max_workers", math.inf)
    return [
        Kind(values.get("resources") or {}, min(values.get("max_workers", most), most))
        for name, values in (cluster.get("available_node_types") or {}).items()
        if name != head
    ]


def startable() -> list[Kind]:
    """Return what the connected cluster may start, as far as this machine knows."""
    if not BOOTSTRAP.is_file():
        return []
    try:
        cluster = yaml.safe_load(BOOTSTRAP.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return []
    return kinds_of(cluster) if isinstance(cluster, dict) else []


def check_workers(num_workers: int, slots: int) -> None:
    """Refuse runs of the proof that need more room at a time than there is.

    Args:
        num_workers: Processes that share a training.
        slots: Processes at a time.

    Raises:
        StudyError: They don't fit.
    """
    if num_workers > slots:
        raise StudyError(
            f"study key 'confirm.workers_per_run' = {num_workers}: there is room for {slots} "
            f"at a time; give at most {slots}, or more machines"
        )


class Missing:
    """Says since when machines have been missing, and when that is too long.

    Args:
        limit_s: So long they are waited for.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._since: float | None = None

    def look(
        self, is_missing: bool, at: float
    ) -> Literal["none", "begins", "lasts", "too long", "ends"]:
        """Take note of whether they are missing.

        Args:
            is_missing: Now.
            at: Seconds, rising.

        Returns:
            What there is to say of it.
        """
        if not is_missing:
            ended, self._since = self._since is not None, None
            return "ends" if ended else "none"
        if self._since is None:
            self._since = at
            return "begins"
        return "too long" if at - self._since > self._limit_s else "lasts"
