"""One session at a time works on a run: what keeps a second one off, and goes with the first.

Two would number their trials alike and write the same files. On a file system it is a lock on the
run's study, which the operating system lets go of with the process. An object storage has no locks:
there it is a file that the session writes anew every few seconds. One that doesn't change any more
was left by a session that is gone.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import threading
import time
import uuid
from pathlib import Path
from typing import BinaryIO

from search.errors import RunDirError, Unwritable
from search.storage import Storage

LEASE = "lease"
"""The file in an object storage."""
BEAT_S, SILENCE_S = 2.0, 6.0
"""How often it is written; whoever doesn't for so long is gone."""


class FileLease:
    """A lock on a file, for as long as this process lives or until it is closed.

    A file system without locks lets everybody in.

    Args:
        path: The file, which is there.
        place: The run, for the user.

    Raises:
        RunDirError: Another session holds it.
    """

    def __init__(self, path: Path, place: str) -> None:
        self._file: BinaryIO = path.open("r+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                self._file.close()
                raise _taken(place) from error

    def close(self) -> None:
        """Let others in."""
        self._file.close()


class StorageLease:
    """A file that is written again and again, until it is closed.

    Args:
        storage: The run's.

    Raises:
        RunDirError: Another session writes it; that takes six seconds to see.
        Unwritable: The storage doesn't answer.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        before = storage.read(LEASE)
        if before is not None:
            time.sleep(SILENCE_S)
            if storage.read(LEASE) not in (before, None):
                raise _taken(storage.address)
        self._closing = threading.Event()
        self._name = uuid.uuid4().hex.encode()
        self._beat(0)
        self._thread = threading.Thread(target=self._keep, name="sieve-lease", daemon=True)
        self._thread.start()

    def _beat(self, number: int) -> None:
        self._storage.put_bytes(b"%s %d" % (self._name, number), LEASE)

    def _keep(self) -> None:
        number = 0
        while not self._closing.wait(BEAT_S):
            number += 1
            with contextlib.suppress(Unwritable):  # the mirror ends the run where that lasts
                if not self._is_ours():
                    return
                self._beat(number)

    def _is_ours(self) -> bool:
        held = self._storage.read(LEASE)
        return held is None or held.startswith(self._name)

    def check(self) -> None:
        """Make sure that no other session has taken this one's silence for its end.

        Raises:
            Unwritable: One has, or the storage doesn't answer.
        """
        if not self._is_ours():
            raise Unwritable(
                f"another session goes on with the run in {self._storage.address}: nothing was "
                f"heard of this one for {SILENCE_S:.0f} s; what it does from now on doesn't count"
            )

    def close(self) -> None:
        """Let others in."""
        self._closing.set()
        self._thread.join()
        with contextlib.suppress(Unwritable):
            if self._is_ours():
                self._storage.delete(LEASE)


def _taken(place: str) -> RunDirError:
    return RunDirError(
        f"a run is at work in {place}; wait for its end or stop it there (Ctrl-C), or give another "
        "--out"
    )
