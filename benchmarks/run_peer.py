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
from benchmarks.syne_peer import search_with_syne
from search.space import Config
from search.strategy.phase import trial_seed

SEARCHES: dict[str, Callable[[str], list[dict[str, Any]]]] = {
    "ray_asha_random": search_with_ray,
    "optuna_tpe_hyperband": search_with_optuna,
    "syne_tune": search_with_syne,
}


def curve_of(found: list[dict[str, Any]]) -> list[tuple[float, float]]:
    """Return (seconds, lowest validation loss so far) wherever it fell."""
    curve: list[tuple[float, float]] = []
    for each in found:
        if math.isfinite(each["loss"]) and (not curve or each["loss"] < curve[-1][1]):
            curve.append((each["at"], each["loss"]))
    return curve


def retrain(request: str, config: Config, seed: int) -> dict[str, float]:
    """Train a configuration in full; return its accuracy on the test rows and what it took."""
    began = time.time()
    session = bench_of(request).session(config, seed, test=True)
    for _ in session.run():
        pass
    outcome = session.outcome()
    test = outcome.test[1] if outcome.test else math.nan
    return {"test": test, "seconds": time.time() - began}


def main(request: str, target: str) -> None:
    """Search, retrain the best, and write what came out.

    Each part is kept in the folder when it is done, and isn't done again by another call.

    Args:
        request: JSON: ``peer``, ``data``, ``label``, ``model``, ``seconds``, ``full_samples``,
            ``slots``, ``folder``, ``seed``, ``num_seeds`` (of the retraining).
        target: File to write.
    """
    values = json.loads(request)
    folder = Path(values["folder"])
    searched = _kept(folder / "search.json", lambda: _search(request, values["peer"]))
    best = searched["config"]
    seeds = [
        trial_seed(values["seed"], 1_000_000 + number) for number in range(values["num_seeds"])
    ]
    with ProcessPoolExecutor(values["slots"], mp_context=get_context("spawn")) as pool:
        trained = list(pool.map(_retrained, [request] * len(seeds), [best] * len(seeds), seeds))
    tests = [each["test"] for each in trained]
    spread = statistics.stdev(tests) if len(tests) > 1 else None
    found = {"mean": statistics.mean(tests), "sd": spread, "per_seed": tests}
    took = sum(each["seconds"] for each in trained) / values["slots"]
    Path(target).write_text(json.dumps({"test": found, "retrain_seconds": took, **searched}))


def _search(request: str, peer: str) -> dict[str, Any]:
    began = time.time()
    found = SEARCHES[peer](request)
    return {
        "config": min(found, key=lambda each: each["loss"])["config"],
        "curve": curve_of(found),
        "search_seconds": time.time() - began,
        "num_trials": len({each["trial"] for each in found}),
    }


def _retrained(request: str, config: Config, seed: int) -> dict[str, float]:
    path = Path(json.loads(request)["folder"]) / f"test-{seed}.json"
    return _kept(path, lambda: retrain(request, config, seed))


def _kept(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what a file holds; make and write it first where it is missing."""
    if not path.exists():
        made = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".tmp")
        unfinished.write_text(json.dumps(made))
        unfinished.replace(path)
    kept: dict[str, Any] = json.loads(path.read_text())
    return kept


if __name__ == "__main__":
    main(*sys.argv[1:])
