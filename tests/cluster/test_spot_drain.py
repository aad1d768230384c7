"""The hook for spot notices, against a metadata service that wants tokens, as AWS's does."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

HOOK = Path(__file__).parents[2] / "scripts" / "cluster" / "spot_drain.py"
PATH = "/latest/meta-data/spot/instance-action"


class Metadata(ThreadingHTTPServer):
    """The metadata service of an instance; ``answers`` are given one after the other."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[str | None] = []
        self.refused = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Metadata

    def do_PUT(self) -> None:
        known = self.path == "/latest/api/token"
        lasts = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "").isdigit()
        self._answer(200 if known and lasts else 400, "a-token")

    def do_GET(self) -> None:
        if self.headers.get("X-aws-ec2-metadata-token") != "a-token":
            self.server.refused += 1
            return self._answer(401, "")
        answers = self.server.answers
        body = answers.pop(0) if len(answers) > 1 else answers[0]
        if self.path != PATH or body is None:
            return self._answer(404, "")
        return self._answer(200, body)

    def _answer(self, code: int, body: str) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def metadata() -> Iterator[Metadata]:
    with Metadata() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _ray(folder: Path, codes: str) -> Path:
    """Return a command that writes its arguments to ``calls`` and exits with one code a call."""
    ray = folder / "ray"
    ray.write_text(
        f'#!/bin/sh\ncd "{folder}"\necho "$@" >> calls\n'
        f'set -- {codes}\nshift $(($(wc -l < calls) - 1))\nexit "$1"\n'
    )
    ray.chmod(0o755)
    return ray


def _watch(metadata: Metadata, ray: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(HOOK), "--metadata", metadata.url, "--ray", str(ray)]
    command += ["--poll-s", "0.01"]
    environment = {"http_proxy": "http://127.0.0.1:9", "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=True
    )


def _notice(seconds: float) -> str:
    end = datetime.now(UTC) + timedelta(seconds=seconds)
    return json.dumps({"action": "terminate", "time": f"{end:%Y-%m-%dT%H:%M:%SZ}"})


def _deadline(call: str) -> int:
    return int(call.split("--deadline-remaining-seconds ")[1])


def test_the_node_is_drained_once_when_its_end_is_announced(
    metadata: Metadata, tmp_path: Path
) -> None:
    metadata.answers = [None, None, _notice(120)]
    done = _watch(metadata, _ray(tmp_path, "0 0"))
    (call,) = (tmp_path / "calls").read_text().splitlines()
    assert call.startswith("drain-node --reason DRAIN_NODE_REASON_PREEMPTION")
    assert 60 < _deadline(call) <= 120
    assert "draining" in done.stdout
    assert metadata.refused == 0


def test_ray_is_asked_again_where_it_does_not_accept(metadata: Metadata, tmp_path: Path) -> None:
    metadata.answers = [_notice(120)]
    _watch(metadata, _ray(tmp_path, "1 1 0"))
    calls = (tmp_path / "calls").read_text().splitlines()
    assert len(calls) == 3
    assert _deadline(calls[2]) <= _deadline(calls[0])


def test_an_end_that_has_passed_leaves_no_time(metadata: Metadata, tmp_path: Path) -> None:
    metadata.answers = [_notice(-5)]
    _watch(metadata, _ray(tmp_path, "0"))
    assert _deadline((tmp_path / "calls").read_text()) == 0


@pytest.mark.parametrize("broken", ["", "[]", "{}", '{"action": "stop", "time": "soon"}'])
def test_a_broken_answer_is_said_and_passed_over(
    metadata: Metadata, tmp_path: Path, broken: str
) -> None:
    metadata.answers = [broken, _notice(100)]
    done = _watch(metadata, _ray(tmp_path, "0"))
    assert metadata.url in done.stdout.splitlines()[0]
    assert len((tmp_path / "calls").read_text().splitlines()) == 1
