"""Torch's threads follow the CPUs that a trial was given.

Two torch threads on busy cores are many times slower than one.
"""

from __future__ import annotations

import torch


def use_threads(num_cpus: float) -> None:
    """Let torch use as many threads as whole CPUs, at least one."""
    torch.set_num_threads(max(1, int(num_cpus)))
