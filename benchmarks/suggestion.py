"""What a suggestion costs on one core, by the number of observations.

``OMP_NUM_THREADS=1 python -m benchmarks.suggestion`` measures milliseconds for each searcher, in
batches as the fine phase asks for them: with hyperparameters fitted anew, and with those of the
last batch. Where BoTorch is installed (``sieve-search[peers]``), the same question goes to it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.figures import Figures
from search.space import Choice, Config, Float, Space
from search.strategy.encoding import Encoding
from search.strategy.fine import MIN_BATCH
from search.strategy.ranking import Observation
from search.strategy.searchers import SEARCHERS, Question

RUNGS = (100, 300, 900, 2700)
SHARES = (0.66, 0.22, 0.08, 0.04)
"""Of the observations, at each rung: what halving by three leaves."""
SPACE = Space(
    [
        Choice(name="kind", values=("a", "b", "c")),
        *(Float(name=f"x{number}", low=0.0, high=1.0) for number in range(8)),
    ]
)


def question(num_observations: int, num: int = MIN_BATCH) -> Question:
    """Return a question after so many observations of a noisy bowl."""
    generator = np.random.default_rng(0)
    rungs = generator.choice(RUNGS, num_observations, p=SHARES)
    observations = []
    for rung in rungs:
        config = SPACE.from_unit(generator.random(len(SPACE.searched)))
        loss = _loss(config) + 30.0 / rung + 0.02 * generator.standard_normal()
        observations.append(Observation(config, int(rung), float(loss), 1e-3))
    return Question(
        space=SPACE,
        focus=SPACE,
        observations=tuple(observations),
        rungs=RUNGS,
        num=num,
        running=(),
        state=(),
        seed=(0,),
        by_time=True,
    )


def _loss(config: Config) -> float:
    away = sum((float(config[f"x{n}"]) - 0.4) ** 2 for n in range(8))
    return away + (config["kind"] != "b")


def milliseconds(run: Callable[[], object], num: int, repeats: int) -> float:
    """Return the median time of one of ``num`` suggestions that a call makes."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - began) / num)
    return statistics.median(times)


def ask_botorch(asked: Question) -> object:
    """Fit BoTorch's process to the same observations and optimise the same criterion."""
    import torch
    from botorch.acquisition import qLogExpectedImprovement
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from botorch.optim import optimize_acqf
    from gpytorch.mlls import ExactMarginalLogLikelihood

    torch.set_num_threads(1)
    configs = [each.config for each in asked.observations]
    samples = np.array([each.samples for each in asked.observations])
    fidelity = np.log(samples / RUNGS[0]) / np.log(RUNGS[-1] / RUNGS[0])
    columns = np.column_stack([Encoding(asked.space).encode(configs), fidelity])
    inputs = torch.as_tensor(columns)
    losses = np.array([each.loss for each in asked.observations])
    values = torch.as_tensor(-(losses - losses.mean()) / losses.std())[:, None]
    process = SingleTaskGP(inputs, values)
    fit_gpytorch_mll(ExactMarginalLogLikelihood(process.likelihood, process))
    width = inputs.shape[1]
    return optimize_acqf(
        qLogExpectedImprovement(process, best_f=values.max()),
        bounds=torch.tensor([[0.0] * width, [1.0] * width], dtype=torch.float64),
        q=asked.num,
        num_restarts=5,
        raw_samples=256,
        sequential=True,
        fixed_features={width - 1: 1.0},
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--observations", default="50,200,500")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, help="JSON file for benchmarks.search.report")
    arguments = parser.parse_args()
    figures = Figures(
        "What a suggestion costs",
        "`OMP_NUM_THREADS=1 python -m benchmarks.suggestion`: milliseconds of one core for a "
        f"suggestion, in batches of {MIN_BATCH}, median of {arguments.repeats}; 9 dimensions. "
        "*Fitted anew* looks for hyperparameters, which is done when observations have grown by "
        "a tenth; of more than 400 observations it takes those of the highest rungs, then the "
        "best. A run asks in the background, while a third of the last batch is left.",
    )
    for number in map(int, arguments.observations.split(",")):
        fresh = question(number)
        known = replace(fresh, state=SEARCHERS["gp"](fresh).state)
        calls: dict[str, Callable[[], object]] = {
            "gp, fitted anew": partial(SEARCHERS["gp"], fresh),
            "gp": partial(SEARCHERS["gp"], known),
            "tpe": partial(SEARCHERS["tpe"], fresh),
            "botorch, fitted anew": partial(ask_botorch, fresh),
        }
        for name, call in calls.items():
            try:
                cost = milliseconds(call, fresh.num, arguments.repeats)
            except ImportError as error:
                print(f"{name}: {error}")
                continue
            figures.add(observations=str(number), searcher=name, ms=f"{cost:.1f}")
    figures.save(arguments.out)


if __name__ == "__main__":
    main()
