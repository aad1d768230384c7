"""A run on a cluster whose machines come while it is on, and go."""

import json
from collections.abc import Iterator
from itertools import pairwise

import pyarrow.parquet as pq
import pytest
from commands import Command, events, small_study, wait_until
from ray.cluster_utils import Cluster

pytestmark = pytest.mark.ray
SMALL = {"object_store_memory": 100 * 2**20}
SOON = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Return a head without CPUs."""
    head = {"num_cpus": 0, "_system_config": SOON, **SMALL}
    made = Cluster(initialize_head=True, head_node_args=head)
    yield made
    made.shutdown()


def side_by_side(trials: list[dict]) -> int:
    """Return how many trials ran at the same time, at most."""
    moments = [(t["started_at"], 1) for t in trials] + [(t["ended_at"], -1) for t in trials]
    number, most = 0, 0
    for _, change in sorted(moments):
        number += change
        most = max(most, number)
    return most


def test_what_comes_is_used_and_what_goes_costs_no_trial(cluster: Cluster, sieve: Command) -> None:
    first = cluster.add_node(num_cpus=1, **SMALL)
    study = small_study()
    study[study.index("resources.max_concurrent=1")] = "resources.max_concurrent=2"
    study += ["--set", "coarse.num_trials=10", "--out", "run", "--address", cluster.address]
    process = sieve.start("run", *study, EPOCH_SECONDS="0.2")
    run = sieve.folder / "run"
    wait_until(lambda: len(events(run, "coarse")) >= 6, "coarse is under way")
    cluster.add_node(num_cpus=1, **SMALL)
    ended = len([e for e in events(run, "coarse") if e["event"] in ("ending", "pause")])
    wait_until(
        lambda: (
            len([e for e in events(run, "coarse") if e["event"] in ("ending", "pause")])
            >= ended + 3
        ),
        "both machines have worked",
    )
    before = {e["trial_id"] for e in events(run, "coarse") if e["event"] == "ending"}
    cluster.remove_node(first, allow_graceful=False)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err

    result = json.loads((run / "result.json").read_text())
    assert result["status"] == "complete"
    assert (result["trials"]["coarse"], result["trials"]["failed"]) == (10, 0)
    coarse = pq.read_table(run / "coarse" / "trials.parquet").to_pylist()
    assert side_by_side(coarse) == 2
    endings = [e["trial_id"] for e in events(run, "coarse") if e["event"] == "ending"]
    assert before <= set(endings)
    assert len(endings) == len(set(endings)), "no trial ended twice"
    for trial_id in endings:
        numbers = [
            e["evaluation"]
            for e in events(run, "coarse")
            if e["event"] == "evaluation" and e["trial_id"] == trial_id
        ]
        assert all(after == before + 1 for before, after in pairwise(numbers))
