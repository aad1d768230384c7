"""What short trainings tell of long ones, as the training loop is and as it would be otherwise.

``python -m benchmarks.guide.short --out FOLDER`` (half an hour on a core; SIEVE_DATA names the
folder of the data) trains the same configurations in full and looks at the rungs on the way.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from benchmarks.figures import Figures
from benchmarks.guide.ground import coarse_configs, few_rows, open_data
from search.data import Dataset
from search.data.batches import Resident
from search.data.phase_rows import RowPlan
from search.space import Config, apply_overrides
from search.strategy.budget import Ladder
from search.task import load_model
from search.training import schedules
from search.training.job import Job
from search.training.normalization import BatchStatistics
from search.training.session import NetworkSession

DATA = (("fashion_mnist", "label", "models.cnn"), ("adult", "income", "models.mlp"))
NUM_ROWS, NUM_CONFIGS, PASSES = 3_000, 16, 9
LADDER = Ladder((1_000, 3_000, 9_000, PASSES * NUM_ROWS), 3)
SMALLER = {"num_channels": {"high": 24}, "num_blocks": {"high": 2}, "num_units": {"high": 256}}
"""So that a training takes seconds on a core."""
TORCH_WARM_UP = 0.3


def _running_averages(self: BatchStatistics, *_: object) -> None:
    self._module.eval()


def ways() -> Iterator[tuple[str, dict[str, str], AbstractContextManager[object]]]:
    """Return what is trained: the name, the dimensions that are held, how the loop is changed."""
    batch, cycle = {"normalization": "batch"}, {"schedule": "one_cycle"}
    averages = mock.patch.object(BatchStatistics, "refresh", _running_averages)
    slower = mock.patch.object(schedules, "WARM_UP", TORCH_WARM_UP)
    yield "batch normalisation, its statistics taken anew", batch, nullcontext()
    yield "batch normalisation, running averages", batch, averages
    yield f"one-cycle, warm-up {schedules.WARM_UP:g}", cycle, nullcontext()
    yield f"one-cycle, warm-up {TORCH_WARM_UP:g}", cycle, slower


class Ground:
    """A data set, and what is trained on it."""

    def __init__(self, dataset: Dataset, plan: RowPlan, resident: Resident, model: str) -> None:
        self.spec, self.resident, self.model = dataset.spec, resident, load_model(model)
        self.rows = few_rows(plan, NUM_ROWS, NUM_ROWS, NUM_ROWS)

    def configs(self, held: dict[str, str]) -> list[Config]:
        """Return the first points of coarse's sequence, some dimensions held."""
        space = self.model.space(self.spec)
        names = {dimension.name for dimension in space}
        changes = {name: change for name, change in SMALLER.items() if name in names}
        fixed = {name: {"value": value} for name, value in held.items()}
        return coarse_configs(apply_overrides(space, {**changes, **fixed}), NUM_CONFIGS)

    def losses(self, config: Config, seed: int) -> list[float]:
        """Return the validation losses at the rungs."""
        points = LADDER.rungs
        job = Job(
            "t", config, self.spec, seed, points[-1], points, "accuracy", early_stopping=False
        )
        session = NetworkSession(job, self.model, self.resident, self.rows)
        found = [evaluation.validation_loss for evaluation in session.run()]
        return [*found, *[np.inf] * (len(points) - len(found))]


def measure(figures: Figures, name: str, ground: Ground) -> None:
    """Add a row for each way."""
    for way, held, change in ways():
        with change:
            trained = [ground.losses(each, n) for n, each in enumerate(ground.configs(held))]
        losses = np.nan_to_num(np.array(trained), nan=np.inf)
        figures.add(
            data=name,
            the_loop=way,
            loss_at_a_27th=_quartiles(losses[:, 0]),
            at_a_ninth=_quartiles(losses[:, 1]),
            at_a_third=_quartiles(losses[:, 2]),
            in_full=_quartiles(losses[:, 3]),
            rank_correlation_with_in_full=", ".join(
                f"{spearmanr(losses[:, rung], losses[:, 3]).statistic:.2f}" for rung in range(3)
            ),
        )


def _quartiles(losses: NDArray[np.float64]) -> str:
    return " / ".join(f"{each:.2f}" for each in np.quantile(losses, (0.25, 0.5, 0.75)))


def main() -> None:
    """Measure, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    folder = Path(os.environ["SIEVE_DATA"])
    figures = Figures(
        "What short trainings tell",
        f"`python -m benchmarks.guide.short`: the first {NUM_CONFIGS} points of coarse's sequence, "
        f"trained for {PASSES} passes over {NUM_ROWS:,} rows as the training loop does it, and as "
        "it would do it with PyTorch's own running averages and warm-up. Validation losses, the "
        "quartiles over the configurations; rank correlations with the losses after a full "
        "training, at a 27th, a ninth and a third of it.",
    )
    for name, label, model in DATA:
        measure(figures, name, Ground(*open_data(folder, name, label), model))
        figures.save(None if arguments.out is None else arguments.out / "short.json")


if __name__ == "__main__":
    main()
