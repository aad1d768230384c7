"""Write the page of what the guide's rules come to: ``python -m benchmarks.guide``."""

from __future__ import annotations

from pathlib import Path

from benchmarks.figures import Figures
from benchmarks.table import machine

MEASURED = Path(__file__).parents[1] / "measured" / "guide"
"""Where the scripts of this folder leave their figures: ``--out`` of each."""
_INTRODUCTION = """# The tuning guide, measured

Written by `python -m benchmarks.guide` from what the scripts of this folder have measured with
`--out benchmarks/measured/guide`; nothing here is typed in by hand.
"""


def main() -> None:
    """Write README.md."""
    sections = [Figures.read(path).markdown() for path in sorted(MEASURED.glob("*.json"))]
    page = "\n".join([_INTRODUCTION, machine(), *sections])
    Path(__file__).with_name("README.md").write_text(page)


if __name__ == "__main__":
    main()
