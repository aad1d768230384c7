"""What a peer must offer to be run on simulated workers, and how it is run."""

from __future__ import annotations

import heapq
import math
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

from benchmarks.search.tasks import Task
from search.space import Config
from search.strategy.ranking import name_of

TOP = 0.05
MAX_REJECTED = 200
"""On a finite table a method is asked again so often for a row that it hasn't had."""


@dataclass
class Job:
    """A training that a method wants.

    Attributes:
        config: What to train.
        until: Fidelity at which it ends by itself.
        done: Fidelity that the training goes on from; 0: from nothing.
        handle: What the method knows it by.
    """

    config: Config
    until: int
    done: int = 0
    handle: Any = None


class Peer(ABC):
    """A method behind one interface.

    Args:
        task: What to search.
        seed: Of all its randomness.
    """

    def __init__(self, task: Task, seed: int) -> None:
        self.task = task
        self.seed = seed

    @abstractmethod
    def ask(self) -> Job | None:
        """Return what a free worker does; None: nothing now."""

    def report(self, job: Job, fidelity: int, loss: float) -> bool:  # noqa: ARG002
        """Take in the loss at a rung below ``job.until``; return whether the job goes on."""
        return True

    @abstractmethod
    def finish(self, job: Job, fidelity: int, loss: float) -> None:
        """Take in the loss at a job's end: its ``until``, or where :meth:`report` said no."""

    def reject(self, job: Job) -> None:
        """Take back a job for a row of a finite table that was given before."""
        raise NotImplementedError

    @abstractmethod
    def recommend(self) -> Config | None:
        """Return the configuration that the method itself would name now."""


@dataclass
class Trace:
    """What came out of a run.

    Attributes:
        recommended: (seconds, configuration), where it changed.
        seen: (seconds, loss) of the lowest validation loss of all trainings, where it fell.
        cpu_seconds: Of the method itself.
        reached: Name of a training to its configuration and the highest fidelity that it reached.
        unfinished: Names of those that were running when the budget ended.
    """

    recommended: list[tuple[float, Config]] = field(default_factory=list)
    seen: list[tuple[float, float]] = field(default_factory=list)
    cpu_seconds: float = 0.0
    reached: dict[str, tuple[Config, int]] = field(default_factory=dict)
    unfinished: set[str] = field(default_factory=set)

    def note(self, at: float, config: Config | None) -> None:
        """Note what is recommended now."""
        if config is not None and (not self.recommended or self.recommended[-1][1] != config):
            self.recommended.append((at, dict(config)))

    def see(self, at: float, loss: float) -> None:
        """Note a training's loss."""
        if loss < (self.seen[-1][1] if self.seen else math.inf):
            self.seen.append((at, loss))

    def reach(self, config: Config, fidelity: int) -> None:
        """Note how far a configuration's training has come."""
        name = name_of(config)
        before = self.reached[name][1] if name in self.reached else 0
        self.reached[name] = (config, max(before, fidelity))

    def killed_share(self, task: Task) -> float:
        """Return the share of the best 5 % of the trainings that wasn't trained in full.

        The best are those whose loss would be lowest after a full training; what was running when
        the budget ended is left out. Unknown (NaN) where somebody would have to train them.
        """
        if task.is_trained:
            return math.nan
        judged = [each for name, each in self.reached.items() if name not in self.unfinished]
        ranked = sorted(judged, key=lambda each: float(task.curve(each[0])[-1]))
        best = ranked[: math.ceil(TOP * len(ranked))]
        killed = [fidelity < task.rungs[-1] for _, fidelity in best]
        return sum(killed) / len(killed) if killed else math.nan


class Workers:
    """Simulated workers that do a peer's jobs.

    Args:
        peer: The method.
        num_workers: Jobs at a time.
        seconds: The budget, in simulated wall time.
    """

    def __init__(self, peer: Peer, num_workers: int, seconds: float) -> None:
        self._peer = peer
        self._task = peer.task
        self._num_workers = num_workers
        self._seconds = seconds
        self._queue: list[tuple[float, int, Job, int]] = []
        self._number = 0
        self._rows: set[int] = set()
        self.trace = Trace()

    def run(self) -> Trace:
        """Spend the budget."""
        began = time.process_time()
        self._fill(0.0)
        while self._queue and self._queue[0][0] <= self._seconds:
            now, _, job, fidelity = heapq.heappop(self._queue)
            self._reach(now, job, fidelity)
            self._fill(now)
        self.trace.cpu_seconds = time.process_time() - began
        self.trace.unfinished = {name_of(job.config) for _, _, job, _ in self._queue}
        return self.trace

    def _reach(self, now: float, job: Job, fidelity: int) -> None:
        losses = self._task.curve(job.config)[:fidelity]
        loss = float(losses[-1])
        self.trace.reach(job.config, fidelity)
        self.trace.see(now, float(min(losses)))
        goes_on = fidelity < job.until and self._peer.report(job, fidelity, loss)
        if goes_on:
            self._train(now, job, fidelity)
        else:
            self._peer.finish(job, fidelity, loss)
        self.trace.note(now, self._peer.recommend())

    def _train(self, now: float, job: Job, done: int) -> None:
        following = next((r for r in self._task.rungs if r > done), job.until)
        target = min(following, job.until)
        self._number += 1
        ends = now + self._task.seconds(job.config, done, target)
        heapq.heappush(self._queue, (ends, self._number, job, target))

    def _fill(self, now: float) -> None:
        while len(self._queue) < self._num_workers:
            job = self._next()
            if job is None:
                return
            self.trace.reach(job.config, job.done)
            self._train(now, job, job.done)

    def _next(self) -> Job | None:
        for _ in range(MAX_REJECTED):
            job = self._peer.ask()
            if job is None or self._task.row is None or job.done:
                return job
            row = self._task.row(job.config)
            if row not in self._rows:
                self._rows.add(row)
                return job
            self._peer.reject(job)
        return None
