"""Whether a run notices that its subsample or its short trainings can't be trusted.

``SIEVE_DATA=FOLDER python -m benchmarks.guide.trust --trainings FILE.jsonl --out FILE.json``

Every configuration is trained three ways on each data set: on the subsample that a plan would
give coarse, on a broken one of 200 rows, and on all rows. On all of them the true rank correlations
are known. Then coarse is simulated many times over these trainings, in another order each time:
what it measures by the few that go on is compared with the truth.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise, product
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from scipy.stats import spearmanr

from benchmarks.figures import Figures
from benchmarks.guide.ground import coarse_configs, few_rows, open_data
from models import mlp
from search.events import Ending, Evaluation, Growth, Trial
from search.execution.simulator import Happening, Simulator
from search.space import Config, Space, apply_overrides
from search.strategy.budget import COARSE_PASSES, Ladder
from search.strategy.coarse import CoarsePhase
from search.strategy.fine import first_proposals
from search.strategy.search_phase import Proposal
from search.strategy.trust import Trust, between_rows, between_rungs
from search.strategy.watch import Watch
from search.task import ModelModule
from search.training.job import Job, Rows
from search.training.scoring import chance_loss
from search.training.session import NetworkSession
from search.trials import History, Record

DATA = {"letter": "class", "covertype_16pct": "Cover_Type", "fashion_mnist": "label"}
NUM_CONFIGS = 40
NUM_ROWS, FEW_ROWS, VALIDATION_ROWS, PROBE_ROWS = 12_000, 200, 2_000, 500
PASSES = 8
LADDER = Ladder.below(PASSES * NUM_ROWS, 3, 4)
SPACE: dict[str, dict[str, Any]] = {
    "batch_size": {"values": [64, 128, 256]},
    "num_units": {"low": 16, "high": 128},
    "pruning_rate": {"value": 0.0},
}
NUM_RUNS = 200

Arm = Literal["sound", "broken", "all rows"]
ARMS: tuple[Arm, ...] = get_args(Arm)
ROWS: dict[Arm, int] = {
    "sound": math.ceil(NUM_ROWS * LADDER.coarse[-1] / LADDER.full / COARSE_PASSES),
    "broken": FEW_ROWS,
    "all rows": NUM_ROWS,
}


class Ground:
    """A data set to train on.

    Args:
        folder: Of the data.
        name: Of the data set.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._dataset, self._plan, self._resident = open_data(folder, name, DATA[name])
        self._model = ModelModule("models.mlp", mlp)
        train, validation = self._plan.train, self._plan.validation
        self.chance = chance_loss(self._dataset, train, validation)

    @cached_property
    def configs(self) -> list[Config]:
        """What coarse would draw."""
        space = apply_overrides(mlp.space(self._dataset.spec), SPACE)
        return coarse_configs(space, NUM_CONFIGS)

    def train(self, config: Config, number: int, arm: Arm) -> Record:
        """Train to coarse's last rung; on all rows as the beginning of a full run."""
        top = LADDER.coarse[-1]
        budget = LADDER.full if arm == "all rows" else top
        points = (*LADDER.evaluation_points(top), *([budget] if budget > top else []))
        trial = Trial(f"c{number}", "coarse", "sobol", config, number, budget, points)
        job = Job(trial.trial_id, config, self._dataset.spec, number, budget, points, "accuracy")
        session = NetworkSession(job, self._model, self._resident, self._rows(ROWS[arm]))
        record = Record(trial)
        for evaluation in session.run():
            record.evaluations.append(evaluation)
            if evaluation.point == top:
                break
        outcome = session.outcome()
        if outcome.status == "failed" and session.has_ended:
            record.ending = Ending(trial.trial_id, outcome.status, outcome.reason)
        elif session.has_ended:
            record.ending = Ending(trial.trial_id, "completed", outcome.reason)
        return record

    def _rows(self, number: int) -> Rows:
        return few_rows(self._plan, number, VALIDATION_ROWS, min(number, PROBE_ROWS))


@dataclass(frozen=True)
class Trained:
    """All trainings on a data set.

    Attributes:
        name: The data set.
        chance: Loss of the best prediction that ignores the inputs.
        records: By arm, in the order of the configurations.
    """

    name: str
    chance: float
    records: dict[Arm, list[Record]]


def make(folder: Path, file: Path) -> None:
    """Train what isn't in the file yet; a line a training."""
    lines = file.read_text().splitlines() if file.exists() else []
    known = {(each["data"], each["arm"], each["number"]) for each in map(json.loads, lines)}
    for name in DATA:
        ground: Ground | None = None
        for arm, number in product(ARMS, range(NUM_CONFIGS)):
            if (name, arm, number) in known:
                continue
            ground = ground or Ground(folder, name)
            record = asdict(ground.train(ground.configs[number], number, arm))
            line = {"data": name, "arm": arm, "number": number, "chance": ground.chance}
            with file.open("a") as opened:
                opened.write(json.dumps({**line, "record": record}) + "\n")


def read(file: Path) -> list[Trained]:
    """Return the trainings of a file."""
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    lines.sort(key=lambda line: line["number"])
    return [
        Trained(
            name,
            next(line["chance"] for line in lines if line["data"] == name),
            {
                arm: [_record(x) for x in lines if (x["data"], x["arm"]) == (name, arm)]
                for arm in ARMS
            },
        )
        for name in dict.fromkeys(line["data"] for line in lines)
    ]


def _record(line: dict[str, Any]) -> Record:
    values = line["record"]
    record = Record(Trial(**values["trial"]), [Evaluation(**e) for e in values["evaluations"]])
    record.ending = None if values["ending"] is None else Ending(**values["ending"])
    return record


class Coarse(CoarsePhase):
    """Coarse on configurations that were trained before, in an order of its own."""

    def __init__(self, records: Sequence[Record], order: Sequence[int], trained: Trained) -> None:
        self._drawn = [records[number].trial.config for number in order]
        sizes = (ROWS["sound"], ROWS["all rows"])
        watch = Watch(trained.chance)
        super().__init__(Space([]), [], LADDER, num_trials=None, seed=0, watch=watch, sizes=sizes)
        self._limit = len(order)

    def propose(self, number: int) -> Proposal:
        """Return the configuration whose turn it is."""
        return self._drawn[number], "sobol"


class Retold:
    """What the trainings said.

    Args:
        small: On coarse's rows.
        large: On those that it may grow to.
        order: Which of them the n-th trial is.
    """

    def __init__(
        self, small: Sequence[Record], large: Sequence[Record], order: Sequence[int]
    ) -> None:
        self._records = (small, large)
        self._order = order

    def evaluate(self, trial: Trial, number: int) -> tuple[float, Evaluation | Ending]:
        """Return a trial's ``number``-th evaluation, or how it ended."""
        record = self._records[trial.division][self._order[int(trial.trial_id[1:])]]
        if number <= len(record.evaluations):
            values = {**vars(record.evaluations[number - 1]), "trial_id": trial.trial_id}
            return 1.0, Evaluation(**values)
        assert record.ending is not None
        return 1.0, Ending(trial.trial_id, record.ending.status, record.ending.reason)

    def resume_seconds(self, trial: Trial, number: int) -> float:  # noqa: ARG002
        """Nothing."""
        return 0.0


@dataclass
class Told:
    """What one simulated run measured."""

    rungs: list[Trust]
    rows: list[Trust]
    grew: bool

    @property
    def takes_back(self) -> bool:
        """Whether fine wouldn't go by coarse's narrowing."""
        return any(trust.is_refuted for trust in self.rows)


def simulate(trained: Trained, arm: Arm, seed: int) -> Told:
    """Run coarse on one arm, and look at its survivors on all rows."""
    order = np.random.default_rng(seed).permutation(NUM_CONFIGS).tolist()
    small, large = trained.records[arm], trained.records["all rows"]
    phase, growths = Coarse(small, order, trained), list[Growth]()

    def listen(happening: Happening) -> None:
        if isinstance(happening.event, Growth):
            growths.append(happening.event)

    Simulator(Retold(small, large, order), 2, listen).run(phase, math.inf)
    sizes = (ROWS[arm],)
    again = _again(phase.history, large, order)
    return Told(
        between_rungs(phase.history, LADDER.coarse, sizes),
        between_rows(phase.history, again, LADDER.common, sizes),
        bool(growths),
    )


def _again(coarse: History, large: Sequence[Record], order: Sequence[int]) -> list[Record]:
    """Return coarse's survivors as fine trains them, each to coarse's last rung."""
    found = []
    for config, source in first_proposals(coarse, LADDER):
        trained = large[order[int(source.removeprefix("survivor:c"))]]
        trial = Trial("f", "fine", source, config, 0, LADDER.full, trained.trial.points)
        found.append(Record(trial, trained.evaluations, None, trained.ending))
    return found


@dataclass(frozen=True)
class Truth:
    """Spearman's correlations over configurations that were all trained.

    Attributes:
        of_all: Over all of them.
        of_half: Over the better half by the first loss.
    """

    of_all: float
    of_half: float

    @classmethod
    def of(cls, pairs: Sequence[tuple[float, float]]) -> Truth:
        """Return those of pairs of losses; NaN where a training failed."""
        known = sorted(pair for pair in pairs if not any(map(math.isnan, pair)))
        return cls(_spearman(known), _spearman(known[: math.ceil(len(known) / 2)]))


def true_rungs(records: Sequence[Record], rung: int, later: int) -> Truth:
    """Return how far the order at a rung is that of what comes until the next."""
    return Truth.of([(_best(each, 0, rung), _best(each, rung, later)) for each in records])


def true_rows(small: Sequence[Record], large: Sequence[Record], rung: int) -> Truth:
    """Return how far the order at a rung on few rows is that on all."""
    both = zip(small, large, strict=True)
    return Truth.of([(_best(a, 0, rung), _best(b, 0, rung)) for a, b in both])


def _best(record: Record, after: int, until: int) -> float:
    losses = [e.validation_loss for e in record.evaluations if after < e.point <= until]
    return min((loss for loss in losses if math.isfinite(loss)), default=math.nan)


def _spearman(pairs: Sequence[tuple[float, float]]) -> float:
    return float(spearmanr(*np.array(pairs).T).statistic)


def measure(all_trained: Sequence[Trained]) -> Figures:
    """Return the figures."""
    figures = Figures(
        "How far short trainings and few rows can be trusted",
        f"{NUM_CONFIGS} configurations of `models.mlp` on {NUM_ROWS:,} rows of each data set; "
        f"coarse simulated {NUM_RUNS} times with them in another order. "
        f"The sound subsample has {ROWS['sound']:,} rows, as a plan would give it, the broken one "
        f"{FEW_ROWS}, which it sees {LADDER.coarse[-1] / FEW_ROWS:.0f} times. Estimates are of the "
        "better half, the median and the middle 90 % of the runs. Acts is the share of the runs in "
        "which coarse grew, or fine would have taken the narrowing back, if its five survivors "
        "had all gone on to that rung.",
    )
    for trained in all_trained:
        for arm in ("sound", "broken"):
            runs = [simulate(trained, arm, seed) for seed in range(NUM_RUNS)]
            _add_rungs(figures, trained, arm, runs)
            _add_rows(figures, trained, arm, runs)
    return figures


def _add_rungs(figures: Figures, trained: Trained, arm: Arm, runs: list[Told]) -> None:
    rungs = LADDER.coarse
    for rung, later in pairwise(rungs):
        told = [trust for run in runs for trust in run.rungs if trust.rung == rung]
        truth = true_rungs(trained.records[arm], rung, later)
        compared = f"rung {rungs.index(rung)} and {rungs.index(later)}"
        _add(figures, trained.name, arm, compared, truth, told, sum(run.grew for run in runs))


def _add_rows(figures: Figures, trained: Trained, arm: Arm, runs: list[Told]) -> None:
    for rung in LADDER.common:
        told = [trust for run in runs for trust in run.rows if trust.rung == rung]
        truth = true_rows(trained.records[arm], trained.records["all rows"], rung)
        compared = f"rows, rung {LADDER.rungs.index(rung)}"
        acts = sum(any(t.is_refuted for t in run.rows if t.rung == rung) for run in runs)
        _add(figures, trained.name, arm, compared, truth, told, acts)


def _add(
    figures: Figures,
    data: str,
    arm: Arm,
    compared: str,
    truth: Truth,
    told: list[Trust],
    acts: int,
) -> None:
    found = [trust.correlation for trust in told]
    figures.add(
        data=data,
        subsample=arm,
        compared=compared,
        true_of_all=f"{truth.of_all:.2f}",
        true_of_the_better_half=f"{truth.of_half:.2f}",
        estimated=_spread([each.value for each in found]),
        trials=f"{np.median([each.num_pairs for each in found]):.0f}" if found else "-",
        truth_in_the_interval=_share([each.low <= truth.of_half <= each.high for each in found]),
        acts=f"{acts / NUM_RUNS:.0%}",
    )


def _spread(values: list[float]) -> str:
    if not values:
        return "-"
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
    return f"{middle:.2f} [{low:.2f}, {high:.2f}]"


def _share(held: list[bool]) -> str:
    return f"{np.mean(held):.0%}" if held else "-"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trainings", type=Path, required=True, help="kept here, and gone on with")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if "SIEVE_DATA" in os.environ:
        make(Path(os.environ["SIEVE_DATA"]), arguments.trainings)
    figures = measure(read(arguments.trainings))
    print(figures.text)
    figures.save(arguments.out)


if __name__ == "__main__":
    main()
