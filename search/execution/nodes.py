"""Asks the nodes of a cluster what they are, and whether they see the run's folder and model."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search.errors import StudyError, one_line
from search.execution.node_look import look_at_this_node
from search.files import locate
from search.insight.nodes import Node, Question

_ANSWER_SECONDS = 120.0
"""For all; a machine that has just started takes long to import what it is asked by."""
_SOON_SECONDS = 5.0
"""For an answer that is there."""
_CLOCK_SECONDS = 60.0
"""For the time: a busy machine may start a process to tell it."""


class Inquiry:
    """Asks nodes of the connected cluster what they are.

    Args:
        question: What they are asked beside that.
        only: Ids of those that are asked beside the driver's; None: all.

    Raises:
        StudyError: There is no such kind of storage.
    """

    def __init__(self, question: Question, only: Collection[str] | None = None) -> None:
        self._here = ray.get_runtime_context().get_node_id()
        nodes = _alive()
        if only is not None:
            nodes = {name: nodes[name] for name in nodes if name in only or name == self._here}
        self._nodes = nodes
        with ExitStack() as stack:
            marker = stack.enter_context(_marker(question.storage))
            self._asked = {
                name: _ask(name, look_at_this_node, _to(node, question), marker)
                for name, node in nodes.items()
            }
            self._stack = stack.pop_all()
        self._until = time.monotonic() + _ANSWER_SECONDS

    @property
    def node_ids(self) -> Collection[str]:
        """Of the nodes that are asked."""
        return self._nodes.keys()

    def wait(self) -> list[Node]:
        """Wait for what they say and return it, the driver's first."""
        asked = list(self._asked.values())
        with self._stack:
            ray.wait(asked, num_returns=len(asked), timeout=_ANSWER_SECONDS)
            return self._gather()

    def answers(self) -> list[Node] | None:
        """Return what they say, the driver's first; None: not all have, and there is time left."""
        asked = list(self._asked.values())
        ready, _ = ray.wait(asked, num_returns=len(asked), timeout=0)
        if len(ready) < len(asked) and time.monotonic() < self._until:
            return None
        with self._stack:
            return self._gather()

    def close(self) -> None:
        """Take the file away that they look for in the storage."""
        self._stack.close()

    def _gather(self) -> list[Node]:
        said = {
            name: _answer(node, self._asked[name], self._here) for name, node in self._nodes.items()
        }
        still_there = _alive()
        nodes = [node for name, node in said.items() if not node.silent or name in still_there]
        return sorted(nodes, key=lambda node: not node.is_driver)


def ask_nodes(storage: str | None) -> list[Node]:
    """Return what all nodes of the connected cluster say, the driver's first.

    Args:
        storage: Folder or URI that the run is to be kept in; None: it isn't looked at.

    Raises:
        StudyError: There is no such kind of storage.
    """
    return Inquiry(Question(storage)).wait()


def _alive() -> dict[str, dict[str, Any]]:
    return {each["NodeID"]: each for each in ray.nodes() if each["Alive"]}


def _to(node: dict[str, Any], question: Question) -> Question:
    """Ask about GPUs only where Ray counts some, and trials may run."""
    has = node["Resources"]
    about_gpus = question.about_gpus and has.get("GPU", 0.0) > 0 and has.get("CPU", 0.0) >= 1
    return replace(question, about_gpus=about_gpus)


def _ask(node_id: str, question: Callable[..., object], *arguments: object) -> Any:
    strategy = NodeAffinitySchedulingStrategy(node_id, soft=False)
    task: Any = ray.remote(num_cpus=0, max_retries=1, scheduling_strategy=strategy)(question)
    return task.remote(*arguments)


def _answer(node: dict[str, Any], asked: Any, here: str) -> Node:
    has = node["Resources"]
    said: Node
    try:
        said = ray.get(asked, timeout=_SOON_SECONDS)
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

    Asked of a node that has answered before, whose process is up as a rule: the way is short.
    """
    asked = time.time()
    there = float(ray.get(_ask(node_id, _time), timeout=_CLOCK_SECONDS))
    return there - min(max(there, asked), time.time())


def _time() -> float:
    return time.time()


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
        with suppress(OSError):  # what lasts is told by the nodes, or by the run
            filesystem.delete_file(f"{path}/{name}")
