"""What a run would have come to with other machines, another budget, other luck.

The phases are those of a real run; the trainings are the ones that an earlier run has recorded.
Curves' verdicts have no say: what is recorded of another budget isn't what they would be told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from search.artifacts import read_defaults, read_preflight, read_space
from search.errors import RunDirError
from search.execution.forecast import Forecast, foresee
from search.execution.worlds import Faulty, RecordedWorld
from search.rundir import PLAN, PREFLIGHT, SUBSAMPLE, RunDir
from search.space import Space
from search.speed import Speed
from search.strategy.budget import make_plan
from search.strategy.measured import where_first
from search.strategy.method import Method
from search.study import Study, resolve_study
from search.trials import History, Record


@dataclass(frozen=True)
class Circumstances:
    """What is different from the run.

    Attributes:
        workers: Trials at a time; None: as many as the run had.
        time_budget: Seconds; None: the study's.
        failure_rate: Share of the trials that fail somewhere on their way.
        straggler_rate: Share of the evaluations that take five times as long.
        thinks: The searcher's model is asked; without, fine proposes at random.
    """

    workers: int | None = None
    time_budget: float | None = None
    failure_rate: float = 0.0
    straggler_rate: float = 0.0
    thinks: bool = True


class Rehearsal:
    """An earlier run, to be simulated again and again.

    Args:
        run: Its directory; the coarse phase must have begun.

    Raises:
        RunDirError: Nothing of the run is recorded that could be simulated from.
    """

    def __init__(self, run: RunDir) -> None:
        self._study = resolve_study(run.study())
        self._plan: dict[str, Any] = run.read_json(PLAN)
        self._num_rows: int = run.read_json(SUBSAMPLE)["confirm"]["num_rows"]
        coarse, fine = History(run.events("coarse")), History(run.events("fine"))
        space = read_space(run, 0)
        records = [*coarse, *fine]
        evaluated = [record for record in records if record.best is not None]
        if space is None or not evaluated:
            raise RunDirError(
                f"{run.place} has no evaluated trial; there is nothing to simulate from"
            )
        self._space: Space = space
        self._world = RecordedWorld(space, records)
        self._defaults = read_defaults(run)
        self._first = where_first(space, read_preflight(run), self._defaults[0].config)
        self._speed = _speed(run.read_json(PREFLIGHT)["speed"], evaluated)

    def runs(self, circumstances: Circumstances, seeds: Sequence[int]) -> Iterator[Forecast]:
        """Simulate the run once for every seed.

        Args:
            circumstances: What is different.
            seeds: Of proposals and of what goes wrong.

        Raises:
            StudyError: The time budget is too small.
        """
        budget = circumstances.time_budget
        for seed in seeds:
            changed = {"seed": seed, "time_budget": budget or self._study.time_budget}
            yield self._run(self._study.model_copy(update=changed), circumstances)

    def _run(self, study: Study, circumstances: Circumstances) -> Forecast:
        plan = make_plan(
            study,
            num_rows=self._num_rows,
            speed=self._speed,
            slots=circumstances.workers or int(self._plan["slots"]),
            elapsed=0.0,
            full_epochs=self._plan.get("full_epochs"),
        )
        world = Faulty(
            self._world,
            failure_rate=circumstances.failure_rate,
            straggler_rate=circumstances.straggler_rate,
            seed=study.seed,
        )
        method = Method.of(study, self._space, self._defaults, plan, self._first)
        return foresee(method, plan, world, thinks=circumstances.thinks)


def _speed(measured: dict[str, float] | None, records: Sequence[Record]) -> Speed:
    """Return the run's speed; where no time budget asked for it, the median trial's."""
    if measured is not None:
        return Speed(**measured)
    seconds = sorted(record.seconds_per_sample for record in records)
    return Speed(samples_per_second=1.0 / seconds[len(seconds) // 2], eval_seconds=0.0)
