"""Whether the nodes of a cluster can carry a run: what each says of itself, judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from search.findings import Finding, warn

MIN_FREE_BYTES = 5 * 2**30
"""For states, weights and Ray's own logs."""
MAX_CLOCK_SECONDS = 2.0
"""Events are ordered by the driver; what a trial says of its times should still be comparable."""
MIN_STORE_BYTES = 512 * 2**20
_BRING_MODEL = "copy the driver's to the same place there, or keep it where all nodes see it"


@dataclass(frozen=True)
class Question:
    """What nodes are asked beside what they are.

    Attributes:
        storage: Folder or URI that the run is to be kept in; None: it isn't looked at.
        model: Import path or file of the study's model module; None: it isn't looked at.
        search_path: Folders to import it from.
        about_gpus: Whether PyTorch sees the GPUs that Ray counts.
    """

    storage: str | None = None
    model: str | None = None
    search_path: tuple[str, ...] = ()
    about_gpus: bool = True


@dataclass(frozen=True)
class Node:
    """What a node says of itself.

    Attributes:
        name: Its address.
        is_driver: The driver runs on it.
        num_cpus: That Ray may use.
        num_gpus: Likewise.
        versions: Package to version, Python among them.
        code: Digest of the installed code.
        model: Digest of the user's model module; empty where nobody asked, or it isn't there.
        model_problem: Why that can't be read; None: it can.
        sees_gpus: PyTorch sees a GPU where Ray counts some, or nobody asked.
        storage: Why the run's folder can't be used from it; None: it can.
        auth_mode: Ray's: ``token`` or another; empty where it isn't set.
        token_is_private: Only its owner may read the token file.
        clock_seconds: By how much its clock is ahead of the driver's.
        free_bytes: On the disk where Ray keeps its session.
        store_bytes: Of its part of the object store.
        silent: Why it says nothing of itself; empty: it does.
    """

    name: str
    is_driver: bool
    num_cpus: float
    num_gpus: float
    versions: dict[str, str] = field(default_factory=dict)
    code: str = ""
    model: str = ""
    model_problem: str | None = None
    sees_gpus: bool = True
    storage: str | None = None
    auth_mode: str = ""
    token_is_private: bool = True
    clock_seconds: float = 0.0
    free_bytes: int = MIN_FREE_BYTES
    store_bytes: int = MIN_STORE_BYTES
    silent: str = ""


def check_nodes(nodes: Sequence[Node], *, with_storage: bool = True) -> list[Finding]:
    """Return at least one finding for each check.

    Args:
        nodes: All, the driver's among them.
        with_storage: They were asked for a folder.
    """
    answered = [node for node in nodes if not node.silent]
    findings = [_silent(node) for node in nodes if node.silent]
    for name, (check, all_is_well) in CHECKS.items():
        if name == "storage" and not with_storage:
            findings.append(warn("storage", "not looked at", "give --storage FOLDER"))
            continue
        findings += check(answered) or [Finding(name, "PASS", all_is_well)]
    return findings


def check_newcomers(nodes: Sequence[Node]) -> list[Finding] | None:
    """Return what :func:`check_nodes` says of nodes that have joined a running cluster.

    Args:
        nodes: They and the driver's, which was judged before: only what they are compared with
            counts of it.

    Returns:
        Nothing where they have gone again. None: now they can't be judged, for the driver itself
        doesn't answer or has lost the storage.
    """
    driver = next((node for node in nodes if node.is_driver), None)
    if driver is None or driver.silent or driver.storage is not None:
        return None
    others = [node for node in nodes if not node.is_driver]
    sound = Node(
        driver.name,
        True,
        num_cpus=0.0,
        num_gpus=0.0,
        versions=driver.versions,
        code=driver.code,
        model=driver.model,
        auth_mode="token",
    )
    return check_nodes([sound, *others]) if others else []


def _silent(node: Node) -> Finding:
    remedy = "install sieve there as it is on the others, or take the node out"
    return warn("nodes", f"{node.name} can't answer: {node.silent}", remedy, fails=True)


def _check_nodes(nodes: Sequence[Node]) -> list[Finding]:
    cpus, gpus = sum(n.num_cpus for n in nodes), sum(n.num_gpus for n in nodes)
    words = f"{len(nodes)} answered, with {cpus:g} CPUs and {gpus:g} GPUs"
    if cpus < 1:
        return [warn("nodes", f"{words}: no trial fits", "add a worker with CPUs", fails=True)]
    return [Finding("nodes", "PASS", words, value=float(len(nodes)))]


def _check_gpus(nodes: Sequence[Node]) -> list[Finding]:
    remedy = "install PyTorch for them there, and their driver, or give resources.gpus_per_trial=0"
    blind = [
        warn("gpus", f"{node.name}: {_sees_none(node)}", remedy, fails=True)
        for node in nodes
        if not node.sees_gpus
    ]
    return blind + _check_alike(nodes)


def _sees_none(node: Node) -> str:
    torch = f"PyTorch {node.versions.get('torch', '')}".strip()
    return f"Ray counts {node.num_gpus:g} GPUs, {torch} sees none: trials would train on the CPU"


def _check_alike(nodes: Sequence[Node]) -> list[Finding]:
    counts = Counter(n.num_gpus for n in nodes if n.num_cpus >= 1)
    if len(counts) < 2 or 0 not in counts:
        return []
    without = [n.name for n in nodes if n.num_cpus >= 1 and n.num_gpus == 0]
    message = f"{_names(without)} no GPU, others have some"
    return [warn("gpus", message, "trials that need a GPU leave these nodes idle")]


def _check_versions(nodes: Sequence[Node]) -> list[Finding]:
    found = []
    for package in sorted({name for node in nodes for name in node.versions}):
        by_version: dict[str, list[str]] = {}
        for node in nodes:
            by_version.setdefault(_public(node.versions.get(package)), []).append(node.name)
        if len(by_version) > 1:
            words = "; ".join(f"{v} on {', '.join(where)}" for v, where in by_version.items())
            remedy = "install the same versions everywhere, with constraints.txt"
            found.append(warn("versions", f"{package}: {words}", remedy, fails=True))
    return found


def _public(version: str | None) -> str:
    """Cut off what tells builds apart: a head without a GPU has torch's for the CPU, ``+cpu``."""
    return "none" if version is None else version.partition("+")[0]


def _check_code(nodes: Sequence[Node]) -> list[Finding]:
    driver = next((node for node in nodes if node.is_driver), None)
    other = [node.name for node in nodes if driver is not None and node.code != driver.code]
    if not other:
        return []
    message = f"{_names(other)} other code than the driver"
    return [warn("code", message, "install sieve again on every node", fails=True)]


def _check_model(nodes: Sequence[Node]) -> list[Finding]:
    found = [
        warn("model", f"{node.name}: {node.model_problem}", _BRING_MODEL, fails=True)
        for node in nodes
        if node.model_problem is not None
    ]
    driver = next((node for node in nodes if node.is_driver), None)
    there = [node for node in nodes if node.model_problem is None]
    other = [node.name for node in there if driver is not None and node.model != driver.model]
    if other and driver in there:
        message = f"{_names(other)} another model module than the driver"
        found.append(warn("model", message, _BRING_MODEL, fails=True))
    if not any(node.model for node in nodes) and not found:
        return [Finding("model", "PASS", "none beside sieve's own was asked for")]
    return found


def _check_storage(nodes: Sequence[Node]) -> list[Finding]:
    return [
        warn(
            "storage", f"{node.name}: {node.storage}", "use a folder that all nodes see", fails=True
        )
        for node in nodes
        if node.storage is not None
    ]


def _check_token(nodes: Sequence[Node]) -> list[Finding]:
    found = []
    open_nodes = [node.name for node in nodes if node.auth_mode != "token"]
    if open_nodes and len(nodes) > 1:
        message = f"{_names(open_nodes)} no token: whoever reaches its ports can run code on it"
        remedy = "make one with 'ray get-auth-token --generate', set RAY_AUTH_MODE=token everywhere"
        found.append(warn("token", message, remedy))
    readable = [node.name for node in nodes if not node.token_is_private]
    if readable:
        message = f"{_names(readable)} a token file that others can read"
        found.append(warn("token", message, "chmod 600 it"))
    if open_nodes and not found:
        return [Finding("token", "PASS", "asked for by nobody; there is one node alone")]
    return found


def _check_clock(nodes: Sequence[Node]) -> list[Finding]:
    return [
        warn(
            "clock",
            f"{node.name} is {node.clock_seconds:+.1f} s from the driver",
            "synchronise the clocks (NTP)",
            value=node.clock_seconds,
        )
        for node in nodes
        if abs(node.clock_seconds) > MAX_CLOCK_SECONDS
    ]


def _check_disk(nodes: Sequence[Node]) -> list[Finding]:
    return [
        warn(
            "disk",
            f"{node.name} has {node.free_bytes / 2**30:.1f} GiB free",
            f"free at least {MIN_FREE_BYTES / 2**30:.0f} GiB where Ray keeps its session",
            value=float(node.free_bytes),
        )
        for node in nodes
        if node.free_bytes < MIN_FREE_BYTES
    ]


def _check_store(nodes: Sequence[Node]) -> list[Finding]:
    return [
        warn(
            "object_store",
            f"{node.name} has {node.store_bytes / 2**20:.0f} MiB",
            "start Ray with a larger --object-store-memory: the data lie in it on every node",
            value=float(node.store_bytes),
        )
        for node in nodes
        if node.num_cpus >= 1 and node.store_bytes < MIN_STORE_BYTES
    ]


def _names(names: Sequence[str]) -> str:
    return f"{', '.join(names)} {'has' if len(names) == 1 else 'have'}"


CHECKS: dict[str, tuple[Callable[[Sequence[Node]], list[Finding]], str]] = {
    "nodes": (_check_nodes, ""),
    "gpus": (_check_gpus, "the nodes that run trials are alike"),
    "versions": (_check_versions, "the same on all nodes"),
    "code": (_check_code, "the same on all nodes"),
    "model": (_check_model, "the same on all nodes"),
    "storage": (_check_storage, "all nodes see the run's folder and can write there"),
    "token": (_check_token, "asked for by every node"),
    "clock": (_check_clock, f"within {MAX_CLOCK_SECONDS:g} s of the driver's"),
    "disk": (_check_disk, f"at least {MIN_FREE_BYTES / 2**30:.0f} GiB free everywhere"),
    "object_store": (_check_store, "large enough everywhere"),
}
"""Every check, and what it says where all is well."""
