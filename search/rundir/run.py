"""A run's folder: made, opened, occupied, left."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from search.errors import RunDirError
from search.events import Phase
from search.files import make_writable
from search.lease import LEASE, FileLease, StorageLease
from search.mirror import Mirror
from search.rundir.files import (
    AUDIT,
    CLUSTER,
    COARSE_SPACE,
    JOURNAL,
    PLAN,
    PREFLIGHT,
    PROVENANCE,
    RAY_LOGS,
    STUDY,
    SUBSAMPLE,
)
from search.rundir.logs import RunLogs
from search.storage import Storage, check_scheme, is_remote

_BEFORE_PLAN = (STUDY, JOURNAL, PROVENANCE, COARSE_SPACE, SUBSAMPLE)
_FINDINGS = (AUDIT, CLUSTER, PREFLIGHT)
"""They outlive a run that they stop, and don't keep another from its folder."""


class RunDir(RunLogs):
    """A run's folder; use :meth:`create` or :meth:`open`."""

    def __init__(self, path: Path, mirror: Mirror | None = None) -> None:
        super().__init__(path, mirror)
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
                lease = self._lease = StorageLease(self._mirror.storage)
                self._mirror.guard = lease.check

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

    def discard_unbegun(self, *, keep_findings: bool = False) -> None:
        """Remove the files of a run that was refused before its plan was made.

        The same folder is then free for the corrected study; other files are left alone.

        Args:
            keep_findings: What audit and preflight have found stays: it is the reason.
        """
        if self._has_begun():
            return
        self.close_logs()
        for name in _BEFORE_PLAN if keep_findings else (*_BEFORE_PLAN, *_FINDINGS):
            self.remove(name)
        self._remove_ray_logs()
        for folder in (self.path / "space", self.path):
            with contextlib.suppress(OSError):
                folder.rmdir()

    def _remove_ray_logs(self) -> None:
        shutil.rmtree(self.path / RAY_LOGS, ignore_errors=True)
        if self._mirror is not None:
            logs = self._mirror.storage.below(RAY_LOGS)
            for name in logs.files():
                logs.delete(name)

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

    def close(self) -> None:
        """Close the logs, send what a storage hasn't got yet, and let other sessions in."""
        self.close_logs()
        try:
            if self._mirror is not None:
                self._mirror.close()
        finally:
            if self._lease is not None:
                self._lease.close()
                self._lease = None

    def __enter__(self) -> RunDir:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _is_left_there(name: str) -> bool:
    """Say whether a file of a storage is for the trials' processes, or for Ray alone."""
    return name == LEASE or name.startswith(f"{RAY_LOGS}/") or name.endswith("/state.pt")


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
