"""A run's files, by name: written so that a crash at any moment loses nothing.

Whole files are written to a temporary name and renamed; logs are appended to a line at a time.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from search.errors import RunDirError
from search.files import append_whole, drop_torn_line, finite, write_at_once
from search.mirror import Mirror

STUDY, RESULT, JOURNAL, EVENTS = "study.json", "result.json", "journal.jsonl", "events.jsonl"
RAY_LOGS = "ray"
"""Folder of what Ray itself writes."""
PLAN, PREFLIGHT, SUBSAMPLE = "plan.json", "preflight.json", "subsample.json"
CLUSTER = "cluster.json"
AUDIT, PROVENANCE, COARSE_SPACE = "audit.json", "provenance.json", "space/0.json"
TRUST = "trust.json"
BEFORE, AFTER = "weakness/before.json", "weakness/after.json"
DONE = "done.json"
"""In a phase's folder: the phase has come to its end."""


class RunFiles:
    """The files of one run.

    Attributes:
        path: The folder, absolute; of a run in an object storage a temporary copy.
        place: Where the run is kept, for the user: the folder, or the address.
    """

    def __init__(self, path: Path, mirror: Mirror | None = None) -> None:
        self.path = path
        self._mirror = mirror
        self.place = str(path) if mirror is None else mirror.storage.address
        self._appending: dict[Path, BinaryIO] = {}

    def exists(self, name: str) -> bool:
        """Say whether the file ``name`` is there."""
        return (self.path / name).exists()

    def write_json(self, name: str, values: Any) -> None:
        """Write a JSON file at once; numbers that aren't finite become null."""
        self.write_text(name, json.dumps(finite(values), indent=2, allow_nan=False) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Write a text file (UTF-8) at once."""
        self.write_file(name, lambda path: path.write_text(text, encoding="utf-8"))

    def write_yaml(self, name: str, values: Any) -> None:
        """Write a YAML file at once."""
        self.write_text(name, yaml.safe_dump(values, sort_keys=False))

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write a Parquet file at once."""
        self.write_file(name, lambda path: pq.write_table(table, path))

    def copy(self, name: str, target: str) -> None:
        """Copy one of the run's files at once."""
        self.write_file(target, lambda path: shutil.copyfile(self.path / name, path))

    def link(self, name: str, target: str) -> None:
        """Give one of the run's files a second name, at once; a copy where links aren't possible.

        Files are replaced and never written to, so that both names keep what they were given.
        """

        def link_or_copy(path: Path) -> None:
            try:
                os.link(self.path / name, path)
            except OSError:
                shutil.copyfile(self.path / name, path)

        self.write_file(target, link_or_copy)

    def remove(self, name: str) -> None:
        """Remove one of the run's files, if it is there."""
        (self.path / name).unlink(missing_ok=True)
        if self._mirror is not None:
            self._mirror.remove(name)

    def write_file(self, name: str, write: Callable[[Path], Any]) -> None:
        """Let ``write`` fill a temporary file, then rename it to ``name``."""
        write_at_once(self.path / name, write)
        self.send(name)

    def read_json(self, name: str) -> Any:
        """Read a JSON file.

        Raises:
            RunDirError: It is missing or damaged.
        """
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise RunDirError(f"{self.place} has no {name}; the run hasn't got that far") from error
        except ValueError as error:
            raise RunDirError(
                f"{self.path / name} is damaged ({error}); "
                + (
                    "the run can't go on without it: start again in another folder"
                    if name == STUDY
                    else "delete it, and 'sieve resume' makes that stage again"
                )
            ) from error

    def append(self, name: str, values: dict[str, Any]) -> None:
        """Append a line of JSON to a log, and hand it to the operating system."""
        path = self.path / name
        file = self._appending.get(path)
        if file is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            drop_torn_line(path)
            file = self._appending[path] = path.open("ab", buffering=0)
            if self._mirror is not None:
                self._mirror.follow(name)
        if self._mirror is not None:
            self._mirror.check()
        append_whole(file, (json.dumps(values) + "\n").encode())

    def close_logs(self) -> None:
        """Close the files that are being appended to."""
        for file in self._appending.values():
            file.close()
        self._appending.clear()

    def fetch(self, folder: str) -> None:
        """Fetch what other machines have written below a folder, where the run is in a storage."""
        if self._mirror is not None:
            self._mirror.fetch(folder)

    def below(self, name: str) -> str:
        """Return where something of this name is kept: a path, or an address."""
        if self._mirror is None:
            return str(self.path / name)
        return self._mirror.storage.below(name).address

    def after_events(self, do: Callable[[], None]) -> None:
        """Do something when the events so far are safe: at once, or when a storage has them."""
        if self._mirror is None:
            do()
        else:
            self._mirror.afterwards(do)

    def send(self, name: str) -> None:
        """Send a file that was written by other means, where the run is in a storage."""
        if self._mirror is not None:
            self._mirror.send(name)
