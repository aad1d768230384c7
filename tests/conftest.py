from pathlib import Path

import pytest
from hypothesis import settings

# Shared machines stall: a slow example is no failure.
settings.register_profile("default", deadline=None)
settings.load_profile("default")


@pytest.fixture(scope="session")
def driven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run that was driven without Ray; tests must not change it."""
    from driven_run import DrivenRun  # it loads much that most tests don't need

    return DrivenRun(tmp_path_factory.mktemp("driven") / "run").go().path
