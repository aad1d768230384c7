"""A run's folder on this machine, and the same in an object storage.

The storage is what counts: a session begins with what is there and leaves nothing here. Whole files
are sent when they are written. Logs grow by a line at a time, which a storage can't do: they are
sent in pieces, and whole again when the pieces have become many.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from search.errors import RunDirError, Unwritable
from search.storage import Storage

PIECES = ".pieces/"
"""Between a log's name and the byte at which a piece begins."""
INTERVAL_S = 2.0
"""What a log has grown by is sent so often."""
MAX_PIECES, WHOLE_SHARE = 100, 0.25
"""A log is sent whole when it has more pieces, and they are more than this share of it: so all that
is sent is a few times its size, however long it becomes."""
_SIDE_BY_SIDE = 16


class Mirror:
    """A temporary folder that is kept the same as one in a storage.

    Args:
        storage: The run's.
        leave_out: Whether a file of the storage isn't needed here.

    Attributes:
        folder: Here.
        guard: Raises :class:`~search.errors.Unwritable` where logs may not be sent any more.
    """

    def __init__(self, storage: Storage, leave_out: Callable[[str], bool]) -> None:
        self.storage = storage
        self.folder = Path(tempfile.mkdtemp(prefix="sieve-run-"))
        self.guard: Callable[[], None] = lambda: None
        self._leave_out = leave_out
        self._pieces: dict[str, dict[int, int]] = {}
        self._sent: dict[str, int] = {}
        self._fetched: dict[str, int] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: Unwritable | None = None
        self._afterwards: list[Callable[[], None]] = []

    def fetch(self, folder: str = "") -> None:
        """Fetch the files that aren't here yet; those below a folder, others write: all of them."""
        missing: list[str] = []
        pieces: dict[str, dict[int, int]] = {}
        for name, size in self.storage.files(folder).items():
            log, is_piece, begin = name.partition(PIECES)
            if self._leave_out(name) or (not folder and self._here(log).exists()):
                continue
            if is_piece:
                pieces.setdefault(log, {})[int(begin)] = size
            else:
                missing.append(name)
        with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
            list(pool.map(lambda name: self.storage.get(name, self._here(name)), missing))
            for log, sizes in pieces.items():
                self._pieces[log] = sizes
                self._join(log, sorted(sizes), pool)

    def _join(self, log: str, begins: list[int], pool: ThreadPoolExecutor) -> None:
        """Put a log together; pieces that the whole file holds already were left by a crash."""
        path = self._here(log)
        held = path.read_bytes() if path.exists() else b""
        names = [_piece(log, begin) for begin in begins]
        for begin, piece in zip(begins, pool.map(self.storage.read, names), strict=True):
            if piece is None or begin + len(piece) <= len(held):
                continue
            if begin > len(held):
                raise RunDirError(
                    f"{self.storage.address}: {log} lacks what stands between {len(held)} and "
                    f"{begin}; the run can't be read without it"
                )
            held = held[:begin] + piece
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(held)
        self._fetched[log] = len(held)

    def _here(self, name: str) -> Path:
        return self.folder / name

    def send(self, name: str) -> None:
        """Send a whole file, after what logs say already: it may rest on it."""
        self.check()
        self.flush()
        with self._lock:
            self._send(name)

    def _send(self, name: str) -> None:
        path = self._here(name)
        size = path.stat().st_size
        self.storage.put(path, name)
        if name in self._sent:
            self._sent[name] = size
        for begin in self._pieces.pop(name, {}):
            self.storage.delete(_piece(name, begin))

    def remove(self, name: str) -> None:
        """Delete a file in the storage."""
        with self._lock:
            self.storage.delete(name)
            self._sent.pop(name, None)
            for begin in self._pieces.pop(name, {}):
                self.storage.delete(_piece(name, begin))

    def follow(self, name: str) -> None:
        """Send from now on, every two seconds, what a log grows by."""
        size = self._here(name).stat().st_size if self._here(name).exists() else 0
        with self._lock:
            if self._fetched.get(name, size) != size:  # a torn line was cut off
                self._send(name)
            self._sent[name] = size
        if self._thread is None:
            self._thread = threading.Thread(target=self._keep, name="sieve-mirror", daemon=True)
            self._thread.start()

    def _keep(self) -> None:
        while not self._closing.wait(INTERVAL_S):
            try:
                self.flush()
            except Unwritable as error:
                self._error = error
                return

    def afterwards(self, do: Callable[[], None]) -> None:
        """Let something be done when what the logs say by now has been sent."""
        with self._lock:
            self._afterwards.append(do)

    def flush(self) -> None:
        """Send what the logs have grown by, and do what waited for that."""
        self.guard()
        with self._lock:
            due, self._afterwards = self._afterwards, []
        for name in list(self._sent):
            with self._lock:
                self._send_growth(name)
        for do in due:
            do()

    def _send_growth(self, name: str) -> None:
        begin = self._sent[name]
        path = self._here(name)
        size = path.stat().st_size if path.exists() else 0
        if size <= begin:
            return
        pieces = self._pieces.setdefault(name, {})
        if len(pieces) >= MAX_PIECES and sum(pieces.values()) > WHOLE_SHARE * size:
            self._send(name)
            return
        with path.open("rb") as file:
            file.seek(begin)
            grown = file.read(size - begin)
        self.storage.put_bytes(grown, _piece(name, begin))
        pieces[begin] = len(grown)
        self._sent[name] = size

    def check(self) -> None:
        """Raise what went wrong while logs were sent.

        Raises:
            Unwritable: The storage hasn't answered for too long.
        """
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Send what is left, and let go of the folder here; once."""
        if self._closing.is_set():
            return
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
        try:
            self.flush()
        except Unwritable as error:
            raise Unwritable(
                f"{error}; without what {self.folder} holds and the storage lacks: the last seconds"
            ) from error
        self.forget()

    def forget(self) -> None:
        """Let go of the folder here, whatever it holds."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _piece(log: str, begin: int) -> str:
    return f"{log}{PIECES}{begin:012d}"
