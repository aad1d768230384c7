"""Tables and picture of the regrets: how far each method is, and how sure that is."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from benchmarks.figures import Figures

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


def read_runs(folder: Path) -> list[dict[str, Any]]:
    """Return the outcomes that a folder holds, a method's after the other's."""
    files = sorted(folder.glob("runs/*.jsonl"))
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def regrets_of(runs: list[dict[str, Any]]) -> Regrets:
    """Return the regrets of some outcomes."""
    regrets: Regrets = {}
    for run in runs:
        by_task = regrets.setdefault(run["method"], {}).setdefault(run["task"], {})
        by_task[str(run["seed"])] = run["regret"]
    return regrets


def read_missing(folder: Path) -> dict[str, str]:
    """Return which methods couldn't be run, and why."""
    path = folder / "missing.json"
    reasons: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    return reasons


@dataclass(frozen=True)
class Outcome:
    """What a folder of ``python -m benchmarks.search`` holds.

    Attributes:
        regrets: Of all runs.
        cpu: Method to its own CPU seconds in a run, the mean.
        killed: Kind of task to {method: the share of the eventual best 5 % that wasn't trained in
            full}.
        num_workers: Trials at a time.
        full_runs: The budget in full trainings.
        by_seen: The regrets are those of the lowest losses seen, not of what was named.
    """

    regrets: Regrets
    cpu: dict[str, float]
    killed: dict[str, dict[str, float]]
    num_workers: int
    full_runs: float
    by_seen: bool

    @classmethod
    def read(cls, folder: Path) -> Outcome:
        """Read a folder's runs."""
        runs = read_runs(folder)
        return cls(
            regrets_of(runs),
            _means(runs, "cpu_seconds"),
            {
                kind: _means([each for each in runs if _kind(each["task"]) == kind], "killed_share")
                for kind in sorted({_kind(each["task"]) for each in runs})
            },
            runs[0]["workers"],
            runs[0]["full_runs"],
            runs[0].get("by_seen", False),
        )

    @property
    def heading(self) -> str:
        """The budget in words."""
        workers = "worker" if self.num_workers == 1 else "workers"
        by_seen = ", by the lowest loss seen" if self.by_seen else ""
        return f"{self.full_runs:g} full trainings on {self.num_workers} {workers}{by_seen}"


def _kind(task: str) -> str:
    return task.partition(":")[0]


def _means(runs: list[dict[str, Any]], field: str) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for run in runs:
        values.setdefault(run["method"], [])
        if not math.isnan(run[field]):
            values[run["method"]].append(run[field])
    return {method: float(np.mean(each)) if each else math.nan for method, each in values.items()}


def mean_ranks(regrets: Regrets) -> dict[str, float]:
    """Return each method's mean rank at the end, over the runs that all methods have done."""
    shared = set.intersection(*({(t, s) for t in m for s in m[t]} for m in regrets.values()))
    ends = np.array([[regrets[m][t][s][-1] for m in regrets] for t, s in sorted(shared)])
    if not len(ends):
        return {}
    return dict(zip(regrets, rankdata(ends, axis=1).mean(0), strict=True))


def table(outcome: Outcome) -> str:
    """Return the Markdown table of all methods, best last regret first."""
    regrets = outcome.regrets
    header = ["method", "runs", *MOMENTS, "sieve, same runs", "difference at ⅛", "difference"]
    header += ["time", "rank", "CPU", *(f"killed {kind}" for kind in outcome.killed)]
    rows = [header, ["---"] * len(header)]
    ranks = mean_ranks(regrets)
    for method in sorted(regrets, key=lambda name: mean_curve(regrets, name)[-1]):
        curve = mean_curve(regrets, method)
        runs = sum(len(seeds) for seeds in regrets[method].values())
        row = [method, str(runs), *(f"{curve[moment]:.3f}" for moment in MOMENTS.values())]
        rank = f"{ranks[method]:.1f}" if ranks else ""
        killed = (each.get(method, math.nan) for each in outcome.killed.values())
        costs = (
            _unless_nan("{:.1f} s", outcome.cpu[method]),
            *(_unless_nan("{:.0%}", share) for share in killed),
        )
        rows.append([*row, *_beside(regrets, method), rank, *costs])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def _unless_nan(pattern: str, value: float) -> str:
    return "" if math.isnan(value) else pattern.format(value)


def _beside(regrets: Regrets, method: str) -> list[str]:
    pairs = Pairs.of(regrets, OURS, method) if OURS in regrets and method != OURS else None
    if not pairs:
        return ["", "", "", ""]
    early, late = (
        "[{:+.3f}, {:+.3f}]".format(*pairs.difference(moment)) for moment in (MOMENTS["⅛"], -1)
    )
    time = pairs.time_to_their_end()
    reached = f"{time:.2f}" if math.isfinite(time) else "not reached"
    return [f"{pairs.mean(-1)[0]:.3f}", early, late, reached]


def draw(regrets: Regrets, target: Path) -> None:
    """Draw the mean regret curves of all methods.

    Args:
        regrets: Of all methods.
        target: An SVG file.
    """
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "the same file for the same numbers"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 5.5))
    share = np.arange(1, 65) / 64
    ranked = sorted(regrets, key=lambda name: mean_curve(regrets, name)[-1])
    for number, method in enumerate(ranked):
        style = {"linewidth": 2.6 if method.startswith(OURS) else 1.1, "color": f"C{number % 10}"}
        dashes = "-" if number < 10 else "--"
        axes.plot(share, mean_curve(regrets, method), dashes, label=method, **style)
    axes.set(xlabel="share of the budget", ylabel="mean normalised regret", yscale="log")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=7, ncols=2)
    figure.tight_layout()
    figure.savefig(target, metadata={"Date": None})
    pyplot.close(figure)


_INTRODUCTION = """# The search beside its peers, on simulated workers

Written by `python -m benchmarks.search.report`; nothing here is typed in by hand.

`SIEVE_BENCH=FOLDER python -m benchmarks.search --methods M,… --tasks T,… --seeds 10 --workers 8
--out DIR` runs what isn't in `DIR` yet, and `python -m benchmarks.search.report DIR …` writes this
page from the folders. The peers need `scripts/install .venv peers`; NePS asks for an older
pandas and for torchvision, and was installed beside them without its requirements
(`pip install --no-deps neural-pipeline-search ifbo pymoo more-itertools portalocker seaborn`).
Syne Tune 0.16 ships no MOBSTER any more: its ASHA with density ratios (BORE) and with conformal
quantiles (CQR) stand in its place.

Most tasks are public surrogates of real trainings (LCBench, TaskSet, XGBoost); workers and time are
simulated, trainings cost what they cost in the data, and the methods' own time isn't charged.
Regret is 0 at the best value known and 1 at the median random configuration's, both after full
training. It is taken of the configuration that a method would name at ⅛, ¼, ½ and all of the
budget, and averaged over seeds, then tasks; sieve names the lowest loss so far, and that of a full
training once it has ten of them. `bloom:N` are planted late bloomers: in a tenth of the space
curves are flat for a third to two thirds of the budget and then the best. *sieve, same runs* is
sieve's last regret on the tasks and seeds that the method was run on, *difference* the 95 %
interval of sieve's minus the method's there (at ⅛ of the budget likewise), *time* the share of the
budget after which sieve has reached the method's last regret. *Rank* is the mean rank over the runs
that all methods share, *CPU* the method's own CPU time in a run, *killed* the share of the eventual
best 5 % of a run's own trainings that wasn't trained in full, on each kind of task. *By the lowest
loss seen* the regret is that of the lowest loss of any training so far, as
[real trainings](../REAL.md) are judged: 18 full trainings on two workers are what a run's time
budget leaves for its search. Peers are as they ship, with a
reduction factor of 3 and the tasks' lowest fidelity.

`trained:DATA` are trainings that really take place (`SIEVE_DATA` names the folder with the data):
`models.mlp` on 3,000 rows in the space that users search, twenty dimensions of which most are
choices and some are active only where another has a value. Only their time is simulated. No loss is
known there but of what was trained, so regret is the share of the labels' entropy that the lowest
loss seen leaves, 1 for whoever knows the classes' shares and nothing else, and *CPU* and *killed*
stay empty. `sieve_prior` begins with a published default, as a run does, `sieve_wrong_prior` with
the worst of 200 random configurations; `sieve_tpe` asks HyperOpt's TPE in fine.

sieve was developed on the tasks below, so its figures are rosier than on others. Four of its
settings were chosen with its results in view: that it names a full training once it has ten, when
short ones on TaskSet had been named for losses that rose again (the peers name what they name);
that a look at a flat curve succeeds if it overtakes one full training, the best of four thresholds
for killed late bloomers on `bloom:0` to `bloom:3` with seeds 0 to 4; that two survivors of coarse
are trained again at once, and three later, on 18 full trainings and two workers; and that the
Gaussian process expects longer lengthscales the more dimensions there are, on `trained:DATA`. A
dozen other settings of the Gaussian process, the rungs, the random share and the last trials were
tried on some of these tasks, and none was kept; a lower first rung in fine was ahead on LCBench and
killed more late bloomers.
"""


def write_readme(folders: Sequence[Path], target: Path, figures: Sequence[Path] = ()) -> None:
    """Write tables and pictures of several folders.

    Args:
        folders: Each of ``python -m benchmarks.search --out``.
        target: The Markdown file; pictures go beside it.
        figures: Files of :class:`~benchmarks.figures.Figures`; a section each.
    """
    parts = [_INTRODUCTION]
    for folder in folders:
        outcome = Outcome.read(folder)
        tasks = sorted({task for by_task in outcome.regrets.values() for task in by_task})
        picture = f"{folder.name}.svg"
        draw(outcome.regrets, target.with_name(picture))
        missing = [f"`{name}` wasn't run: {why}" for name, why in read_missing(folder).items()]
        parts.append(
            f"## {outcome.heading}\n\n"
            f"Tasks: {_shortened(tasks)}.\n\n{table(outcome)}\n"
            + "".join(f"{line}.\n\n" for line in missing)
            + f"![Regret over time]({picture})\n"
        )
    parts += [Figures.read(path).markdown() for path in figures]
    target.write_text("\n".join(parts))


def _shortened(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 12 else f"{names[0]} … {names[-1]} ({len(names)})"


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", help="of python -m benchmarks.search")
    parser.add_argument("--readme", type=Path, default=Path(__file__).with_name("README.md"))
    parser.add_argument("--figures", type=Path, nargs="*", default=[], help="of the other scripts")
    arguments = parser.parse_args()
    write_readme(arguments.folders, arguments.readme, arguments.figures)


if __name__ == "__main__":
    main()
