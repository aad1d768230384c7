"""A head that asks for a token, on loopback: who has another stays out, jobs come in with it."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from commands import wait_until

BIN = Path(sys.executable).parent
PATIENCE_S = 90


@dataclass
class Head:
    """A running head."""

    port: int
    dashboard: int
    token: str

    def run(self, *command: str, token: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BIN / command[0], *command[1:]],
            env=environment(token or self.token),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )


def environment(token: str) -> dict[str, str]:
    given = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token, "HOME": "/nonexistent"}
    return {**os.environ, **given, "PATH": f"{BIN}:{os.environ['PATH']}"}


def free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    port, dashboard, agent = free_ports(3)
    made = Head(port, dashboard, secrets.token_hex(32))
    folder = tempfile.mkdtemp(prefix="t", dir="/tmp")  # sockets want short names
    command = [BIN / "ray", "start", "--head", "--block", "--node-ip-address=127.0.0.1"]
    command += [f"--port={port}", f"--temp-dir={folder}", "--num-cpus=2", "--disable-usage-stats"]
    command += [f"--dashboard-agent-listen-port={agent}"]  # the usual one is any other Ray's
    command += [f"--dashboard-port={dashboard}", f"--object-store-memory={100 * 2**20}"]
    process = subprocess.Popen(
        command,
        env=environment(made.token),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for(made, process)
        yield made
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def wait_for(head: Head, process: subprocess.Popen[bytes]) -> None:
    def answers(port: int) -> bool:
        assert process.poll() is None, "the head ended"
        with socket.socket() as asking:
            return asking.connect_ex(("127.0.0.1", port)) == 0

    for port in (head.port, head.dashboard):
        wait_until(partial(answers, port), "the head answers")


@pytest.mark.ray
def test_another_token_is_told_in_a_line(head: Head) -> None:
    address = f"127.0.0.1:{head.port}"
    done = head.run("sieve", "check-cluster", "--address", address, token=secrets.token_hex(32))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith(
        f"sieve: the cluster at --address {address} refuses this machine's token"
    )


@pytest.mark.ray
def test_a_job_comes_in_with_the_token(head: Head) -> None:
    command = ["ray", "job", "submit", "--address", f"http://127.0.0.1:{head.dashboard}"]
    until = time.monotonic() + PATIENCE_S
    done = head.run(*command, "--", "sieve", "check-cluster")
    while "No available agent" in done.stderr and time.monotonic() < until:  # it has just begun
        time.sleep(1.0)
        done = head.run(*command, "--", "sieve", "check-cluster")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS  token" in done.stdout
    assert "succeeded" in done.stdout
