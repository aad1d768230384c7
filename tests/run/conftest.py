from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Command


@pytest.fixture
def sieve(tmp_path: Path) -> Iterator[Command]:
    command = Command(tmp_path)
    yield command
    command.close()
