"""Tables and picture of the regrets: how far each method is, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Regrets = dict[str, dict[str, dict[str, list[float]]]]
"""{method: {task: {seed: regrets at 1/64 … 64/64 of the budget}}}."""

OURS = "sieve"
MOMENTS = {"⅛": 7, "¼": 15, "½": 31, "1": 63}
NUM_BOOTSTRAPS = 2000


@dataclass(frozen=True)
class Pairs:
    """Two methods on the same tasks and seeds.

    Attributes:
        ours: Shape (pairs, 64).
        theirs: Likewise.
        weights: Shape (pairs,); every task weighs the same.
    """

    ours: NDArray[np.float64]
    theirs: NDArray[np.float64]
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, regrets: Regrets, ours: str, theirs: str) -> Pairs:
        """Return the runs that both methods have done."""
        rows, weights = [], []
        for task in sorted(set(regrets[ours]) & set(regrets[theirs])):
            seeds = sorted(set(regrets[ours][task]) & set(regrets[theirs][task]))
            rows += [(regrets[ours][task][seed], regrets[theirs][task][seed]) for seed in seeds]
            weights += [1.0 / len(seeds)] * len(seeds)
        both = np.array(rows, dtype=np.float64).reshape(len(rows), 2, -1)
        total = np.array(weights) / (sum(weights) or 1.0)
        return cls(both[:, 0], both[:, 1], total)

    def __len__(self) -> int:
        return len(self.weights)

    def mean(self, moment: int) -> tuple[float, float]:
        """Return both methods' mean regret at a moment."""
        ours, theirs = self.ours[:, moment], self.theirs[:, moment]
        return float(self.weights @ ours), float(self.weights @ theirs)

    def difference(self, moment: int) -> tuple[float, float]:
        """Return the 95 % interval of ours minus theirs, bootstrapped over the runs."""
        generator = np.random.default_rng(0)
        differences = self.ours[:, moment] - self.theirs[:, moment]
        drawn = generator.integers(len(self), size=(NUM_BOOTSTRAPS, len(self)))
        weights = self.weights[drawn]
        means = (weights * differences[drawn]).sum(1) / weights.sum(1)
        low, high = np.quantile(means, [0.025, 0.975])
        return float(low), float(high)

    def time_to_their_end(self) -> float:
        """Return the share of the budget after which our mean regret is at most their last."""
        theirs = self.mean(-1)[1]
        curve = self.weights @ self.ours
        reached = np.flatnonzero(curve <= theirs)
        return float((reached[0] + 1) / curve.size) if len(reached) else math.inf


def mean_curve(regrets: Regrets, method: str) -> NDArray[np.float64]:
    """Return a method's mean regret over tasks, each task's mean over its seeds."""
    by_task = [np.mean(list(seeds.values()), axis=0) for seeds in regrets[method].values()]
    curve: NDArray[np.float64] = np.mean(by_task, axis=0)
    return curve


def table(regrets: Regrets, cpu: dict[str, float]) -> str:
    """Return the Markdown table of all methods, best last regret first.

    Args:
        regrets: Of all methods.
        cpu: Method to its own CPU seconds in a run.
    """
    header = ["method", "runs", *MOMENTS, "sieve on the same runs", "difference", "time", "CPU"]
    rows = [header, ["---"] * len(header)]
    for method in sorted(regrets, key=lambda name: mean_curve(regrets, name)[-1]):
        curve = mean_curve(regrets, method)
        runs = sum(len(seeds) for seeds in regrets[method].values())
        row = [method, str(runs), *(f"{curve[moment]:.3f}" for moment in MOMENTS.values())]
        rows.append([*row, *_beside(regrets, method), f"{cpu[method]:.1f} s"])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def _beside(regrets: Regrets, method: str) -> list[str]:
    pairs = Pairs.of(regrets, OURS, method) if OURS in regrets and method != OURS else None
    if not pairs:
        return ["", "", ""]
    low, high = pairs.difference(-1)
    time = pairs.time_to_their_end()
    reached = f"{time:.2f}" if math.isfinite(time) else "not reached"
    return [f"{pairs.mean(-1)[0]:.3f}", f"[{low:+.3f}, {high:+.3f}]", reached]


def draw(regrets: Regrets, target: Path) -> None:
    """Draw the mean regret curves of all methods.

    Args:
        regrets: Of all methods.
        target: An SVG file.
    """
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5))
    share = np.arange(1, 65) / 64
    for method in sorted(regrets, key=lambda name: mean_curve(regrets, name)[-1]):
        is_ours = method.startswith(OURS)
        width = 2.6 if is_ours else 1.1
        axes.plot(share, mean_curve(regrets, method), label=method, linewidth=width)
    axes.set(xlabel="share of the budget", ylabel="mean normalised regret", yscale="log")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=7, ncols=2)
    figure.tight_layout()
    figure.savefig(target)
    pyplot.close(figure)
