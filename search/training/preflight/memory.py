"""How much of a GPU a trial takes, so that several may share one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from search.findings import Finding
from search.space import Config
from search.training.network import EVAL_CHUNK
from search.training.preflight.bench import Bench, Training

NUM_CONFIGS = 8
"""That are tried beside the published one: drawn, and the one with the upper end of every range."""
_UPPER = 1.0 - 1e-9
HEAD_ROOM = 1.25
CONTEXT_BYTES = 0.6e9
"""What CUDA takes for itself in each process."""


def check_gpu_memory(bench: Bench) -> list[Finding]:
    """Measure what the published default takes, and configurations from all over the space.

    One that can't be trained is passed over: its trial will say why.
    """
    device = bench.data.device
    if device.type != "cuda":
        return []
    total = torch.cuda.get_device_properties(device).total_memory
    used = max(_bytes_of(bench, config, total) for config in _configs(bench))
    message = f"a trial takes up to {used / 1e9:.2f} of a GPU's {total / 1e9:.0f} GB"
    return [Finding("gpu_memory", "PASS", message, value=share_needed(used, total))]


def share_needed(used: float, total: float) -> float:
    """Return the share of a GPU that a trial needs, at most 1.

    Args:
        used: Bytes that its tensors take.
        total: Bytes of the GPU.
    """
    return min(1.0, (HEAD_ROOM * used + CONTEXT_BYTES) / total)


def _configs(bench: Bench) -> Iterator[Config]:
    yield bench.config
    space = bench.space or bench.model.space(bench.spec)
    units = np.random.default_rng(0).random((NUM_CONFIGS, len(space.searched)))
    units[0] = _UPPER
    for row in units:
        if bench.seconds_left > 0.5:
            yield space.from_unit(row)


def _bytes_of(bench: Bench, config: Config, total: int) -> int:
    try:
        return _peak_of(bench, config)
    except torch.OutOfMemoryError:
        return total
    except Exception:
        return 0


def _peak_of(bench: Bench, config: Config) -> int:
    device = bench.data.device
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    size = min(int(config.get("batch_size", bench.batch_size)), len(bench.rows.train))
    module = bench.network(0, config)
    for _ in Training(bench, module, config, bench.rows.train, batch_size=size).steps(2):
        pass
    with torch.no_grad():
        module.eval()(*bench.data.batch(bench.rows.train[: EVAL_CHUNK["cuda"]])[0])
    return torch.cuda.max_memory_reserved(device)
