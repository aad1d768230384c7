"""Every command and every code block of the README, as a reader would type them."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from commands import Command
from sklearn.datasets import load_iris

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / "README.md").read_text(), re.S | re.M)
COMMANDS = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
FEW = {
    "coarse.num_trials": 6,
    "fine.num_trials": 4,
    "budget.full_epochs": 10,
    "confirm.num_finalists": 1,
    "checks.preflight": "false",  # a command of its own is among them
}
SHORT = {
    "--time-budget 20m": " ".join(f"--set {key}={value}" for key, value in FEW.items()),
    "time_budget: 20m": (
        "coarse: {num_trials: 6}\nfine: {num_trials: 4}\nbudget: {full_epochs: 10}\n"
        "confirm: {num_finalists: 1}\nchecks: {preflight: false}"
    ),
}
"""What a test changes: a few trials in the place of twenty minutes."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reader's folder: the README's files, and a table of flowers."""
    folder = tmp_path_factory.mktemp("reader")
    for kind, text in BLOCKS:
        if kind != "sh":
            comment, _, content = text.partition("\n")
            name = comment.removeprefix("# ")
            for long, short in SHORT.items():
                content = content.replace(long, short)
            (folder / name).write_text(content)
    iris = load_iris(as_frame=True)
    frame = iris.data.assign(species=iris.target_names[iris.target])
    frame["plot"] = [number % 7 for number in range(len(frame))]
    frame.to_csv(folder / "flowers.csv", index=False)
    return folder


def run(command: str, sieve: Command) -> str:
    for long, short in SHORT.items():
        command = command.replace(long, short)
    _, *arguments = shlex.split(command)
    done = sieve.ask(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_readme_s_blocks_are_all_known() -> None:
    assert {kind for kind, _ in BLOCKS} == {"sh", "yaml", "python"}
    assert {shlex.split(command)[0] for command in COMMANDS} == {"make", "sieve"}


@pytest.mark.parametrize("target", [c.split()[1] for c in COMMANDS if c.startswith("make")])
def test_the_make_targets_do_what_they_are_said_to_do(target: str) -> None:
    command = ["make", "--dry-run", "--always-make", "--directory", ROOT, target]
    outside = {k: v for k, v in os.environ.items() if k not in {"MAKEFLAGS", "MAKELEVEL", "VENV"}}
    shown = subprocess.run(command, capture_output=True, text=True, check=True, env=outside).stdout
    assert "scripts/install .venv" in shown
    assert {"run": "bin/sieve run", "test": "-m pytest"}[target] in shown


@pytest.mark.ray
@pytest.mark.usefixtures("local_ray")
def test_the_commands_work_one_after_the_other(folder: Path) -> None:
    sieve, shown = Command(folder), {}
    for command in [command for command in COMMANDS if command.startswith("sieve")]:
        before = sorted(folder.rglob("*"))
        shown[command] = run(command, sieve)
        if command.startswith("sieve plan"):
            assert all(phase in shown[command] for phase in ("coarse", "fine", "confirm"))
            assert sorted(folder.rglob("*")) == before, "a plan leaves nothing"
    assert any("winner" in text for text in shown.values())
    assert (folder / "runs" / "flowers" / "report.html").exists()
    (checked,) = [text for command, text in shown.items() if "check-model" in command]
    assert "FAIL" not in checked


def test_the_example_of_a_model_of_one_s_own_is_short() -> None:
    (example,) = [text for kind, text in BLOCKS if kind == "python"]
    code = [line for line in example.splitlines() if line.strip() and not line.startswith("#")]
    assert len(code) <= 20
