"""Trainings in processes of their own that ask after every evaluation whether to go on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from benchmarks.peers import evaluations
from search.events import Evaluation
from search.space import Config


class Method(Protocol):
    """Who says what is trained."""

    def ask(self) -> tuple[Any, Config, int]:
        """Return a new training: what the method knows it by, its configuration, its seed."""

    def tell(self, handle: Any, number: int, evaluation: Evaluation) -> bool:
        """Take in a training's ``number``-th evaluation, from 1; return whether it goes on."""

    def end(self, handle: Any, number: int) -> None:
        """Take note that a training has ended by itself, or failed."""


def train_with(method: Method, request: str, slots: int, until: float) -> None:
    """Keep slots busy with a method's trainings until a moment, in Unix time."""
    with _processes(request, slots) as connections:
        running = {connection: _begin(connection, method) for connection in connections}
        while (left := until - time.time()) > 0:
            for ready in wait(list(connections), timeout=left):
                assert isinstance(ready, Connection)
                number, evaluation = ready.recv()
                if evaluation is None:
                    method.end(running[ready], number)
                    running[ready] = _begin(ready, method)
                    continue
                goes_on = method.tell(running[ready], number, evaluation)
                ready.send(goes_on)
                if not goes_on:
                    running[ready] = _begin(ready, method)


def _begin(connection: Connection, method: Method) -> Any:
    handle, config, seed = method.ask()
    connection.send((config, seed))
    return handle


@contextmanager
def _processes(request: str, number: int) -> Iterator[list[Connection]]:
    context = get_context("spawn")
    pairs = [context.Pipe() for _ in range(number)]
    processes = [
        context.Process(target=_work, args=(request, theirs), daemon=True) for _, theirs in pairs
    ]
    for process in processes:
        process.start()
    try:
        yield [ours for ours, _ in pairs]
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _work(request: str, connection: Connection) -> None:
    """Train what comes; after each evaluation hear whether it goes on."""
    while True:
        config, seed = connection.recv()
        number, goes_on = 0, True
        try:
            for number, each in enumerate(evaluations(request, config, seed), start=1):
                connection.send((number, each))
                goes_on = connection.recv()
                if not goes_on:
                    break
        except RuntimeError:
            goes_on = True
        if goes_on:
            connection.send((number, None))
