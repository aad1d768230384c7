"""The entry for ``ray submit`` works as a file alone, where the package's name is taken."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a folder with nothing in it but the script."""
    shutil.copy(ROOT / "scripts" / "search.py", tmp_path)
    return tmp_path


def python(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)


def test_wrong_use_is_answered_before_anything_heavy_is_imported(home: Path) -> None:
    done = python(home, "-X", "importtime", "search.py", "study.yaml", "--out", "run")
    assert done.returncode == 2
    assert "no study file 'study.yaml' on this machine" in done.stderr
    assert not {"ray", "torch", "numpy"} & {
        line.split("|")[-1].strip() for line in done.stderr.splitlines()
    }


def test_options_may_come_before_the_study(home: Path) -> None:
    (home / "study.yaml").write_text("metrik: accuracy\n")
    options = ("--set", "coarse.num_trials=3", "--out", "run", "study.yaml")
    done = python(home, "search.py", *options)
    assert done.returncode == 2
    assert done.stderr.startswith("sieve: no study key 'metrik'")


def test_a_worker_that_finds_the_script_gets_the_package(home: Path) -> None:
    done = python(home, "-c", "import search.errors; print(search.__path__[0])")
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == ROOT / "search"


def test_it_says_what_the_command_says(home: Path) -> None:
    (home / "study.yaml").write_text("metrik: accuracy\n")
    done = python(home, "search.py", "study.yaml", "--out", "run")
    assert done.returncode == 2
    assert done.stderr.startswith("sieve: no study key 'metrik'")
    assert "metric" in done.stderr
