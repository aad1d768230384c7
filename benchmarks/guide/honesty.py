"""Whether a proof calls equals equal: simulated confirms of two configurations that are as good.

``python -m benchmarks.guide.honesty`` takes seconds and trains nothing.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import Figures
from search.insight.compare import compare, verdict_of
from search.insight.resample import resample
from search.insight.truth import Truth

Noise = Callable[[np.random.Generator, int], NDArray[np.float64]]
"""(generator, seeds) to what these trainings' randomness does to a test accuracy, in its sd."""

BENCHMARKS = Path(__file__).parents[1]
MEAN, SD, TEST_ROWS = 0.97, 0.004, 360
NUM_SEEDS = (3, 4, 5)


def _outliers(generator: np.random.Generator, num: int) -> NDArray[np.float64]:
    wild = generator.random(num) < 0.1
    return generator.normal(size=num) * np.where(wild, 10.0, 1.0)


NOISES: dict[str, Noise] = {
    "normal": lambda generator, num: generator.normal(size=num),
    "heavy tails (Student's t, 3 degrees)": lambda generator, num: generator.standard_t(3, num),
    "one training in ten spreads tenfold": _outliers,
    "skewed downwards (log-normal)": lambda generator, num: -generator.lognormal(size=num),
}
STEPS = (0.5, 1.5, 4.0)
"""Standard deviations of normal noise, in test rows, where an accuracy comes in steps of a row."""


def confirms(num: int) -> Figures:
    """Compare two equal configurations by their seeds, as a run's verdict does."""
    figures = Figures(
        "Equal configurations are called equal",
        f"`python -m benchmarks.guide.honesty`: {num} simulated proofs a line, in which finalist "
        "and baseline are equally good and only the noise of their trainings differs. *Better* is "
        "how often the finalist is said to be better (5 % at most are wanted, chance alone makes "
        "2.5 %), *covered* how often the 95 % interval holds the true difference (92 to 98 % are "
        "wanted). With outliers, or noise below a test row, the interval is too wide, not too "
        "narrow.",
    )
    noises = {name: (_around(noise), 0.0) for name, noise in NOISES.items()}
    for sd in STEPS:
        name = f"normal, sd {sd:g} of {TEST_ROWS} test rows"
        noises[name] = (_in_steps(sd), 1.0 / TEST_ROWS)
    for name, (accuracies, resolution) in noises.items():
        for seeds in NUM_SEEDS:
            _add(figures, name, seeds, num, accuracies, resolution)
    return figures


def _around(noise: Noise) -> Noise:
    def accuracies(generator: np.random.Generator, num: int) -> NDArray[np.float64]:
        return MEAN + SD * noise(generator, num)

    return accuracies


def _in_steps(sd: float) -> Noise:
    def accuracies(generator: np.random.Generator, num: int) -> NDArray[np.float64]:
        right = MEAN * TEST_ROWS + sd * generator.normal(size=num)
        accuracy: NDArray[np.float64] = np.minimum(np.round(right), TEST_ROWS) / TEST_ROWS
        return accuracy

    return accuracies


def _add(
    figures: Figures, name: str, seeds: int, num: int, accuracies: Noise, resolution: float
) -> None:
    generator = np.random.default_rng(seeds)
    verdicts: Counter[str] = Counter()
    for _ in range(num):
        finalist, baseline = (dict(enumerate(accuracies(generator, seeds))) for _ in range(2))
        found = compare(finalist, baseline, metric="accuracy", mode="max", resolution=resolution)
        verdicts[found.verdict] += 1
    _row(figures, verdicts, noise=name, seeds=str(seeds))


def _row(figures: Figures, verdicts: Counter[str], **cells: str) -> None:
    share = {name: verdicts[name] / verdicts.total() for name in ("better", "worse", "tie")}
    figures.add(
        **cells,
        better=f"{share['better']:.1%}",
        worse=f"{share['worse']:.1%}",
        covered=f"{share['tie']:.1%}",
    )


def rows(num: int) -> Figures:
    """Compare two equally good models on test rows, as an ensemble is with the single winner."""
    figures = Figures(
        "Equally good models are called equal on test rows",
        f"{num} simulated test parts a line; one of two models is right on rows where the other "
        "isn't, as often as the other way round; *differ* is on how many rows that is, on average. "
        "The interval is the paired bootstrap's, by which an ensemble is compared with the single "
        "winner.",
    )
    for size in (200, 2_000):
        for differing in (5, 20, 80):
            generator = np.random.default_rng(differing)
            verdicts = Counter(_verdict(generator, size, differing) for _ in range(num))
            _row(figures, verdicts, test_rows=str(size), differ=str(differing))
    return figures


def _verdict(generator: np.random.Generator, size: int, differing: int) -> str:
    only_one = generator.random(size) < differing / size
    first = np.where(only_one, generator.random(size) < 0.5, generator.random(size) < 0.95)
    second = np.where(only_one, ~first, first)
    truth = np.ones(size, dtype=np.int64)
    judge = Truth(truth, "classification", "accuracy")
    said = [each.astype(np.int64) for each in (first, second)]
    drawn = resample(judge, truth, said, seed=int(generator.integers(2**31)))
    return verdict_of(*drawn.difference(0, [1])[1], "max")


def main() -> None:
    """Simulate, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--num", type=int, default=1_000, help="proofs a line; of test parts a fifth"
    )
    parser.add_argument("--out", type=Path, default=BENCHMARKS / "measured" / "guide")
    arguments = parser.parse_args()
    confirms(arguments.num).save(arguments.out / "honesty-confirms.json")
    rows(arguments.num // 5).save(arguments.out / "honesty-rows.json")


if __name__ == "__main__":
    main()
