import os
from collections.abc import Iterator
from pathlib import Path

# Several test processes share few cores, on which threads only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when NumPy and PyTorch are imported

# Workers that nothing needs yet take a Ray's start a second each.
os.environ.setdefault("RAY_prestart_worker_first_driver", "0")

import pytest
from commands import Command
from hypothesis import settings

# Shared machines stall: a slow example is no failure.
settings.register_profile("default", deadline=None)
settings.load_profile("default")

LONGEST = ("test_resume.py", "test_readme.py", "test_checks.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no process has it left when the others are done."""
    with_ray = {item.path for item in items if item.get_closest_marker("ray")}
    items.sort(key=lambda item: (item.path.name not in LONGEST, item.path not in with_ray))


@pytest.fixture(scope="session")
def driven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run that was driven without Ray; tests must not change it."""
    from driven_run import DrivenRun  # it loads much that most tests don't need

    return DrivenRun(tmp_path_factory.mktemp("driven") / "run").go().path


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """A local Ray for all runs in this process; each would take seconds to start its own."""
    from search.execution.cluster import connected

    with connected(None, data_bytes=2**20):
        yield


@pytest.fixture
def sieve(tmp_path: Path) -> Iterator[Command]:
    """The command in a folder of its own; what is still alive in the end is ended."""
    command = Command(tmp_path)
    yield command
    command.close()
