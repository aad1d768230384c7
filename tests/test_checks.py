"""Style, types, import rules and scripts, beside the other tests instead of before them."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "scripts" / "check"


def test_the_checks_find_nothing() -> None:
    command = [SCRIPT, Path(sys.executable).parent]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
