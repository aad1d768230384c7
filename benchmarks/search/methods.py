"""The methods by name; a method's library is imported when it is run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.search.peer import Peer, Trace, Workers
from benchmarks.search.tasks import Task

Run = Callable[[Task, int, int, float], Trace]
"""(task, seed, workers, seconds) to what came out."""


def _sieve(**more: Any) -> Callable[[], Run]:
    def load() -> Run:
        from benchmarks.search.sieve import run_sieve

        return partial(run_sieve, **more)

    return load


def _peer(make: Callable[[Task, int], Peer]) -> Run:
    def run(task: Task, seed: int, num_workers: int, seconds: float) -> Trace:
        return Workers(make(task, seed), num_workers, seconds).run()

    return run


def _named(module: str, name: str, **more: Any) -> Callable[[], Run]:
    def load() -> Run:
        from importlib import import_module

        return _peer(partial(getattr(import_module(f"benchmarks.search.{module}"), name), **more))

    return load


METHODS: dict[str, Callable[[], Run]] = {
    "sieve": _sieve(),
    "sieve_prior": _sieve(prior="published"),
    "sieve_wrong_prior": _sieve(prior="wrong"),
    "sieve_tpe": _sieve(searcher="tpe"),
    "random": _named("full_peers", "RandomSearch"),
    "hyperopt_tpe": _named("full_peers", "HyperoptTpe"),
    "optuna_tpe": _named("optuna_peers", "optuna_tpe"),
    "optuna_tpe_hyperband": _named("optuna_peers", "optuna_tpe_hyperband"),
    "optuna_gp": _named("optuna_peers", "optuna_gp"),
    "ray_asha": _named("ray_peers", "RayAsha"),
    "ray_asha_optuna": _named("ray_peers", "RayAshaOptuna"),
    "syne_asha": _named("syne_peers", "syne_asha"),
    "syne_bohb": _named("syne_peers", "syne_bohb"),
    "syne_asha_bore": _named("syne_peers", "syne_asha_bore"),
    "syne_asha_cqr": _named("syne_peers", "syne_asha_cqr"),
    "dehb": _named("bracket_peers", "Dehb"),
    "smac_mf": _named("bracket_peers", "SmacMultiFidelity"),
    "neps_priorband": _named("bracket_peers", "Neps", algorithm="priorband"),
    "neps_hyperband": _named("bracket_peers", "Neps", algorithm="hyperband"),
    "neps_ifbo": _named("bracket_peers", "Neps", algorithm="ifbo"),
}
