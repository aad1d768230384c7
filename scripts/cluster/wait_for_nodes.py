"""Wait until a Ray cluster has so many machines:  wait_for_nodes.py ADDRESS COUNT [SECONDS]."""

from __future__ import annotations

import sys
import time

TIMEOUT_S = 300.0
POLL_S = 1.0


def wait_for_nodes(address: str, count: int, timeout_s: float) -> int:
    """Join the cluster at ``address`` and return its machines when they are ``count``, or at last.

    The head may not have started yet.
    """
    import ray

    deadline = time.monotonic() + timeout_s
    alive = 0
    while alive < count and time.monotonic() < deadline:
        try:
            if not ray.is_initialized():
                ray.init(address=address, log_to_driver=False, logging_level="ERROR")
            alive = sum(node["Alive"] for node in ray.nodes())
        except ConnectionError:
            alive = 0
        time.sleep(0 if alive >= count else POLL_S)
    ray.shutdown()
    return alive


def main() -> None:
    """Read the arguments and wait; the exit code is 1 where machines are missing."""
    if len(sys.argv) not in (3, 4):
        raise SystemExit(__doc__)
    address, count = sys.argv[1], int(sys.argv[2])
    timeout_s = float(sys.argv[3]) if len(sys.argv) == 4 else TIMEOUT_S
    alive = wait_for_nodes(address, count, timeout_s)
    if alive < count:
        raise SystemExit(f"wait_for_nodes: {alive} of {count} machines after {timeout_s:g} s")


if __name__ == "__main__":
    main()
