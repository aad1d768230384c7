"""Ray, started for one run or joined; what one trial gets of it."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from search.errors import StudyError

_ENVIRONMENT = {
    # Ours: the terminal shows the run, signals save it, events are its state.
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # Our event log restores a run; Ray's snapshots would only cost time.
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",
    # The driver takes lost trials up again, those of drained machines, too.
    "RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
_LOCAL_ENVIRONMENT = {
    # A cluster on loopback that lives as long as the run needs no token file in the home folder.
    "RAY_AUTH_MODE": "disabled",
}
_STORE_BYTES = 256 * 2**20
CONNECT_SECONDS = 10.0
"""For the head to answer at all."""


@dataclass(frozen=True)
class TrialResources:
    """What one trial gets, and how many run at a time.

    Attributes:
        num_cpus: CPUs, and torch threads.
        num_gpus: GPUs or a fraction of one.
        slots: Trials at a time.
    """

    num_cpus: int
    num_gpus: float
    slots: int


@contextlib.contextmanager
def connected(address: str | None, *, data_bytes: int) -> Iterator[None]:
    """Start a local Ray for this run alone, or join the cluster at ``address``.

    Args:
        address: None: a local one, whatever else runs on the host, or that which this process has
            joined already and goes on with; ``auto`` or ``host:port``.
        data_bytes: Size of the data set, for the object store of a local one.

    Raises:
        StudyError: There is no cluster at ``address``, or it doesn't let this machine in.
    """
    os.environ.update({k: v for k, v in _ENVIRONMENT.items() if k not in os.environ})
    if address is None:
        os.environ.update({k: v for k, v in _LOCAL_ENVIRONMENT.items() if k not in os.environ})
    import ray

    was_there = ray.is_initialized()
    if address is None and was_there:
        yield
        return
    try:
        _start(address, data_bytes)
        yield
    finally:
        if not was_there:
            ray.shutdown()


def _start(address: str | None, data_bytes: int) -> None:
    import ray

    quiet = {"log_to_driver": False, "logging_level": "ERROR", "include_dashboard": False}
    if address is None:
        store = _STORE_BYTES + 2 * data_bytes
        ray.init(address="local", num_cpus=_allowed(), object_store_memory=store, **quiet)
        return
    _check_answers(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ray.exceptions.RayError) as error:
        why = _why_refused(address, error)
        if why is None and isinstance(error, ConnectionError):
            why = (
                f"no Ray cluster at --address {address}; start one, or leave it out for a local run"
            )
        if why is None:
            raise
        raise StudyError(why) from error


def _allowed() -> int | None:
    """Return how many cores this process may use; None: Ray sees how many there are."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    allowed = len(affinity(0)) if affinity is not None else os.cpu_count()
    return allowed if allowed != os.cpu_count() else None


def _why_refused(address: str, error: BaseException) -> str | None:
    """Return what keeps this machine out of a cluster, by what Ray says; None: something else."""
    said = str(error)
    if said.startswith("Version mismatch"):
        versions = re.findall(r"(?:Ray|Python): (\S+)", said)
        there, here = (" and Python ".join(pair) for pair in (versions[:2], versions[2:4]))
        return (
            f"the cluster at --address {address} has Ray {there}, this machine Ray {here}; "
            "install the same versions on both, with constraints.txt"
        )
    if "token" in said.lower():
        return (
            f"the cluster at --address {address} refuses this machine's token "
            f"({said.splitlines()[0].partition('. ')[0]}); copy the head's token file to this "
            "machine and set RAY_AUTH_MODE=token"
        )
    before = error.__cause__ or error.__context__
    return None if before is None else _why_refused(address, before)


def _check_answers(address: str) -> None:
    """Refuse an address where nobody listens; Ray itself would try for minutes."""
    given = address
    if address == "auto":
        address = _meant_by_auto()
    if address == "auto" or "://" in address:  # where none is known Ray says so at once
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise StudyError(
            f"--address {address} has no port; give auto, or host:port (6379 is usual)"
        )
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        named = given if given == address else f"{given}, which is {address} here"
        raise StudyError(
            f"nobody answers at --address {named} ({error}, tried for at most "
            f"{CONNECT_SECONDS:g} s); is the head up, and its port open to this machine?"
        ) from error
    _check_lets_in(address)


def _meant_by_auto() -> str:
    """Return the address that RAY_ADDRESS or an earlier cluster on this machine has left."""
    from ray._private.services import get_ray_address_from_environment

    with contextlib.suppress(ConnectionError):
        return str(get_ray_address_from_environment("auto", None))
    return "auto"


def _check_lets_in(address: str) -> None:
    """Refuse a cluster that refuses us; Ray would ask it again and again, for twenty seconds."""
    import ray

    try:
        ray._raylet.GcsClient(address=address)
    except ray.exceptions.RayError as error:
        why = _why_refused(address, error)
        if why is not None:
            raise StudyError(why) from error
