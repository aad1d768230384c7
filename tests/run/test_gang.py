"""Runs of the proof that two processes share, through Ray Train."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from search.data import DataOptions, load_dataset
from search.data.phase_rows import RowPlan
from search.execution.clock import RunClock
from search.execution.cluster import TrialResources, connected
from search.execution.context import PhaseContext
from search.execution.driver import PhaseDriver
from search.execution.experiment import Experiment
from search.report import Progress
from search.rundir import RunDir
from search.strategy.budget import Ladder
from search.strategy.confirm import Candidate, ConfirmPhase
from search.task import load_model

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore:.*`use_.*` is deprecated:DeprecationWarning"),  # Ray's own
]
LADDER = Ladder((100, 300, 900), 3)


@pytest.fixture
def context(tmp_path: Path) -> PhaseContext:
    """Shared by trainings on wines, two processes a run."""
    dataset = load_dataset(DataOptions("sklearn:wine"))
    return PhaseContext(
        model_path="models.mlp",
        search_path=(),
        rows=RowPlan.of(dataset, seed=0).confirm(),
        metric="accuracy",
        trial_folder=tmp_path / "run" / "confirm" / "trials",
        checkpoint_interval_s=15.0,
        early_stopping=False,
        num_cpus=1,
        num_gpus=0.0,
        keep_best=True,
        rungs=(),
        speed_limit=None,
        num_workers=2,
    )


@pytest.fixture
def experiment(tmp_path: Path, local_ray: None) -> Iterator[Experiment]:
    dataset = load_dataset(DataOptions("sklearn:wine"))
    with connected(None, data_bytes=1_000_000):
        resources = TrialResources(num_cpus=1, num_gpus=0.0, slots=2)
        log = str(tmp_path / "ray")
        yield Experiment(ray.put(dataset), resources, log)


def test_a_run_that_is_shared_ends_with_its_model_and_its_test(
    experiment: Experiment, context: PhaseContext, tmp_path: Path
) -> None:
    dataset = load_dataset(DataOptions("sklearn:wine"))
    default = load_model("models.mlp").defaults(dataset.spec)[0]
    candidate = Candidate("baseline", default.config, "baseline:a paper", "published", None)
    phase = ConfirmPhase([candidate], LADDER, num_seeds=1, seed=0)
    with RunDir.create(tmp_path / "run", {"model": "models.mlp"}, "digest") as run:
        driver = PhaseDriver(
            phase,
            run,
            clock=RunClock(0.0),
            slots=lambda: 1,
            ends_at=lambda: float("inf"),
            stop_requested=lambda: False,
            observer=Progress("accuracy", "max"),
        )
        experiment.run_phase(driver, context)
        (record,) = driver.strategy.history
        assert record.ending is not None
        assert record.ending.status == "completed", record.ending
        assert record.samples_seen >= LADDER.full
        assert [each.point for each in record.evaluations] == list(record.trial.points)
        assert record.ending.test_metric is not None
        assert record.ending.test_metric > 0.8
        folder = tmp_path / "run" / "confirm" / "trials" / record.trial.trial_id
        assert {"model.safetensors", "predictions.safetensors"} <= {
            path.name for path in folder.iterdir()
        }
        assert not (folder / "state.pt").exists()
