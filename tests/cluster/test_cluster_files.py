"""The cluster files: Ray accepts them, their commands do what they say, no door is left open."""

import os
import shlex
import shutil
import signal
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.command_runner import _with_interactive
from ray.autoscaler._private.util import prepare_config, validate_config, with_envs

ROOT = Path(__file__).parents[2]
AWS, ONPREM = ROOT / "cluster.yaml", ROOT / "scripts" / "cluster" / "onprem.yaml"
BOTH = pytest.mark.parametrize("path", [AWS, ONPREM], ids=lambda path: path.name)
Config = dict[str, Any]


def _load(path: Path) -> Config:
    return dict(yaml.safe_load(path.read_text()))


def _accept(config: Config) -> Config:
    prepared = prepare_config(config)
    validate_config(prepared)
    return dict(prepared)


@BOTH
def test_ray_accepts_the_file(path: Path) -> None:
    _accept(_load(path))


@BOTH
@pytest.mark.parametrize("place", [(), ("auth",), ("available_node_types", "worker")])
def test_an_unknown_key_is_refused(path: Path, place: tuple[str, ...]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    config = _load(path)
    inner = config
    for key in place:
        inner = inner.get(key, {})
    if not inner:
        pytest.skip("the file has no such part")
    inner["max_wokers"] = 3
    with pytest.raises(jsonschema.ValidationError, match="max_wokers"):
        _accept(config)


@BOTH
def test_no_default_of_ray_s_is_left(path: Path) -> None:
    config = _load(path)
    prepared = _accept(_load(path))
    for key, commands in prepared.items():
        if key.endswith("_commands"):
            ours = [*config["setup_commands"], *config[key]] if "_setup_" in key else config[key]
            assert commands == ours
    assert "ray-wheels" not in str(prepared)
    assert "0.0.0.0" not in str(prepared)


@BOTH
def test_what_is_mounted_exists_and_is_enough_to_install(path: Path) -> None:
    mounts = _load(path)["file_mounts"]
    token = "~/.ray/auth_token"
    assert mounts.pop(token) == token
    assert {remote: f"~/sieve/{local}" for remote, local in mounts.items()} == {
        remote: remote for remote in mounts
    }
    assert all((ROOT / local).exists() for local in mounts.values())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {"pyproject.toml", "constraints.txt", "search", "models", "scripts"}
    assert set(mounts.values()) >= needed | {project["readme"], *project["license-files"]}


@BOTH
def test_the_tested_versions_are_installed(path: Path) -> None:
    installing = [each for each in _load(path)["setup_commands"] if "install " in each]
    (ours,) = [each for each in installing if "apt-get" not in each]
    assert ours.startswith("cd ~/sieve && scripts/install .venv")
    extras = ours.removeprefix("cd ~/sieve && scripts/install .venv").strip().split(",")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(extras) <= set(project["optional-dependencies"])
    assert "--constraint constraints.txt" in (ROOT / "scripts" / "install").read_text()
    assert "ray==" in (ROOT / "constraints.txt").read_text()


def test_trials_run_on_workers_alone_that_come_and_go() -> None:
    types = _accept(_load(AWS))["available_node_types"]
    assert types["head"]["resources"] == {"CPU": 0, "GPU": 0}
    assert types["head"]["max_workers"] == 0
    assert "InstanceMarketOptions" not in types["head"]["node_config"]
    assert types["worker"]["min_workers"] == 0
    assert types["worker"]["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"
    assert _load(AWS)["provider"]["cache_stopped_nodes"] is False


class Machine:
    """A home in which a cluster file's commands run as Ray's launcher runs them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        bin_ = home / "sieve" / ".venv" / "bin"
        bin_.mkdir(parents=True)
        (home / "sieve" / "scripts").symlink_to(ROOT / "scripts")
        self._stand_in(bin_ / "ray", 'echo "$*" >> ~/ray; env > ~/environment')
        self._stand_in(bin_ / "python", "echo $$ >> ~/python; exec sleep 60")

    def _stand_in(self, path: Path, body: str) -> None:
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)

    def run(self, command: str) -> None:
        environment = {"HOME": str(self.home), "PATH": "/usr/bin:/bin", "RAY_HEAD_IP": "10.0.0.1"}
        launched = shlex.split(" ".join(_with_interactive(command)))
        subprocess.run(
            launched, env=environment, check=True, capture_output=True, cwd=self.home, timeout=60
        )

    def lines(self, name: str) -> list[str]:
        path = self.home / name
        return path.read_text().splitlines() if path.exists() else []

    def environment(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.lines("environment") if "=" in line)

    def close(self) -> None:
        for pid in self.lines("python"):
            os.kill(int(pid), signal.SIGKILL)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path / "home")
    yield machine
    machine.close()


@pytest.fixture
def set_up(machine: Machine) -> Callable[[Path], Config]:
    """Return a function that runs a file's setup commands, but those that install."""

    def run(path: Path) -> Config:
        config = _accept(_load(path))
        for command in config["setup_commands"]:
            if "install " not in command:
                machine.run(command)
        return config

    return run


@BOTH
def test_ray_asks_for_the_token_and_shows_nothing_to_others(
    path: Path, machine: Machine, set_up: Callable[[Path], Config]
) -> None:
    config = set_up(path)
    for command in [*config["head_start_ray_commands"], *config["worker_start_ray_commands"][:2]]:
        machine.run(command)
        assert machine.environment()["RAY_AUTH_MODE"] == "token"
    stop, head, stop_again, worker = machine.lines("ray")
    assert stop == stop_again == "stop"
    assert {"--head", "--dashboard-host=127.0.0.1", "--disable-usage-stats"} <= set(head.split())
    assert worker == "start --address=10.0.0.1:6379"


@BOTH
def test_trials_inherit_no_number_of_threads(
    path: Path, machine: Machine, set_up: Callable[[Path], Config]
) -> None:
    config = set_up(path)
    for command in (config["head_start_ray_commands"][1], config["worker_start_ray_commands"][1]):
        machine.run(command)
        assert "OMP_NUM_THREADS" not in machine.environment()


@pytest.mark.parametrize(("path", "version"), [(AWS, "1"), (ONPREM, "0")])
def test_one_s_own_machines_have_the_autoscaler_that_starts_them_all(
    path: Path, version: str, machine: Machine, set_up: Callable[[Path], Config]
) -> None:
    commands = set_up(path)["head_start_ray_commands"]
    for command in with_envs(commands, {"RAY_enable_autoscaler_v2": "1"}):
        machine.run(command)
    assert machine.environment()["RAY_enable_autoscaler_v2"] == version


@BOTH
def test_setting_up_again_changes_nothing(
    path: Path, machine: Machine, set_up: Callable[[Path], Config]
) -> None:
    set_up(path)
    set_up(path)
    assert len(machine.lines(".bashrc")) == 1
    machine.run("ray status")
    assert machine.environment()["PATH"].count("sieve/.venv") == 1


def test_a_worker_has_one_hook_for_spot_notices(
    machine: Machine, set_up: Callable[[Path], Config]
) -> None:
    if shutil.which("flock") is None:
        pytest.skip("util-linux's flock isn't installed")
    *_, hook = set_up(AWS)["worker_start_ray_commands"]
    for _ in range(3):
        machine.run(f"{hook}; for i in 1 2 3 4 5; do [ -e ~/python ] || sleep 0.2; done; sleep 0.2")
    assert len(machine.lines("python")) == 1
    assert "scripts/cluster/spot_drain.py" in hook
