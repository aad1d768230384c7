"""Makes a page of what the guide's benchmarks measured: ``python -m benchmarks.guide.page``."""

from __future__ import annotations

from pathlib import Path

from benchmarks.figures import Figures
from benchmarks.table import machine

MEASURED = Path(__file__).parents[1] / "measured" / "guide"
README = Path(__file__).with_name("README.md")
_INTRODUCTION = """# How well the tuning guide is obeyed

What is planted must be found, and nothing where nothing is. Written by
`python -m benchmarks.guide.page` from what the scripts beside it have measured with
`--out benchmarks/measured/guide` (`SIEVE_DATA` names the folder of the data); nothing here is typed
in by hand.
"""


def write_page(
    measured: Path = MEASURED, target: Path = README, introduction: str = _INTRODUCTION
) -> None:
    """Write the page of all figures in a folder, in the order of their files' names."""
    sections = [Figures.read(path).markdown() for path in sorted(measured.glob("*.json"))]
    target.write_text("\n".join([introduction, machine(), *sections]))


if __name__ == "__main__":
    write_page()
