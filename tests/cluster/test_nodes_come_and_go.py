"""A run on a cluster whose machines come while it is on, and go."""

import json
from collections.abc import Iterator
from itertools import pairwise

import pytest
from commands import Command, events, paced_model, small_study, wait_until
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


def side_by_side(happened: list[dict]) -> int:
    """Return how many trials were under way at the same time, at most."""
    live: set[str] = set()
    most = 0
    for each in happened:
        if each["event"] in ("trial", "promotion"):
            live.add(each["trial_id"])
        if each["event"] in ("pause", "ending"):
            live.discard(each["trial_id"])
        most = max(most, len(live))
    return most


def test_what_comes_is_used_and_what_goes_costs_no_trial(cluster: Cluster, sieve: Command) -> None:
    first = cluster.add_node(num_cpus=1, **SMALL)
    study = small_study(paced_model(sieve.folder, epoch_seconds=0.2))
    study[study.index("resources.max_concurrent=1")] = "resources.max_concurrent=2"
    study += ["--set", "coarse.num_trials=10", "--out", "run", "--address", cluster.address]
    process = sieve.start("run", *study)
    run = sieve.folder / "run"
    wait_until(lambda: side_by_side(events(run, "coarse")) == 1, "coarse is under way")
    cluster.add_node(num_cpus=1, **SMALL)
    wait_until(lambda: side_by_side(events(run, "coarse")) == 2, "both machines work")
    before = [e for e in events(run, "coarse") if e["event"] == "ending"]
    cluster.remove_node(first, allow_graceful=False)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err

    result = json.loads((run / "result.json").read_text())
    assert result["status"] == "complete"
    assert (result["trials"]["coarse"], result["trials"]["failed"]) == (10, 0)
    assert side_by_side(events(run, "coarse")) == 2
    endings = [e for e in events(run, "coarse") if e["event"] == "ending"]
    assert endings[: len(before)] == before, "what had ended has changed"
    assert len({e["trial_id"] for e in endings}) == len(endings), "no trial ended twice"
    for trial in {e["trial_id"] for e in endings}:
        seen = [e for e in events(run, "coarse") if e["event"] == "evaluation"]
        numbers = [e["evaluation"] for e in seen if e["trial_id"] == trial]
        assert all(after == before + 1 for before, after in pairwise(numbers))
    journal = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    stores = [entry for entry in journal if entry["message"].startswith("object_store: ")]
    assert len(stores) == 2, "the machine that came was looked at as the first was"
