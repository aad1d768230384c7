"""An optimum a decade outside of the first range: is it found, and is it ever cut away?

``python -m benchmarks.search.beyond --seeds 50`` runs sieve on the planted tasks ``decade:0`` … and
prints in how many the recommended value lies within a factor of three of the optimum, and in how
many the space ends without it; likewise, on ``inside:0`` …, for optima that lie in the range.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from benchmarks.figures import Figures
from benchmarks.search.planted import Decade
from benchmarks.search.sieve import search
from benchmarks.search.suite import load_task
from search.space import Float


def run(kind: str, seed: int, num_workers: int, full_runs: float) -> dict[str, bool]:
    """Return whether the optimum was found, and whether it is in the space at the end."""
    task = load_task(f"{kind}:{seed}")
    seconds = full_runs / num_workers * task.mean_full_seconds
    found = search(task, seed, num_workers, seconds)
    optimum = Decade(seed, beyond=kind == "decade").centre[0] - 4.0
    recommended = found.trace.recommended[-1][1]
    space = found.fine.living.whole["x0"]
    assert isinstance(space, Float)
    return {
        "found": abs(math.log10(float(recommended["x0"])) - optimum) <= math.log10(3.0),
        "kept": math.log10(space.low) <= optimum <= math.log10(space.high),
    }


def main() -> None:
    """Run all seeds, count and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--full-runs", type=float, default=64)
    parser.add_argument("--out", type=Path, help="JSON file for benchmarks.search.report")
    arguments = parser.parse_args()
    figures = Figures(
        "An optimum outside of the first range",
        "`python -m benchmarks.search.beyond`: planted bowls in five dimensions, "
        f"{arguments.full_runs:g} full trainings on {arguments.workers} workers. *decade*: the "
        "optimum lies a decade beyond the range's end; *inside*: it lies in the range. *Found* is "
        "a recommended value within a factor of three of the optimum, *kept* a space that holds "
        "the optimum at the end.",
    )
    for kind in ("decade", "inside"):
        runs = [
            run(kind, seed, arguments.workers, arguments.full_runs)
            for seed in range(arguments.seeds)
        ]
        shares = {key: sum(each[key] for each in runs) / len(runs) for key in runs[0]}
        percent = {key: f"{share:.0%}" for key, share in shares.items()}
        figures.add(optimum=kind, seeds=str(len(runs)), **percent)
    figures.save(arguments.out)


if __name__ == "__main__":
    main()
