"""The run directory: every file of a run, written so that a crash at any moment loses nothing.

Whole files are written to a temporary name and renamed. Events and the journal are appended a
line at a time; a last line cut off by a crash is dropped when read. Each stage reads the files
of earlier stages only.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from search.errors import RunDirError
from search.events import PHASES, Event, Phase, event_from_json, event_to_json
from search.files import (
    append_whole,
    drop_torn_line,
    finite,
    make_writable,
    whole_lines,
    write_at_once,
)
from search.lease import LEASE, FileLease, StorageLease
from search.mirror import Mirror
from search.storage import Storage, check_scheme, is_remote

STUDY, RESULT, JOURNAL, EVENTS = "study.json", "result.json", "journal.jsonl", "events.jsonl"
PLAN, PREFLIGHT, SUBSAMPLE = "plan.json", "preflight.json", "subsample.json"
CLUSTER = "cluster.json"
AUDIT, PROVENANCE, COARSE_SPACE = "audit.json", "provenance.json", "space/0.json"
TRUST = "trust.json"
BEFORE, AFTER = "weakness/before.json", "weakness/after.json"
_BEFORE_PLAN = (STUDY, JOURNAL, PROVENANCE, COARSE_SPACE, SUBSAMPLE)
_FINDINGS = (AUDIT, CLUSTER, PREFLIGHT)
"""They outlive a run that they stop, and don't keep another from its folder."""
DONE = "done.json"
"""In a phase's folder: the phase has come to its end."""


class RunDir:
    """A run's folder; use :meth:`create` or :meth:`open`.

    Attributes:
        path: The folder, absolute; of a run in an object storage a temporary copy.
        place: Where the run is kept, for the user: the folder, or the address.
    """

    def __init__(self, path: Path, mirror: Mirror | None = None) -> None:
        self.path = path
        self._mirror = mirror
        self.place = str(path) if mirror is None else mirror.storage.address
        self._appending: dict[Path, BinaryIO] = {}
        self._lease: FileLease | StorageLease | None = None

    @classmethod
    def create(cls, where: Path | str, study: dict[str, Any], digest: str) -> RunDir:
        """Make a run directory, or open it again if it belongs to the same study.

        Args:
            where: A folder, or ``s3://bucket/folder``.
            study: The resolved study's values.
            digest: Identifies them.

        Raises:
            RunDirError: It can't be written, holds another study's run, or holds other files.
        """
        check_scheme(where)
        if is_remote(where):
            storage = _storage_of(str(where))
            storage.check_writable()
            _check_free(storage)
            run = cls._fetched(storage)
        else:
            path = Path(where).absolute()
            make_writable(path)
            run = cls(path)
        if (run.path / STUDY).exists():
            with run._gone_on_error():
                return run._same_study(digest)
        if {each.name for each in run.path.iterdir()} - set(_FINDINGS):
            raise _other_files(run.place)
        run.write_json(STUDY, {"digest": digest, "study": study, "folder": os.getcwd()})
        return run

    def _same_study(self, digest: str) -> RunDir:
        if _as_dict(self.read_json(STUDY)).get("digest") != digest:
            raise RunDirError(
                f"--out {self.place} holds another study's run; give another folder, "
                f"or 'sieve resume {self.place}' to go on with that one"
            )
        return self

    @classmethod
    def open(cls, where: Path | str) -> RunDir:
        """Open an existing run directory.

        Args:
            where: A folder, or ``s3://bucket/folder``.

        Raises:
            RunDirError: It is missing or is no run directory.
        """
        check_scheme(where)
        if is_remote(where):
            storage = _storage_of(str(where))
            if not _holds_study(storage):
                raise RunDirError(f"{where} is no run directory (it has no {STUDY})")
            return cls._fetched(storage)
        run = cls(Path(where).absolute())
        if not run.path.is_dir():
            raise RunDirError(f"no folder '{run.place}'; give a run's folder")
        if not (run.path / STUDY).is_file():
            raise RunDirError(f"{run.place} is no run directory (it has no {STUDY})")
        return run

    @classmethod
    def _fetched(cls, storage: Storage) -> RunDir:
        mirror = Mirror(storage, _is_left_there)
        run = cls(mirror.folder, mirror)
        with run._gone_on_error(), storage.opening():
            mirror.fetch()
        return run

    @contextlib.contextmanager
    def _gone_on_error(self) -> Iterator[None]:
        """Leave no temporary copy of a run that is refused."""
        try:
            yield
        except BaseException:
            if self._mirror is not None:
                self._mirror.forget()
            raise

    def occupy(self) -> None:
        """Keep other sessions off, until the run directory is closed.

        Raises:
            RunDirError: Another session is at work here.
        """
        with self._gone_on_error():
            if self._mirror is None:
                self._lease = FileLease(self.path / STUDY, self.place)
            else:
                self._lease = StorageLease(self._mirror.storage)

    def trial_folder(self, phase: Phase) -> Path:
        """Return where a phase's trials keep their files, a folder each.

        Where the run is in a storage it is a folder of each machine's own.
        """
        if self._mirror is None:
            return self.path / phase / "trials"
        name = hashlib.sha256(self.place.encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"sieve-trials-{os.getuid()}" / name / phase

    def trial_storage(self, phase: Phase) -> Storage | None:
        """Return where the trials' files are kept, if that is no folder."""
        return None if self._mirror is None else self._mirror.storage.below(f"{phase}/trials")

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

    def discard_unbegun(self, *, keep_findings: bool = False) -> None:
        """Remove the files of a run that was refused before its plan was made.

        The same folder is then free for the corrected study; other files are left alone.

        Args:
            keep_findings: What audit and preflight have found stays: it is the reason.
        """
        if self._has_begun():
            return
        self._close_logs()
        for name in _BEFORE_PLAN if keep_findings else (*_BEFORE_PLAN, *_FINDINGS):
            self.remove(name)
        for folder in (self.path / "space", self.path):
            with contextlib.suppress(OSError):
                folder.rmdir()

    def _has_begun(self) -> bool:
        # The copy of a run in a storage is gone when the run has been closed.
        kept = None if self._mirror is None else self._mirror.storage.read(PLAN)
        return kept is not None or self.exists(PLAN)

    def study(self) -> dict[str, Any]:
        """Return the resolved study's values.

        Raises:
            RunDirError: The file is damaged, or isn't a run's.
        """
        values = _as_dict(_as_dict(self.read_json(STUDY)).get("study"))
        if not values:
            raise RunDirError(f"{self.path / STUDY} isn't a run's; give a run's folder")
        return values

    def begun_in(self) -> Path | None:
        """Return the folder that the run was begun in; None where it isn't on this machine."""
        folder = _as_dict(self.read_json(STUDY)).get("folder")
        return Path(folder) if folder and Path(folder).is_dir() else None

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

    def append_event(self, phase: Phase, event: Event, *, elapsed: float) -> None:
        """Append an event to the phase's log and hand it to the operating system."""
        self._append(f"{phase}/{EVENTS}", {**event_to_json(event), "elapsed": round(elapsed, 3)})

    def events(self, phase: Phase, *, repair: bool = False) -> list[Event]:
        """Read the phase's events; a last line that a crash cut off is left out.

        Reading changes nothing, unless ``repair`` is asked for: a run may be at work here.

        Args:
            phase: The phase.
            repair: Keep what stands before a damaged line, and move the damaged file aside.

        Raises:
            RunDirError: A line before the last is damaged.
        """
        return [event for event, _ in self._events(phase, repair)]

    def _events(self, phase: Phase, repair: bool) -> list[tuple[Event, float]]:
        path = self.path / phase / EVENTS
        if not path.exists():
            return []
        lines = path.read_bytes().split(b"\n")
        events: list[tuple[Event, float]] = []
        for number, line in enumerate(lines[:-1], start=1):
            try:
                values = json.loads(line)
                events.append((event_from_json(values), values["elapsed"]))
            except (ValueError, TypeError, KeyError) as error:
                self._damaged(path, lines, number, repair, error)
                break
        return events

    def _damaged(
        self, path: Path, lines: list[bytes], number: int, repair: bool, error: Exception
    ) -> None:
        lost = len(lines) - number
        if not repair:
            raise RunDirError(
                f"{path} is damaged at line {number}: {lost} events from there on are lost; "
                f"'sieve resume {self.place} --repair' keeps the {number - 1} before it "
                "and trains again what is missing"
            ) from error
        self.copy(f"{path.parent.name}/{path.name}", f"{path.parent.name}/{path.name}.damaged")
        self._close_logs()  # an open file would go on in the one that is replaced
        self.remove(f"{path.parent.name}/{DONE}")
        kept = b"".join(line + b"\n" for line in lines[: number - 1])
        self.write_file(f"{path.parent.name}/{EVENTS}", lambda new: new.write_bytes(kept))
        self.journal(path.parent.name, "repair", f"dropped {lost} damaged events of {path.name}")

    def phase_seconds(self, phase: Phase) -> float:
        """Return the run time from the phase's first event to its last."""
        times = [at for _, at in self._events(phase, False)]
        return times[-1] - times[0] if times else 0.0

    def elapsed(self, *, repair: bool = False) -> float:
        """Return the seconds of run time that the events and the journal account for.

        Raises:
            RunDirError: An event log is damaged, and ``repair`` isn't asked for.
        """
        times = [at for phase in PHASES for _, at in self._events(phase, repair)[-1:]]
        times += [float(entry.get("elapsed", 0.0)) for entry in self.read_journal()]
        return max(times, default=0.0)

    def journal(
        self, phase: str, event: str, message: str, *, elapsed: float = 0.0, **numbers: Any
    ) -> None:
        """Append a decision to the journal: what, why, on which numbers."""
        entry = {"time": time.time(), "phase": phase, "event": event, "message": message}
        self._append(JOURNAL, {**entry, "elapsed": round(elapsed, 3), "numbers": finite(numbers)})

    def read_journal(self) -> list[dict[str, Any]]:
        """Return the journal's entries; damaged lines are left out."""
        path = self.path / JOURNAL
        return list(whole_lines(path)) if path.exists() else []

    def _append(self, name: str, values: dict[str, Any]) -> None:
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

    def close(self) -> None:
        """Close the files that are being appended to; send what a storage hasn't got yet."""
        self._close_logs()
        try:
            if self._mirror is not None:
                self._mirror.close()
        finally:
            if self._lease is not None:
                self._lease.close()
                self._lease = None

    def _close_logs(self) -> None:
        for file in self._appending.values():
            file.close()
        self._appending.clear()

    def __enter__(self) -> RunDir:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _is_left_there(name: str) -> bool:
    """Say whether a file of a storage is for the trials' processes, or for Ray alone."""
    return name == LEASE or name.startswith("ray/") or name.endswith("/state.pt")


def _storage_of(address: str) -> Storage:
    return Storage(address.rstrip("/"))


def _holds_study(storage: Storage) -> bool:
    with storage.opening():
        return storage.read(STUDY) is not None


def _check_free(storage: Storage) -> None:
    """Refuse a folder of a storage that holds something else, before any of it is fetched."""
    if _holds_study(storage):
        return
    if {name.partition("/")[0] for name in storage.files()} - {*_FINDINGS, LEASE}:
        raise _other_files(storage.address)


def _other_files(place: str) -> RunDirError:
    return RunDirError(f"--out {place} holds other files and no run; give an empty folder")


def _as_dict(values: Any) -> dict[str, Any]:
    return values if isinstance(values, dict) else {}
