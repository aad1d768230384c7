"""Several brackets of successive halving side by side (Hyperband: Li et al., 2018).

Where short trainings say nothing about long ones, a trial should not be judged on them. The first
bracket begins to compare at the lowest rung, the second one rung higher, and so on; each is given
the same share of the training. One bracket, the default, is plain ASHA.
"""

from __future__ import annotations

import itertools

from search.strategy.asha import Asha, Decision


class Brackets:
    """Who competes with whom.

    Args:
        rungs: Of the first bracket, rising, in training samples.
        factor: The best 1/factor go on from a rung.
        number: Of brackets, as many as there are rungs at most.
    """

    def __init__(self, rungs: tuple[int, ...], factor: int, number: int = 1) -> None:
        assert 1 <= number <= len(rungs)
        self._rungs, self._factor = rungs, factor
        self._prices = [_price(rungs[first:], factor) for first in range(number)]
        self._of: dict[str, Asha] = {}
        self._past: list[Asha] = []
        self._begin()

    def _begin(self) -> None:
        firsts = range(len(self._prices))
        self._brackets = [Asha(self._rungs[first:], self._factor, first) for first in firsts]
        self._spent = [0.0] * len(firsts)

    def renew(self) -> None:
        """Let the trials that start from now on compete among themselves.

        Those that run are still judged among their own kind; those that wait aren't called.
        """
        self._past += self._brackets
        self._begin()

    def start(self, trial_id: str) -> None:
        """Put a new trial into the bracket on which the least was spent."""
        bracket = self._spent.index(min(self._spent))
        self._spent[bracket] += self._prices[bracket]
        self._of[trial_id] = self._brackets[bracket]

    def _bracket(self, trial_id: str) -> Asha:
        return self._of[trial_id]

    def report(
        self, trial_id: str, point: int, loss: float, standing: str | None = None
    ) -> Decision:
        """See :meth:`Asha.report`; a rung below a trial's bracket decides nothing."""
        return self._bracket(trial_id).report(trial_id, point, loss, standing)

    def pass_by(self, trial_id: str, point: int, loss: float) -> None:
        """See :meth:`Asha.pass_by`."""
        self._bracket(trial_id).pass_by(trial_id, point, loss)

    def fail(self, trial_id: str, reached: int) -> int | None:
        """See :meth:`Asha.fail`."""
        return self._bracket(trial_id).fail(trial_id, reached)

    def complete(self, trial_id: str, reached: int, loss: float) -> None:
        """See :meth:`Asha.complete`."""
        self._bracket(trial_id).complete(trial_id, reached, loss)

    def withdraw(self, trial_id: str) -> None:
        """See :meth:`Asha.withdraw`."""
        self._bracket(trial_id).withdraw(trial_id)

    def promotable(self) -> tuple[str, int] | None:
        """Return a trial that may go on and the rung to go to, the highest rung first."""
        calls = [call for each in self._brackets if (call := each.promotable()) is not None]
        return max(calls, key=lambda call: call[1], default=None)

    @property
    def num_judged(self) -> int:
        """How many trials have reached the first rung of their bracket, or have failed before."""
        return sum(each.reached(each.rungs[0]) for each in (*self._past, *self._brackets))


def _price(rungs: tuple[int, ...], factor: int) -> float:
    """Return the training samples that a trial costs on average where 1/factor go on."""
    steps = [high - low for low, high in itertools.pairwise((0, *rungs))]
    return float(sum(step / factor**level for level, step in enumerate(steps)))
