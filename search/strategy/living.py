"""The space while fine runs: evidence widens it, and takes a narrowing back.

What coarse saw was short trainings on few rows. Where the best of the long ones lie at a range's
edge, the range goes on; where they lie outside of what was narrowed to, the narrowing was wrong.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace

from search.space import Choice, Config, Fixed, Float, Space, Value
from search.strategy.change import Change
from search.strategy.edges import stretch
from search.strategy.narrow import CHANCE, chance_of_none
from search.strategy.ranking import name_of

NUM_BEST = 6
"""So many configurations speak for a change, the best at the highest rungs."""
MIN_USED = 4
"""So many of them must use a dimension."""
RESTORE = 1 / 3
"""A narrowing is taken back when this share of them lies outside of it."""


class LivingSpace:
    """Where fine searches, and where it looks first.

    Args:
        whole: Where to search.
        focus: The narrowed space.
        before: Names of the configurations that the narrowing rests on. In a dimension that was
            fixed because it matters little they lie anywhere, and speak neither for it nor against.

    Attributes:
        whole: As it is now.
        focus: As it is now.
        changes: All so far.
    """

    def __init__(self, whole: Space, focus: Space, before: Container[str] = ()) -> None:
        self.whole = whole
        self.focus = focus
        self._before = before
        self.changes: list[Change] = []
        self._restored: set[str] = set()

    def reconsider(self, best: Sequence[Config], drawn: Sequence[Config] = ()) -> list[Change]:
        """Return what the best configurations speak for; nothing is changed yet.

        Args:
            best: The best at the highest rungs.
            drawn: Those that nothing known led to, the best first. Where there are none, no side
                has lost.
        """
        found = [self._reconsider(d.name, best, drawn) for d in self.whole.searched]
        return [change for change in found if change is not None]

    def _reconsider(
        self, name: str, best: Sequence[Config], drawn: Sequence[Config]
    ) -> Change | None:
        values = _values(name, best)
        if len(values) < MIN_USED:
            return None
        return (
            self._widened(name, values)
            or self._restoration(name, best)
            or self._without_losing_side(name, values, _values(name, drawn))
        )

    def _widened(self, name: str, values: list[Value]) -> Change | None:
        dimension = self.whole[name]
        if not isinstance(dimension, Float) or dimension.limits is None:
            return None
        after = stretch(dimension, values)
        if (after.low, after.high) == (dimension.low, dimension.high):
            return None
        why = f"at least half of the best {len(values)} lie in the outer tenth: widened"
        return Change.of(dimension, after, "widened", why, best=values)

    def _without_losing_side(
        self, name: str, values: list[Value], drawn: list[Value]
    ) -> Change | None:
        """Return a choice in order without the values beyond all of the best ones.

        Where the strongest dropout helped, none isn't tried any more. The evidence is what was
        drawn by chance: what a model proposed descends from a few good configurations, and has
        their values whether they did any good or not.
        """
        if name not in self.focus or name in self._restored:
            return None
        known = self.focus[name]
        if not isinstance(known, Choice) or not known.ordered:
            return None
        ahead = drawn[:NUM_BEST]
        if min(len(values), len(ahead)) < NUM_BEST:
            return None
        places = [known.values.index(each) for each in [*values, *ahead] if each in known.values]
        kept = known.values[min(places) : max(places) + 1] if places else known.values
        if len(kept) == len(known.values):
            return None
        num_lost = sum(value not in kept for value in drawn)
        if chance_of_none(num_lost, len(drawn), len(ahead)) >= CHANCE:
            return None
        after = replace(known, values=kept)
        why = (
            f"all of the best {len(values)}, and the best {len(ahead)} of {len(drawn)} drawn by "
            f"chance, lie in {list(kept)}: the others are on the losing side"
        )
        return Change.of(known, after, "narrowed", why, best=values)

    def _restoration(self, name: str, best: Sequence[Config]) -> Change | None:
        if name in self._restored or name not in self.focus:
            return None
        narrowed = self.focus[name]
        if isinstance(narrowed, Fixed):
            best = [config for config in best if name_of(config) not in self._before]
        values = _values(name, best)
        if len(values) < MIN_USED:
            return None
        outside = [value for value in values if not narrowed.contains(value)]
        if len(outside) < RESTORE * len(values):
            return None
        why = f"{len(outside)} of the best {len(values)} lie outside of it: taken back"
        return Change.of(narrowed, self.whole[name], "restored", why, best=values)

    def taken_back(self, why: str, but: Container[str] = ()) -> list[Change]:
        """Return the restorations of all that is narrowed still; nothing is changed yet.

        Args:
            why: In words.
            but: Dimensions that are left out.
        """
        open_to_it = [d for d in self.focus if d.name not in self._restored and d.name not in but]
        pairs = [(each, self.whole[each.name]) for each in open_to_it if each.name in self.whole]
        narrowed = [(a, b) for a, b in pairs if replace(a, when=b.when) != b]
        return [Change.of(before, after, "restored", why) for before, after in narrowed]

    def apply(self, changes: Sequence[Change]) -> None:
        """Carry changes out."""
        for change in changes:
            if change.change == "narrowed":
                self.focus = self.focus.replace(change.dimension_after)
                continue
            self.whole = self.whole.replace(change.dimension_after)
            self._restored.add(change.dimension)
        self.changes += changes
        if changes:
            self.focus = self._refocus()

    def _refocus(self) -> Space:
        """Return the whole space with all narrowings that still stand."""
        focus = self.whole
        for dimension in self.focus:
            if dimension.name in self._restored or dimension.name not in focus:
                continue
            if isinstance(dimension, Fixed):
                focus = focus.fix(dimension.name, dimension.value)
            else:  # it may have been active under fewer values of another than are back now
                focus = focus.replace(replace(dimension, when=self.whole[dimension.name].when))
        return focus


def _values(name: str, configs: Sequence[Config]) -> list[Value]:
    return [config[name] for config in configs if name in config]
