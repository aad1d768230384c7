"""What a decision costs on thousands of simulated workers.

``python -m benchmarks.scale`` simulates search phases with many trials and measures, for each
number of trials, the CPU time of an event and the peak memory of the process.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

from benchmarks.figures import Figures
from search.events import Ending, Evaluation, Trial
from search.execution.simulator import Simulator
from search.space import Choice, Float, Space
from search.strategy.budget import Ladder
from search.strategy.coarse import CoarsePhase
from search.strategy.fine import FinePhase
from search.strategy.phase import PhaseStrategy
from search.trials import History

SPACE = Space(
    [
        Choice(name="kind", values=("a", "b", "c")),
        *(Float(name=f"x{number}", low=0.0, high=1.0) for number in range(8)),
    ]
)
LADDER = Ladder((100, 300, 900, 2700), 3, spacing=2700)


class Bowl:
    """A quadratic loss that falls with training; a sample takes a second."""

    def evaluate(self, trial: Trial, number: int) -> tuple[float, Evaluation | Ending]:
        """Return the loss at the trial's ``number``-th point."""
        done, point = (0, *trial.points)[number - 1 : number + 1]
        away = sum((float(trial.config[f"x{n}"]) - 0.4) ** 2 for n in range(8))
        loss = away + 10.0 / point + (trial.config["kind"] != "b")
        seconds = float(point - done)
        return seconds, Evaluation(
            trial.trial_id, number, point, point, loss, loss, 0, 0, 0, seconds
        )

    def resume_seconds(self, trial: Trial, number: int) -> float:  # noqa: ARG002
        """Nothing."""
        return 0.0


def phase_of(name: str, num_trials: int, num_workers: int) -> PhaseStrategy:
    """Return a fresh phase."""
    if name == "coarse":
        return CoarsePhase(SPACE, [], LADDER, num_trials=num_trials, seed=0)
    return FinePhase(
        SPACE, SPACE, [], History(), LADDER, num_trials=num_trials, slots=num_workers, seed=0
    )


def main() -> None:
    """Simulate, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=10_000)
    parser.add_argument("--trials", default="1000,10000,100000")
    parser.add_argument("--out", type=Path, help="JSON file for benchmarks.search.report")
    arguments = parser.parse_args()
    figures = Figures(
        "What a decision costs",
        "`python -m benchmarks.scale`: a phase simulated on one core, proposals included. An "
        "event is a start, an evaluation, a pause, a promotion, an end or an answer of the "
        "model; memory is the highest of the process so far.",
    )
    for name in ("coarse", "fine"):
        for num_trials in map(int, arguments.trials.split(",")):
            num_workers = min(arguments.workers, num_trials // 10)
            events = 0

            def count(_: object) -> None:
                nonlocal events
                events += 1

            began = time.process_time()
            phase = phase_of(name, num_trials, num_workers)
            Simulator(Bowl(), num_workers, count).run(phase, float("inf"))
            spent = time.process_time() - began
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            figures.add(
                phase=name,
                trials=f"{num_trials:,}",
                workers=f"{num_workers:,}",
                CPU=f"{spent:.1f} s",
                an_event=f"{1e6 * spent / events:.0f} µs",
                memory=f"{memory:.2f} GiB",
            )
    figures.save(arguments.out)


if __name__ == "__main__":
    main()
