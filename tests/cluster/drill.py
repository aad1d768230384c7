"""A cluster of hosts on this machine, started and used as its users do: up, submit, down."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from hosts import LAPTOP, Hosts

ROOT = Path(__file__).parents[2]
VENV = Path(sys.executable).parents[1]
STUDY = {
    "data": "sklearn:digits",
    "model": "models.mlp",
    "budget": {"full_epochs": 40},
    "coarse": {"num_trials": 12},
    "fine": {"num_trials": 3},
    "confirm": {"num_finalists": 1, "num_seeds": 2},
    "space": {"num_units": {"high": 128}},
    "training": {"checkpoint_interval_s": 2},
}
UP_S, RUN_S = 150.0, 300.0


class Drill:
    """A head without trials and workers with a CPU each.

    Args:
        folder: For everything.
        num_workers: Beside the head.
        environment: Of Ray on every machine, and so of the trials.

    Attributes:
        hosts: The machines.
        run: The run's folder, which all of them see.
    """

    def __init__(
        self, folder: Path, num_workers: int, environment: Mapping[str, object] | None = None
    ) -> None:
        self.folder = folder
        self._environment = environment or {}
        self.hosts = Hosts(folder / "hosts", 1 + num_workers)
        self.run = folder / "shared" / "run"
        self.log = folder / "submit.log"

    def up(self) -> None:
        """Start the machines, and Ray on them by ``ray up``."""
        self.hosts.up()
        (self.folder / "shared").mkdir()
        self._furnish_the_laptop()
        self.ray_up()
        self.wait_for_nodes(self.hosts.number)

    def _furnish_the_laptop(self) -> None:
        home = self.hosts.folder / LAPTOP / "home"
        (home / ".ray").mkdir(parents=True, exist_ok=True)
        (home / ".profile").write_text(
            f"export PATH={VENV}/bin:$PATH RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0\n"
        )
        made = self.hosts.run(LAPTOP, "ray get-auth-token --generate && chmod 600 .ray/auth_token")
        assert made.returncode == 0, made.stderr
        (home / "cluster.yaml").write_text(yaml.safe_dump(self._cluster()))
        (home / "study.yaml").write_text(yaml.safe_dump(STUDY))
        shutil.copy(ROOT / "scripts" / "search.py", home / "search.py")

    def _cluster(self) -> dict[str, Any]:
        """Return the file for one's own machines, filled in; the environment is there already."""
        path = ROOT / "scripts" / "cluster" / "onprem.yaml"
        values: dict[str, Any] = yaml.safe_load(path.read_text())
        names = [f"h{number}" for number in range(self.hosts.number)]
        head, *workers = [self.hosts.address(name) for name in names]
        values["provider"] |= {"head_ip": head, "worker_ips": workers}
        values["auth"] = {"ssh_user": "root", "ssh_private_key": str(self.hosts.folder / "key")}
        values["file_mounts"] = {
            target: source if source.startswith("~") else str(ROOT / source)
            for target, source in values["file_mounts"].items()
        }
        values["setup_commands"] = [
            f"ln -sfn {VENV} ~/sieve/.venv" if "scripts/install" in command else command
            for command in values["setup_commands"]
        ]
        quick = "--object-store-memory=100000000 "
        given = " ".join(f"{name}={value}" for name, value in self._environment.items())
        for key, cpus in (("head_start_ray_commands", 0), ("worker_start_ray_commands", 1)):
            values[key] = [
                each.replace("ray start ", f"{given} {SOON} ray start --num-cpus={cpus} {quick}")
                for each in values[key]
            ]
        return values

    def ray_up(self) -> None:
        """Start or repair the cluster."""
        done = self.hosts.run(LAPTOP, "ray up -y --no-config-cache cluster.yaml", UP_S)
        assert done.returncode == 0, done.stdout + done.stderr

    def wait_for_nodes(self, number: int) -> None:
        """Wait until so many machines are in the cluster."""

        def are_there() -> bool:
            said = self.hosts.run("h0", f"{ENVIRONMENT} python -c '{COUNT}'")
            return said.returncode == 0 and int(said.stdout.split()[-1]) >= number

        wait_until(are_there, f"{number} machines are in the cluster", UP_S)

    def submit(self, *options: str) -> subprocess.Popen[bytes]:
        """Start the search by ``ray submit``."""
        study = self.hosts.folder / "h0" / "home" / "study.yaml"
        shutil.copy(self.hosts.folder / LAPTOP / "home" / "study.yaml", study)
        words = " ".join(["study.yaml", "--out", str(self.run), *options])
        command = f"ray submit cluster.yaml search.py -- {words}"
        return self.hosts.spawn(LAPTOP, command, self.log)

    def events(self, phase: str) -> list[dict[str, Any]]:
        """Return a phase's whole events."""
        path = self.run / phase / "events.jsonl"
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        return [json.loads(line) for line in lines]

    def num_decided(self, phase: str) -> int:
        """Return how often a trial of a phase has come to a rung or to its end."""
        return sum(each["event"] in ("pause", "ending") for each in self.events(phase))

    def wait_for_coarse(self, submitted: subprocess.Popen[bytes], number: int) -> None:
        """Wait until coarse's trials have come to a rung or to their end so often."""
        wait_until(
            lambda: self.num_decided("coarse") >= number or submitted.poll() is not None,
            "coarse is under way",
        )
        assert submitted.poll() is None, self.log.read_text()

    def ended(self) -> set[str]:
        """Return the trials that have ended."""
        phases = ("coarse", "fine", "confirm")
        return {e["trial_id"] for p in phases for e in self.events(p) if e["event"] == "ending"}

    def result(self) -> dict[str, Any]:
        """Return the result."""
        found: dict[str, Any] = json.loads((self.run / "result.json").read_text())
        return found

    def down(self) -> None:
        """End everything."""
        self.hosts.down()


SOON = " ".join(
    f"RAY_health_check_{name}={value}"
    for name, value in (
        ("initial_delay_ms", 0),
        ("period_ms", 1000),
        ("timeout_ms", 2000),
        ("failure_threshold", 3),
    )
)
"""A lost machine is noticed in seconds."""
ENVIRONMENT = f"export PATH={VENV}/bin:$PATH RAY_AUTH_MODE=token;"
COUNT = (
    'import ray; ray.init(address="auto", log_to_driver=False, logging_level="ERROR"); '
    'print(sum(n["Alive"] for n in ray.nodes()))'
)


@contextmanager
def drill(
    folder: Path, num_workers: int = 2, environment: Mapping[str, object] | None = None
) -> Iterator[Drill]:
    """Start such a cluster, and end it."""
    made = Drill(folder, num_workers, environment)
    try:
        made.up()
        yield made
    finally:
        made.down()


def wait_until(condition: Callable[[], object], what: str, seconds: float = RUN_S) -> None:
    """Wait until something holds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"waited in vain until {what}"
        time.sleep(0.2)
