"""Who proposes configurations in the fine phase: a question to a model, and its answer."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from search.events import Proposals
from search.space import Config, Space
from search.strategy import tpe
from search.strategy.groups import Group, hold_config
from search.strategy.ranking import Observation, best_config
from search.strategy.surrogate import Fitted, Surrogate

MIN_AT_RUNG = 20
"""TPE learns from the highest rung that so many trials have reached. Fewer, all of them trials
that rungs have let through, teach it what good ones are like but not what bad ones are like."""

MAX_RUNNING = 64
"""So many of the running configurations are believed, the last ones."""
REFIT = 1.1
"""Hyperparameters are fitted anew when the observations have grown by a tenth."""


@dataclass(frozen=True)
class Question:
    """What is known when proposals are asked for.

    Attributes:
        space: Where to search.
        focus: The narrowed space: where to look first.
        observations: Of all rungs.
        rungs: Of the whole run.
        num: How many proposals.
        running: Configurations whose results aren't known yet.
        again: Configurations that aren't new and yet may be proposed.
        wordless: Configurations that nothing became known of, and that aren't wanted again.
        state: What the last answer left.
        seed: Of all randomness.
        group: The dimensions that may vary; None: all.
        by_time: Time is what is scarce.
        max_seconds_per_sample: What is slower can't be proven.
    """

    space: Space
    focus: Space
    observations: tuple[Observation, ...]
    rungs: tuple[int, ...]
    num: int
    running: tuple[Config, ...]
    state: tuple[float, ...]
    seed: tuple[int, ...]
    group: Group | None = None
    again: tuple[Config, ...] = ()
    wordless: tuple[Config, ...] = ()
    by_time: bool = False
    max_seconds_per_sample: float = math.inf


def ask_gp(question: Question) -> Proposals:
    """Propose by expected improvement under a Gaussian process of configuration and fidelity.

    The state is the number of observations at the last fit, and the hyperparameters of then.
    """
    fitted_on, *vector = question.state or (0.0,)
    num_seen, rungs = len(question.observations), question.rungs
    refit = num_seen >= REFIT * fitted_on
    model = Surrogate(
        question.space,
        question.observations,
        full=rungs[-1],
        lowest=rungs[0],
        start=Fitted.unpack(np.array(vector)) if vector else None,
        refit=refit,
        by_time=question.by_time,
        max_seconds_per_sample=question.max_seconds_per_sample,
    )
    generator = np.random.default_rng(question.seed)
    configs = model.propose(
        question.num,
        (*question.wordless, *question.running[-MAX_RUNNING:]),
        generator,
        question.focus,
        question.group,
        question.again,
    )
    hyperparameters = tuple(float(each) for each in model.fitted.pack())
    return Proposals(tuple(configs), "gp", (num_seen if refit else fitted_on, *hyperparameters))


def ask_tpe(question: Question) -> Proposals:
    """Propose by HyperOpt's TPE from the losses of one rung (Falkner et al., 2018, BOHB).

    The highest rung that enough trials have reached speaks; failures count at every rung, and
    what was too slow for any evaluation counts as a failure. A
    stopped trial's early loss never passes for a final one, which is what makes TPE with a
    pruner worse than random search. Proposals of a batch believe that those before them come
    out like the median.
    """
    known = comparable(question.observations, question.rungs)
    median = float(np.median([each.loss for each in known])) if known else 0.0
    believed = [tpe.Observation(config, median) for config in question.running]
    seeds = np.random.SeedSequence(question.seed).generate_state(question.num)
    best = best_config(question.observations)
    configs: list[Config] = []
    for number, seed in enumerate(seeds):
        observations = [*known, *believed]
        space = question.focus if number % 2 == 0 else question.space
        config = tpe.suggest(space, observations, seed=int(seed) >> 1)
        configs.append(hold_config(question.space, config, best, question.group))
        believed.append(tpe.Observation(configs[-1], median))
    return Proposals(tuple(configs), "tpe")


def comparable(
    observations: tuple[Observation, ...], rungs: tuple[int, ...]
) -> list[tpe.Observation]:
    """Return the losses at the highest rung that enough trials have reached, and all failures."""
    failed = [each for each in observations if not math.isfinite(each.loss)]
    at_rung: list[Observation] = []
    for rung in reversed(rungs):
        at_rung = [o for o in observations if o.samples == rung and math.isfinite(o.loss)]
        if len(at_rung) >= MIN_AT_RUNG:
            break
    losses = [tpe.Observation(each.config, each.loss) for each in at_rung]
    return [*losses, *(tpe.Observation(each.config, math.inf) for each in failed)]


SEARCHERS: dict[str, Callable[[Question], Proposals]] = {"gp": ask_gp, "tpe": ask_tpe}
