"""The table of what was measured, as Markdown."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from search.insight.compare import compare

PEER_NAMES = {
    "ray_asha_random": "Ray Tune, ASHA + random",
    "optuna_tpe_hyperband": "Optuna, TPE + Hyperband",
}
_INTRODUCTION = """# Benchmarks

Written by `python -m benchmarks.end_to_end`; nothing here is typed in by hand.

`SIEVE_DATA=FOLDER python -m benchmarks.end_to_end --tasks digits,fashion_mnist,adult --peers`
measures all of it again, on the machine that it runs on. The peers need
`scripts/install .venv benchmarks`.

More of it: [the search](search/README.md) against its peers, [real trainings](REAL.md) of several
seeds, [the guide's judgement](guide/README.md), [a cluster](cluster/README.md), [the training
loop](TRAINING.md).
"""
_RUNS = """## A whole run of `sieve run`

Accuracy on the test rows is the mean over the seeds of the confirmation. Memory is the highest
sum over all processes of the run, shared pages counted once. The training share is the part of
the trial slots' wall time in coarse that went into training steps and evaluations; a start is the
median time from a process's last report of one trial to the first step of the next.
"""
_PEERS = """## Beside its peers

The same machine, data, model module, training loop, space and wall time. The peers train on all the
training rows, with the longest of sieve's trainings as their longest, and search as long as sieve's
whole run, its confirmation included; retraining their best configuration over the same number of
seeds comes on top of that time (*its retraining*, divided by the slots): a peer's winner may be one
that couldn't be proven within the budget, which sieve never takes. With `--keep` they may have been
measured before sieve was, with the longest training of sieve's run of then. The ratio is the peer's
time over sieve's to the lower of the two final validation losses, each on at most 5,000 validation
rows; above 1, sieve is faster.
"""


def write_readme(results: Path, target: Path) -> None:
    """Write the table of all results in a folder.

    Args:
        results: Folder with a JSON file for each task.
        target: The Markdown file.
    """
    measured = [json.loads(path.read_text()) for path in sorted(results.glob("*.json"))]
    parts = [_INTRODUCTION, machine(), _RUNS, _runs_table(measured)]
    with_peers = [each for each in measured if any(peer in each for peer in PEER_NAMES)]
    if with_peers:
        parts += [_PEERS, _peers_table(with_peers)]
    target.write_text("\n".join(parts))


def machine() -> str:
    """Return what was measured on, as a sentence."""
    return f"Measured on {os.cpu_count()} cores ({platform.machine()}), without a GPU.\n"


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _runs_table(measured: list[dict[str, Any]]) -> str:
    header = ["task", "model", "time budget", "wall", "winner", "wanted", "baseline", "difference"]
    header += ["verdict", "trials", "memory", "training share", "start"]
    return markdown_table(header, [_run_row(each["task"], each["sieve"]) for each in measured])


def _run_row(task: dict[str, Any], run: dict[str, Any]) -> list[str]:
    comparison, coarse, trials = run["comparison"], run["cost"]["coarse"], run["trials"]
    return [
        task["name"],
        task["model"],
        task["time_budget"],
        f"{run['wall_seconds']:.0f} s",
        _accuracy(run["winner"]),
        f"{task['wanted']:.3f}",
        _accuracy(run["baseline"]),
        f"{comparison['difference']:+.4f} [{', '.join(f'{x:+.4f}' for x in comparison['ci95'])}]",
        comparison["verdict"],
        f"{trials['coarse']} + {trials['fine']} + {trials['confirm']}",
        f"{run['peak_memory_bytes'] / 1e9:.2f} GB",
        f"{coarse['training_share']:.0%}",
        f"{1000 * coarse['trial_start_seconds']:.0f} ms",
    ]


def _accuracy(found: dict[str, Any]) -> str:
    return f"{found['test']['mean']:.4f} ± {found['test']['sd']:.4f}"


def _peers_table(measured: list[dict[str, Any]]) -> str:
    header = ["task", "peer", "its test accuracy", "sieve's", "its validation loss", "sieve's"]
    header += ["its time to the lower loss", "sieve's", "ratio", "trials", "its retraining"]
    rows = [
        _peer_row(each["task"]["name"], name, each[peer], each["sieve"])
        for each in measured
        for peer, name in PEER_NAMES.items()
        if peer in each
    ]
    return markdown_table(header, rows)


def _peer_row(task: str, name: str, peer: dict[str, Any], sieve: dict[str, Any]) -> list[str]:
    finals = peer["curve"][-1][1], sieve["curve"][-1][1]
    times = time_to(peer["curve"], min(finals)), time_to(sieve["curve"], min(finals))
    return [
        task,
        name,
        _accuracy(peer),
        _accuracy(sieve["winner"]),
        *(f"{final:.4f}" for final in finals),
        *(f"{at:.0f} s" if math.isfinite(at) else "not reached" for at in times),
        ratio(times, (peer["search_seconds"], sieve["wall_seconds"])),
        str(peer["num_trials"]),
        f"{peer['retrain_seconds']:.0f} s" if "retrain_seconds" in peer else "not measured",
    ]


def paired_difference(ours: Mapping[int, float], theirs: Mapping[int, float]) -> str:
    """Return ours minus theirs, paired by seed, with its 95 % interval; one seed has none."""
    found = compare(ours, theirs, metric="value", mode="max")
    if found.ci95 is None:
        return f"{found.difference:+.4f}"
    low, high = found.ci95
    return f"{found.difference:+.4f} [{low:+.4f}, {high:+.4f}]"


def time_to(curve: list[list[float]], loss: float) -> float:
    """Return when a curve of (seconds, lowest loss) reaches a loss; infinity for never."""
    return next((at for at, value in curve if value <= loss), math.inf)


def ratio(times: tuple[float, float], searched: tuple[float, float]) -> str:
    """Return peer's time over sieve's; a bound where one of them hasn't got there.

    Args:
        times: Peer's and sieve's time to the loss.
        searched: How long each had.
    """
    peer, sieve = times
    if math.isinf(peer):
        return f"> {searched[0] / sieve:.2f}"
    if math.isinf(sieve):
        return f"< {peer / searched[1]:.2f}"
    return f"{peer / sieve:.2f}"
