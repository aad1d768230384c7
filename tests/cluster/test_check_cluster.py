"""``sieve check-cluster`` on a real cluster of two nodes, and where there is none."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Command
from ray.cluster_utils import Cluster

PROGRAM = Path(sys.executable).with_name("sieve")


def check(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [PROGRAM, "check-cluster", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Return the address of a head without CPUs and a worker."""
    small = {"object_store_memory": 100 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
    cluster.add_node(num_cpus=2, **small)
    yield cluster.address
    cluster.shutdown()


@pytest.mark.ray
def test_every_node_is_asked_and_sees_the_folder(address: str, tmp_path: Path) -> None:
    done = check("--address", address, "--storage", str(tmp_path / "runs"), "--json")
    found = {each["check"]: each for each in json.loads(done.stdout)}
    assert done.returncode == 0
    assert found["nodes"]["message"] == "2 answered, with 2 CPUs and 0 GPUs"
    assert {n for n, each in found.items() if each["status"] == "WARN"} <= {
        "token",
        "disk",
        "object_store",
    }
    assert not list((tmp_path / "runs").iterdir()), "nothing is left behind"


@pytest.mark.ray
def test_a_folder_that_cannot_be_written_fails(address: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = check("--address", address, "--storage", str(tmp_path / "file" / "runs"))
    assert done.returncode == 1
    assert "FAIL  storage" in done.stdout


def test_nobody_there_is_said_at_once(sieve: Command) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        done = sieve.ask("check-cluster", "--address", f"127.0.0.1:{port}")
    assert done.returncode == 2
    assert f"nobody answers at --address 127.0.0.1:{port}" in done.stderr


def test_nobody_where_the_environment_says_that_the_cluster_is_is_said_at_once(
    sieve: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        gone = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", gone)
        done = sieve.ask("check-cluster", "--address", "auto")
    assert done.returncode == 2
    assert f"nobody answers at --address auto, which is {gone} here" in done.stderr


def test_an_address_without_a_port_is_refused(sieve: Command) -> None:
    done = sieve.ask("check-cluster", "--address", "head.example")
    assert done.returncode == 2
    assert "--address head.example has no port; give auto, or host:port" in done.stderr
