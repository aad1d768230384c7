"""Asks every node of a cluster what it is, and whether it sees the run's folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from pyarrow import fs
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import models
import search
from search.errors import StudyError, one_line
from search.files import locate
from search.insight.nodes import Node
from search.insight.result import versions

_ANSWER_SECONDS = 60.0


def ask_nodes(storage: str | None) -> list[Node]:
    """Return what the nodes of the connected cluster say, the driver's first.

    Args:
        storage: Folder or URI that the run is to be kept in; None: it isn't looked at.

    Raises:
        StudyError: There is no such kind of storage.
    """
    here = ray.get_runtime_context().get_node_id()
    alive = [each for each in ray.nodes() if each["Alive"]]
    with _marker(storage) as marker:
        asked = {each["NodeID"]: _ask(each["NodeID"], _look, storage, marker) for each in alive}
        nodes = [_answer(each, asked[each["NodeID"]], here) for each in alive]
    return sorted(nodes, key=lambda node: not node.is_driver)


def _ask(node_id: str, question: Callable[..., object], *arguments: object) -> Any:
    strategy = NodeAffinitySchedulingStrategy(node_id, soft=False)
    task: Any = ray.remote(num_cpus=0, max_retries=1, scheduling_strategy=strategy)(question)
    return task.remote(*arguments)


def _answer(node: dict[str, Any], asked: Any, here: str) -> Node:
    has = node["Resources"]
    said: Node
    try:
        said = ray.get(asked, timeout=_ANSWER_SECONDS)
        clock_seconds = _clock_seconds(node["NodeID"])
    except ray.exceptions.RayError as error:
        cause = error.cause if isinstance(error, ray.exceptions.RayTaskError) else error
        said, clock_seconds = Node("", False, 0, 0, silent=one_line(cause)), 0.0
    return replace(
        said,
        name=node["NodeManagerAddress"],
        is_driver=node["NodeID"] == here,
        num_cpus=has.get("CPU", 0.0),
        num_gpus=has.get("GPU", 0.0),
        store_bytes=int(has.get("object_store_memory", 0)),
        clock_seconds=clock_seconds,
    )


def _clock_seconds(node_id: str) -> float:
    """Return by how much the node's clock is ahead at least: the answer's way takes time too.

    Asked of a node that has answered before, whose process is up: the way is short.
    """
    asked = time.time()
    there = float(ray.get(_ask(node_id, _time), timeout=_ANSWER_SECONDS))
    return there - min(max(there, asked), time.time())


def _time() -> float:
    return time.time()


def _look(storage: str | None, marker: str) -> Node:
    token = Path(os.environ.get("RAY_AUTH_TOKEN_PATH", Path.home() / ".ray" / "auth_token"))
    return Node(
        name="",
        is_driver=False,
        num_cpus=0,
        num_gpus=0,
        versions=versions(),
        code=_code_digest(),
        storage=None if storage is None else _storage_problem(storage, marker),
        auth_mode=os.environ.get("RAY_AUTH_MODE", ""),
        token_is_private=not token.is_file() or not stat.S_IMODE(token.stat().st_mode) & 0o077,
        free_bytes=shutil.disk_usage(os.environ.get("RAY_TMPDIR", "/tmp")).free,
    )


def _code_digest() -> str:
    digest = hashlib.sha256()
    for package in (search, models):
        root = Path(str(package.__file__)).parent
        for path in sorted(root.rglob("*.py")):
            digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


@contextmanager
def _marker(storage: str | None) -> Iterator[str]:
    """Leave a file in the folder for the nodes to find, and take it away again."""
    name = f".sieve-check-{uuid.uuid4().hex}"
    if storage is None:
        yield name
        return
    try:
        filesystem, path = locate(storage)
        filesystem.create_dir(path, recursive=True)
        with filesystem.open_output_stream(f"{path}/{name}") as stream:
            stream.write(b"sieve")
    except ValueError as error:
        why = f"--storage {storage}: {one_line(error)}; give a folder or s3://"
        raise StudyError(why) from error
    except OSError:
        yield name  # the driver's own look says why
        return
    try:
        yield name
    finally:
        filesystem.delete_file(f"{path}/{name}")


def _storage_problem(storage: str, marker: str) -> str | None:
    """Return why a node can't use the folder; None: it can."""
    try:
        filesystem, path = locate(storage)
        if filesystem.get_file_info(f"{path}/{marker}").type != fs.FileType.File:
            return f"{storage} isn't the folder that the driver sees"
        own = f"{path}/{marker}-{uuid.uuid4().hex}"
        with filesystem.open_output_stream(own) as stream:
            stream.write(b"sieve")
        filesystem.delete_file(own)
    except OSError as error:
        return f"{storage} can't be written: {error}"
    return None
