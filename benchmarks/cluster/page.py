"""Makes a page of what the cluster's benchmarks measured: ``python -m benchmarks.cluster.page``."""

from __future__ import annotations

from pathlib import Path

from benchmarks.guide.page import write_page

MEASURED = Path(__file__).parents[1] / "measured" / "cluster"
README = Path(__file__).with_name("README.md")
_INTRODUCTION = """# What a cluster costs, and what it brings

Written by `python -m benchmarks.cluster.page` from what the scripts beside it have measured with
`--out benchmarks/measured/cluster/NAME.json`; nothing here is typed in by hand.
"""

if __name__ == "__main__":
    write_page(MEASURED, README, _INTRODUCTION)
