"""``ray up``, ``ray submit``, a worker without power in the midst of it, ``ray down``."""

import os
from pathlib import Path

import pytest
from drill import RUN_S, drill
from hosts import LAPTOP, why_not

pytestmark = pytest.mark.ray


@pytest.mark.skipif(
    why_not() is not None and "SIEVE_MUST_DRILL" not in os.environ, reason=why_not() or ""
)
def test_a_study_survives_a_worker_s_power_failure(tmp_path: Path) -> None:
    with drill(tmp_path) as cluster:
        process = cluster.submit()
        cluster.wait_for_coarse(process, 4)
        before = cluster.ended()
        assert not cluster.events("fine"), "it is off in coarse"
        cluster.hosts.power_off("h2")
        assert process.wait(RUN_S) == 0, cluster.log.read_text()
        result = cluster.result()
        assert result["status"] == "complete"
        assert result["trials"] == {
            "coarse": 12,
            "fine": 3,
            "confirm": 4,
            "stopped": result["trials"]["stopped"],
            "failed": 0,
        }
        assert before <= cluster.ended()
        done = cluster.hosts.run(LAPTOP, "ray down -y cluster.yaml")
        assert done.returncode == 0, done.stderr
