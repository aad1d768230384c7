"""The audit as a command, and as the first stage of a run."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from commands import Command
from leaky import leaky_table

from search.data.audit import CHECKS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table whose column ``outcome`` is the label itself."""
    folder = tmp_path_factory.mktemp("audit")
    pq.write_table(leaky_table(), folder / "leaky.parquet")
    return folder


@pytest.fixture
def command(folder: Path):
    command = Command(folder)
    yield command
    command.close()


def test_a_leak_fails_unless_it_is_accepted(command: Command) -> None:
    done = command.ask("audit", "--data", "leaky.parquet")
    assert done.returncode == 1
    assert "FAIL  leaking_column: 'outcome' alone predicts the label" in done.stdout
    assert done.stdout.splitlines()[-1].endswith("1 FAIL")
    accepted = command.ask("audit", "--data", "leaky.parquet", "--accept", "leaking_column")
    assert accepted.returncode == 0
    assert accepted.stdout == done.stdout


def test_json_is_a_list_of_findings_and_a_clean_copy_passes(command: Command) -> None:
    done = command.ask(
        "audit", "--data", "leaky.parquet", "--json", "--write-clean", "clean.parquet"
    )
    findings = json.loads(done.stdout)
    assert set(CHECKS) == {each["check"] for each in findings}
    assert pq.read_table(command.folder / "clean.parquet").column_names == ["x", "label"]
    assert command.ask("audit", "--data", "clean.parquet").returncode == 0


def test_a_run_on_leaky_data_ends_before_anything_is_trained(command: Command) -> None:
    data = ["--data", "leaky.parquet", "--out", "run"]
    done = command.ask("run", *data)
    assert done.returncode == 1
    assert "leaking_column" in done.stderr
    assert "--accept leaking_column" in done.stderr
    assert {each.name for each in (command.folder / "run").iterdir()} == {"audit.json"}
