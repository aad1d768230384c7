"""One peer in a process of its own: search, retrain the best over several seeds, test."""

from __future__ import annotations

import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.peers import bench_of, search_with_optuna, search_with_ray
from search.space import Config
from search.strategy.phase import trial_seed

NUM_SEEDS = 3
SEARCHES: dict[str, Callable[[str], list[dict[str, Any]]]] = {
    "ray_asha_random": search_with_ray,
    "optuna_tpe_hyperband": search_with_optuna,
}


def curve_of(found: list[dict[str, Any]]) -> list[tuple[float, float]]:
    """Return (seconds, lowest validation loss so far) wherever it fell."""
    curve: list[tuple[float, float]] = []
    for each in found:
        if math.isfinite(each["loss"]) and (not curve or each["loss"] < curve[-1][1]):
            curve.append((each["at"], each["loss"]))
    return curve


def retrain(request: str, config: Config, seed: int) -> float:
    """Train a configuration in full and return its accuracy on the test rows."""
    session = bench_of(request).session(config, seed, test=True)
    for _ in session.run():
        pass
    outcome = session.outcome()
    return outcome.test[1] if outcome.test else math.nan


def main(request: str, target: str) -> None:
    """Search, retrain the best, and write what came out.

    Args:
        request: JSON: ``peer``, ``data``, ``label``, ``model``, ``seconds``, ``full_samples``,
            ``slots``, ``folder``.
        target: File to write.
    """
    values = json.loads(request)
    began = time.time()
    found = SEARCHES[values["peer"]](request)
    searched = time.time() - began
    best = min(found, key=lambda each: each["loss"])
    seeds = [trial_seed(0, 1_000_000 + number) for number in range(NUM_SEEDS)]
    configs = [best["config"]] * NUM_SEEDS
    with ProcessPoolExecutor(values["slots"], mp_context=get_context("spawn")) as pool:
        tests = list(pool.map(retrain, [request] * NUM_SEEDS, configs, seeds))
    result = {
        "config": best["config"],
        "test": {"mean": statistics.mean(tests), "sd": statistics.stdev(tests), "per_seed": tests},
        "curve": curve_of(found),
        "search_seconds": searched,
        "num_trials": len({each["trial"] for each in found}),
    }
    Path(target).write_text(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
