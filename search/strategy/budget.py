"""Budgets: integer rungs in training samples, and how a time budget is spent on the phases."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from search.errors import StudyError
from search.speed import Speed, SpeedLimit
from search.study import CoarseSection, FineSection, Study

MIN_SAMPLES = 20_000
"""A full run is at least this long (where the data are few, that is many passes)."""
DEFAULT_EPOCHS = 50.0
MIN_STEPS_AT_FIRST_RUNG = 4
MAX_EVALUATIONS = 100
"""Of a trial, about: where there would be more, they lie further apart."""
EVALUATION_SHARE = 0.2
"""Evaluations may take so much of the time of training steps, where a time budget counts."""
LONGER = 2
"""Times a full run, where finalists still improve and no time ends the proof."""
MAX_COST_RATIO = 3.0
"""A configuration may take this many times its share of the confirm phase, not more."""
REPORT_SECONDS = 6.0
START_SECONDS = 6.0
"""Until the slots' processes are up; they stay for all phases."""
COARSE_PASSES, FINE_PASSES = 2.0, 1.0
"""Passes over a phase's subsample, as a multiple of the full run's passes over all rows.

Up to 4 times a subsample ranks configurations as well as all the rows do; at 16 ranking
collapses. Fine works on more rows, since regularisation doesn't transfer from few."""
GROWTH = 4
"""A subsample that can't be trusted grows by this factor, up to the rows that fine has."""
MIN_ROWS = 2_000
"""Fewer rows than this aren't subsampled: they are soon overfitted, and save nothing."""


@dataclass(frozen=True)
class Ladder:
    """Rungs that are exact integers, up to the full run.

    Attributes:
        rungs: Rising, in training samples; the last is the full run.
        factor: The best 1/factor go on from a rung.
        spacing: Training samples between evaluations, at least.
    """

    rungs: tuple[int, ...]
    factor: int
    spacing: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "rungs", tuple(self.rungs))  # a list when read from JSON

    @classmethod
    def below(cls, full: int, factor: int, num_rungs: int, spacing: int = 1) -> Ladder:
        """Return the ladder whose top is the largest one not above ``full``.

        Raises:
            StudyError: ``full`` is too short for so many rungs.
        """
        base = full // factor ** (num_rungs - 1)
        if base < 2:
            raise StudyError(
                f"a full run of {full} training samples is too short for {num_rungs} rungs with "
                f"factor {factor}: it needs {2 * factor ** (num_rungs - 1)}; raise "
                "budget.full_epochs, or lower budget.num_rungs or budget.reduction_factor"
            )
        return cls(tuple(base * factor**level for level in range(num_rungs)), factor, spacing)

    @property
    def base(self) -> int:
        """The lowest rung."""
        return self.rungs[0]

    @property
    def full(self) -> int:
        """The full run in training samples."""
        return self.rungs[-1]

    @property
    def coarse(self) -> tuple[int, ...]:
        """The rungs of the coarse phase: all but the full run."""
        return self.rungs[:-1]

    @property
    def fine(self) -> tuple[int, ...]:
        """The rungs of the fine phase: the upper four.

        Below them a model's proposals, most of them good, are told apart by noise.
        """
        return self.rungs[-4:]

    @property
    def shorter(self) -> Ladder:
        """The ladder whose full run is the rung below this one's."""
        return Ladder(self.rungs[:-1], self.factor, self.spacing)

    @property
    def common(self) -> tuple[int, ...]:
        """The rungs that coarse and fine have in common."""
        return self.fine[:-1]

    def evaluation_points(self, budget: int) -> tuple[int, ...]:
        """Return where a trial of ``budget`` samples is evaluated.

        At every multiple of the lowest rung (further apart where that would be too often or
        too dear), with one more in the middle of the first, so that no trial is judged on a
        single evaluation; every rung is among them.
        """
        least = max(self.spacing, budget / MAX_EVALUATIONS)
        step = self.base * math.ceil(least / self.base)
        rungs = [rung for rung in self.rungs if rung < budget]
        return tuple(sorted({max(1, self.base // 2), *rungs, *range(step, budget, step), budget}))


@dataclass(frozen=True)
class Plan:
    """What each phase may spend.

    Attributes:
        ladder: The rungs.
        coarse_rows: Training rows in the coarse phase's subsample.
        fine_rows: Likewise for the fine phase.
        coarse_ends_at: Seconds of run time at which coarse ends; infinite without a time budget.
        time_budget_s: The whole run's; infinite without one.
        coarse_trials: Limit of the number of trials; None: time alone.
        fine_trials: Likewise.
        max_run_seconds: A full run may not take longer, or the proof would have to be too short.
        proof_s: Seconds that are set aside for confirm; infinite without a time budget.
        longest: Training samples that a confirmation run may be lengthened to.
        slots: Trials at a time.
        chance: Loss of the best prediction that ignores the inputs; None where it isn't known.
        full_epochs: Passes over all rows that a full run has where time allows.
    """

    ladder: Ladder
    coarse_rows: int
    fine_rows: int
    coarse_ends_at: float
    time_budget_s: float
    coarse_trials: int | None
    fine_trials: int | None
    max_run_seconds: float
    proof_s: float
    longest: int
    slots: int
    chance: float | None = None
    full_epochs: float = DEFAULT_EPOCHS

    @property
    def most_proof_s(self) -> float:
        """What confirm may take where finalists are slow: half of fine's time beside its own."""
        if math.isinf(self.time_budget_s):
            return math.inf
        fine = self.time_budget_s - self.coarse_ends_at - self.proof_s
        return self.proof_s + max(fine, 0.0) / 2

    @property
    def coarse_sizes(self) -> tuple[int, ...]:
        """Training rows of coarse's nested subsamples: the first, and those it may grow to."""
        sizes = [self.coarse_rows]
        while sizes[-1] < self.fine_rows:
            sizes.append(min(GROWTH * sizes[-1], self.fine_rows))
        return tuple(sizes)

    @property
    def evaluated_share(self) -> float:
        """Share of the rows that the search's evaluations look at; 1 where they can be afforded.

        At its first rung a trial is evaluated twice, however dear that is, and most trials come no
        further. The proof looks at all rows.
        """
        return min(self.ladder.base / self.ladder.spacing, 1.0)

    @property
    def speed_limit(self) -> SpeedLimit:
        """Of trials in the search phases."""
        return SpeedLimit(self.ladder.full, self.max_run_seconds)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values; what is unlimited is None."""
        values = {**asdict(self), "rungs": self.ladder.rungs}
        return {k: None if v == math.inf else v for k, v in values.items()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Plan:
        """Read what :meth:`to_json` wrote."""
        unlimited = ("coarse_ends_at", "time_budget_s", "max_run_seconds", "proof_s")
        fields = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
        fields |= {name: math.inf for name in unlimited if fields[name] is None}
        return cls(**{**fields, "ladder": Ladder(**fields["ladder"])})

    def describe(self) -> str:
        """Return the plan in a line."""
        rungs = " / ".join(f"{rung:,}" for rung in self.ladder.rungs)
        return (
            f"rungs {rungs} training samples; coarse on {self.coarse_rows:,} rows, "
            f"fine on {self.fine_rows:,}; {self.slots} trials at a time"
        )

    def confirm_seconds(self, full_run_seconds: list[float], num_seeds: int) -> float:
        """Return the wall time of confirming configurations with these full-run times."""
        work = num_seeds * sum(full_run_seconds)
        longest = max(full_run_seconds, default=0.0)
        spread = max(work / self.slots, longest)
        # The last wave is seldom full.
        return spread + longest * (1 - 1 / self.slots) / 2 + REPORT_SECONDS


def make_plan(
    study: Study,
    *,
    num_rows: int,
    speed: Speed | None,
    slots: int,
    elapsed: float,
    chance: float | None = None,
    full_epochs: float | None = None,
) -> Plan:
    """Divide the budget of a run between its phases.

    Without a time budget the full run has ``full_epochs`` passes (the proof's twice as many where
    finalists still improve, unless the study says how many), and coarse and fine have as many
    trials as the study says (54 and 18; a grid all its points). With one, the full
    run is what lets all confirmation runs fit in their share of the time that is left.

    Args:
        study: The study.
        num_rows: Training rows.
        speed: What a step costs here; only a time budget needs it.
        slots: Trials at a time.
        elapsed: Seconds of run time used up already.
        chance: Loss of the best prediction that ignores the inputs.
        full_epochs: Passes of a full run, where the study doesn't say; None: 50.

    Raises:
        StudyError: The time budget is too small for one trial.
    """
    factor, num_rungs = study.budget.reduction_factor, study.budget.num_rungs
    epochs = study.budget.full_epochs or full_epochs or DEFAULT_EPOCHS
    wanted = _full_samples(study, num_rows, epochs)
    available = math.inf
    if study.time_budget is not None:
        assert speed is not None
        available = study.time_budget - elapsed - REPORT_SECONDS - START_SECONDS
        affordable = _affordable_samples(study, available, speed, slots)
        _check_affordable(study, _smallest(study, wanted), affordable, speed)
        wanted = min(wanted, affordable) if study.budget.full_epochs is None else wanted
    ladder = Ladder.below(wanted, factor, num_rungs, _spacing(speed))
    proof, search = study.confirm.share * available, (1.0 - study.confirm.share) * available
    by_time = study.time_budget is not None
    return Plan(
        ladder=ladder,
        coarse_rows=_rows(num_rows, ladder.coarse[-1] / ladder.full, COARSE_PASSES),
        fine_rows=_rows(num_rows, 1.0, FINE_PASSES),
        coarse_ends_at=elapsed + START_SECONDS + study.coarse.share * search,
        time_budget_s=study.time_budget or math.inf,
        coarse_trials=_num_trials(study.coarse, None if by_time else 54),
        fine_trials=_num_trials(study.fine, None if by_time else 18),
        max_run_seconds=MAX_COST_RATIO * _run_seconds(study, available, slots),
        proof_s=proof,
        longest=_longest(study, ladder, num_rows, epochs),
        slots=slots,
        chance=chance,
        full_epochs=epochs,
    )


def _num_trials(section: CoarseSection | FineSection, usual: int | None) -> int | None:
    return section.num_trials or (None if section.searcher == "grid" else usual)


def _full_samples(study: Study, num_rows: int, epochs: float) -> int:
    samples = max(1, round(epochs * num_rows))
    return samples if study.budget.full_epochs is not None else max(samples, MIN_SAMPLES)


def _longest(study: Study, ladder: Ladder, num_rows: int, epochs: float) -> int:
    if study.budget.full_epochs is not None:
        return ladder.full
    if study.time_budget is None:
        return LONGER * ladder.full
    wanted = _full_samples(study, num_rows, epochs)
    return max(ladder.full, min(ladder.factor * ladder.full, wanted))


def _run_seconds(study: Study, available: float, slots: int) -> float:
    """Return the wall time of one confirmation run if all of them fill their share."""
    num_runs = (study.confirm.num_finalists + 1) * study.confirm.num_seeds
    return study.confirm.share * available / math.ceil(num_runs / slots)


def _affordable_samples(study: Study, available: float, speed: Speed, slots: int) -> int:
    # Every rung is evaluated, and the middle of the first, however dear evaluations are.
    evaluations = (study.budget.num_rungs + 1) * speed.eval_seconds
    training = (_run_seconds(study, available, slots) - evaluations) / (1 + EVALUATION_SHARE)
    return int(training * speed.samples_per_second)


def _spacing(speed: Speed | None) -> int:
    if speed is None:
        return 1
    return max(1, math.ceil(speed.eval_seconds * speed.samples_per_second / EVALUATION_SHARE))


def _smallest(study: Study, wanted: int) -> int:
    """Return the shortest full run that is of use, in training samples."""
    factor, num_rungs = study.budget.reduction_factor, study.budget.num_rungs
    smallest: int = min(wanted, factor ** (num_rungs - 1) * 32 * MIN_STEPS_AT_FIRST_RUNG)
    if study.budget.full_epochs is None:
        return smallest
    # Every trial would be too slow where even the measured default is.
    return max(smallest, math.ceil(wanted / MAX_COST_RATIO))


def _check_affordable(study: Study, smallest: int, affordable: int, speed: Speed) -> None:
    if affordable < smallest:
        budget = study.time_budget or 0.0
        raise StudyError(
            f"time budget {budget:g} s is too small: one confirmation run gets "
            f"{max(affordable, 0)} training samples at {speed.samples_per_second:.0f} samples/s "
            f"and needs {smallest}; give more time, or fewer budget.full_epochs "
            "or confirm.num_seeds"
        )


def _rows(num_rows: int, cost: float, passes: float) -> int:
    return min(num_rows, max(MIN_ROWS, math.ceil(num_rows * cost / passes)))
