#!/usr/bin/env python
"""Run a study, or go on with it, on the Ray cluster that this machine belongs to.

    ray submit cluster.yaml scripts/search.py -- STUDY.yaml --out FOLDER [options of 'sieve run']

``ray submit`` copies this file alone into the head's home folder and runs it there; the package has
to be installed on every node. Where FOLDER holds the same study's run already, that run goes on.
"""

import argparse
import importlib
import os
import sys

_HERE = os.path.dirname(os.path.realpath(__file__))


def _forget_this_folder() -> None:
    """Let ``import search`` find the package and not this file."""
    sys.path[:] = [each for each in sys.path if os.path.realpath(each or ".") != _HERE]


if __name__ == "search":
    # Ray tells its workers the driver's folder, and one of them has found this file there when it
    # looked for the package. The package takes this module's place.
    _forget_this_folder()
    del sys.modules["search"]
    importlib.import_module("search")


def parse(arguments: list[str]) -> list[str]:
    """Return the arguments of ``sieve``; wrong use ends here, before anything heavy is imported."""
    parser = argparse.ArgumentParser(
        prog="search.py",
        usage="search.py [STUDY.yaml] --out FOLDER [--address ADDRESS] [options of 'sieve run']",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--out", required=True, help="run directory that all nodes see")
    parser.add_argument("--address", default="auto", help="of the cluster; default: this machine's")
    known, others = parser.parse_known_args(arguments)
    if others and not others[0].startswith("-") and not os.path.isfile(others[0]):
        parser.error(f"no study file '{others[0]}' on this machine; copy it to the head first")
    return ["run", "--out", known.out, "--address", known.address, *others]


def main() -> None:
    """Join the cluster and search; the exit code is that of ``sieve run``."""
    sys.argv = ["sieve", *parse(sys.argv[1:])]
    _forget_this_folder()
    importlib.import_module("search.cli").main()


if __name__ == "__main__":
    main()
