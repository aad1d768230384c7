"""How far short trainings and few rows can be trusted: do they keep the order of longer ones?

Two rank correlations are measured on the trials that a run has anyway. *Within coarse*: the order
at a rung against the order at the next, among the trials that went on. *Between coarse and fine*:
the order of the same configurations at the same rung, on coarse's rows and on fine's.

Both speak of the better half of coarse's trials. Over all of them even 200 rows keep the order, by
telling what learns nothing from the rest: at coarse's last rung .87 to .97 on three data sets, as a
sound subsample does. Among the better half they keep .38 to .82, a sound one .87 to .97
(``benchmarks/guide/trust.py``).

What is compared with a rung is the best loss since then, not the best of all: on rows that are
used up nothing gets better any more, and the best of all would be compared with itself.

Those that went on were chosen by the very loss that is to be judged, and among fewer that are more
alike an order is harder to keep. So their correlation is carried over to the better half, by how
much less they differ at the rung than that does: the correction for a restricted range (Pearson,
1903; Thorndike, 1949, case 2), on normal scores of the ranks. Promotion rests on nothing but that
loss and chance, which is what the correction asks for. Trials that were drawn for a second look
count like the others.

The interval is that of Bonett and Wright (2000), carried over in the same way; a bootstrap over so
few trials says [1, 1] wherever five of them keep their order by luck. Without five trials there is
no number.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal, TypeGuard

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata, spearmanr

from search.strategy.phase import TIME_UP
from search.trials import History, Record

GOOD, LOW = 0.7, 0.5
"""The guide's: from the first on an order is good to go by, below the second it isn't."""
MIN_TRIALS = 5
"""Fewer give no number."""
MIN_SPEAKING = 10
"""So many trials must speak before coarse's subsample grows. In simulated phases of 40 to 120
trials it then grows by chance in at most 1 % of them where the order is kept to .85, in 4 to 7 %
at .75, and rightly in 76 to 99 % where hardly any is kept (.2)."""
CONFIDENCE = 0.9

Pair = tuple[float, float]
"""A loss by which was chosen, and the one that came of it."""
Word = Literal["good", "fair", "low"]
SURVIVOR = "survivor:"


@dataclass(frozen=True)
class Correlation:
    """A rank correlation over the better half of the trials.

    Attributes:
        value: The estimate; from -1 to 1.
        low: Lower end of its 90 % interval.
        high: Upper end.
        plain: Spearman's, among the pairs alone.
        num_pairs: Trials that have both losses.
        num_compared: Trials that have the first.
    """

    value: float
    low: float
    high: float
    plain: float
    num_pairs: int
    num_compared: int

    def describe(self) -> str:
        """Return it in words."""
        return (
            f"rank correlation {self.value:.2f} [{self.low:.2f}, {self.high:.2f}] "
            f"by {self.num_pairs} of {self.num_compared} trials"
        )


def correlate(
    pairs: Sequence[Pair], compared: Sequence[float], num_best: int | None = None
) -> Correlation | None:
    """Estimate the rank correlation over the best trials from those that have both losses.

    Args:
        pairs: Finite losses of these.
        compared: The first loss of all trials, those of the pairs included.
        num_best: How many of them are meant; None: all.

    Returns:
        None with fewer than five pairs, or where the losses of one kind are all the same.
    """
    if len(pairs) < MIN_TRIALS:
        return None
    first, second = np.array(pairs).T
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    plain = float(spearmanr(first, second).statistic)
    among = np.sort(compared)
    meant = among[:num_best]
    if np.ptp(meant) == 0:
        return None
    wider = _spread(meant, among) / _spread(first, among)
    ends = (plain, *_interval(plain, len(pairs)))
    value, low, high = (_carried_over(each, wider) for each in ends)
    return Correlation(value, low, high, plain, len(pairs), len(compared))


def _spread(losses: NDArray[np.float64], among: NDArray[np.float64]) -> float:
    """Return the standard deviation of losses on the scale on which ``among`` are normal."""
    scores = norm.ppf((rankdata(among) - 0.5) / len(among))
    return float(np.std(scores[np.searchsorted(among, losses)]))


def _interval(plain: float, number: int) -> Pair:
    # Of few trials a perfect order is no certainty.
    limit = 1.0 - 0.5 / number
    value = min(max(plain, -limit), limit)
    half = norm.ppf(0.5 + CONFIDENCE / 2) * math.sqrt((1 + value**2 / 2) / (number - 3))
    middle = math.atanh(value)
    return min(plain, math.tanh(middle - half)), max(plain, math.tanh(middle + half))


def _carried_over(plain: float, wider: float) -> float:
    """Return a rank correlation on a range that is ``wider`` times as wide."""
    narrow = 2.0 * math.sin(math.pi * plain / 6.0)
    wide = narrow * wider / math.sqrt(1.0 - narrow**2 + (narrow * wider) ** 2)
    return 6.0 / math.pi * math.asin(min(max(wide / 2.0, -0.5), 0.5))


@dataclass(frozen=True)
class Trust:
    """What was measured between two fidelities.

    Attributes:
        between: ``rungs`` of coarse, or ``rows``: coarse's and fine's.
        rows: Training rows of coarse's subsample.
        rung: Training samples at which was compared first.
        later: At which it was compared again; the same rung between coarse and fine.
        correlation: The estimate.
    """

    between: Literal["rungs", "rows"]
    rows: int
    rung: int
    later: int
    correlation: Correlation

    @property
    def word(self) -> Word:
        """What the estimate is called."""
        value = self.correlation.value
        return "good" if value >= GOOD else "fair" if value >= LOW else "low"

    @property
    def is_sure(self) -> bool:
        """Whether the interval leaves no choice between a good order and a low one."""
        return self.correlation.low >= LOW or self.correlation.high < GOOD

    @property
    def is_refuted(self) -> bool:
        """Whether the order can't be gone by: it is low, and the interval rules a good one out."""
        return self.correlation.value < LOW and self.correlation.high < GOOD

    def describe(self) -> str:
        """Return it in words."""
        what = f"the order after {self.rung:,} samples and that after {self.later:,}"
        if self.between == "rows":
            what = f"the order after {self.rung:,} samples in coarse and in fine"
        found = self.correlation.describe()
        sure = "" if self.is_sure else ", unsure"
        return f"{what}, coarse on {self.rows:,} rows: {found}, {self.word}{sure}"

    def to_json(self) -> dict[str, Any]:
        """Return the fields, and what they come to."""
        return {**asdict(self), "word": self.word, "sure": self.is_sure}


def between_rungs(
    records: Iterable[Record], rungs: Sequence[int], sizes: Sequence[int]
) -> list[Trust]:
    """Compare neighbouring rungs of coarse, for each subsample by itself.

    Args:
        records: The phase's trials.
        rungs: Its rungs.
        sizes: Training rows of its nested subsamples.
    """
    found = []
    for rows, group in _by_rows(records, sizes):
        for rung, later in pairwise(rungs):
            pairs = [pair for each in group if (pair := _pair(each, rung, later)) is not None]
            correlation = correlate(pairs, _losses(group, rung), _half(group, rungs))
            if correlation is not None:
                found.append(Trust("rungs", rows, rung, later, correlation))
    return found


def between_rows(
    coarse: History, fine: Iterable[Record], rungs: Sequence[int], sizes: Sequence[int]
) -> list[Trust]:
    """Compare the survivors' losses in coarse with those of the same configurations in fine.

    Between the two lie more rows, another seed, and schedules that stretch to a longer training.
    The survivors are chosen by coarse's highest rungs; that they are alike at the others, too, is
    what is allowed for.

    Args:
        coarse: The coarse phase.
        fine: The fine phase's trials.
        rungs: What both have.
        sizes: Training rows of coarse's nested subsamples.
    """
    again = {
        record.trial.source.removeprefix(SURVIVOR): record
        for record in fine
        if record.trial.source.startswith(SURVIVOR)
    }
    found = []
    for rows, group in _by_rows(coarse, sizes):
        both = [(each, again[name]) for each in group if (name := each.trial.trial_id) in again]
        for rung in rungs:
            losses = [(first.value_at(rung), second.value_at(rung)) for first, second in both]
            pairs = [(a, b) for a, b in losses if _is_finite(a) and _is_finite(b)]
            correlation = correlate(pairs, _losses(group, rung), _half(group, rungs))
            if correlation is not None:
                found.append(Trust("rows", rows, rung, rung, correlation))
    return found


def _by_rows(records: Iterable[Record], sizes: Sequence[int]) -> Iterator[tuple[int, list[Record]]]:
    records = list(records)
    for division, rows in enumerate(sizes):
        yield rows, [each for each in records if each.trial.division == division]


def _losses(records: Iterable[Record], rung: int) -> list[float]:
    """Return the finite losses at a rung."""
    return [loss for each in records if _is_finite(loss := each.value_at(rung))]


def _half(records: Iterable[Record], rungs: Sequence[int]) -> int:
    """Return how many trials are the better half of those that reached the lowest rung.

    At a higher one these are all that went on, or nearly so.
    """
    return math.ceil(len(_losses(records, rungs[0])) / 2)


def _is_finite(loss: float | None) -> TypeGuard[float]:
    return loss is not None and math.isfinite(loss)


def _pair(record: Record, rung: int, later: int) -> Pair | None:
    """Return the best loss up to a rung, and the best from there to the next.

    None where the training didn't go on, failed, or was broken off by the clock. One that ended
    earlier, by itself or by its curve's verdict, counts with what it came to.
    """
    before = record.value_at(rung)
    after = [e for e in record.evaluations if rung < e.point <= later]
    finite = [e.value for e in after if math.isfinite(e.validation_loss)]
    if not _is_finite(before) or not finite:
        return None
    has_ended = record.ending is not None and record.ending.reason != TIME_UP
    return (before, min(finite)) if has_ended or record.evaluations[-1].point >= later else None


def describe_too_few(phase: str) -> str:
    """Return in words why a phase gives no number."""
    did = {"coarse": "went on from a rung", "fine": "were trained again in fine"}[phase]
    return f"trust: fewer than {MIN_TRIALS} trials on the same rows {did}: no rank correlation"
