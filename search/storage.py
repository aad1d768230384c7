"""Object storage, where no folder is seen by all machines: ``s3://bucket/folder``, ``gs://…``.

Who may use it stands in the environment of each machine (``AWS_ACCESS_KEY_ID`` and the like, or the
machine's own role), never in an address: addresses are written into files.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from pyarrow import fs

from search.errors import RunDirError, Unwritable
from search.files import explain_secret, locate, write_at_once

SCHEMES = ("s3", "gs")
PATIENCE_S = 90.0
"""For a storage that doesn't answer."""
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 8.0
_HOPELESS = ("ACCESS_DENIED", "NO_SUCH_BUCKET", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH")
T = TypeVar("T")


def is_remote(where: object) -> bool:
    """Say whether a place is in an object storage and not in a folder."""
    return urlsplit(str(where)).scheme in SCHEMES


def check_scheme(where: object) -> None:
    """Refuse an address of a storage that a run can't be kept in.

    Raises:
        RunDirError: It begins with another scheme than those known; it would make a folder of this
            name.
    """
    scheme, separator, _ = str(where).partition("://")
    if separator and scheme not in SCHEMES:
        known = " or ".join(f"{each}://" for each in SCHEMES)
        raise RunDirError(f"'{where}': a run is kept in a folder, or in {known}bucket/folder")


@dataclass(frozen=True)
class Storage:
    """A folder in an object storage; it can be sent to other processes.

    What fails for want of an answer is tried again for a minute and a half.

    Args:
        address: ``s3://bucket/folder``.
    """

    address: str

    def __post_init__(self) -> None:
        if why := explain_secret(self.address):
            raise RunDirError(why)
        parts = urlsplit(self.address)
        if not parts.netloc or not parts.path.strip("/"):
            raise RunDirError(f"'{self.address}' names no folder; write s3://bucket/folder")

    def below(self, folder: str) -> Storage:
        """Return a folder within this one."""
        bare, _, query = self.address.partition("?")
        address = f"{bare.rstrip('/')}/{folder}"
        return Storage(f"{address}?{query}" if query else address)

    def put(self, path: Path, name: str) -> None:
        """Send a file, at once: others see the old one or the new one."""

        def send() -> None:
            with path.open("rb") as source, self._output(name) as target:
                shutil.copyfileobj(source, target, 2**20)

        self._patiently(f"write {name}", send)

    def put_bytes(self, data: bytes, name: str) -> None:
        """Send bytes as a file."""

        def send() -> None:
            with self._output(name) as target:
                target.write(data)

        self._patiently(f"write {name}", send)

    def get(self, name: str, path: Path) -> bool:
        """Fetch a file; False where there is none, and nothing has changed here."""
        found = self.read(name)
        if found is None:
            return False
        write_at_once(path, lambda draft: draft.write_bytes(found))
        return True

    def read(self, name: str) -> bytes | None:
        """Return what a file holds; None where there is none."""

        def receive() -> bytes | None:
            try:
                with _filesystem(self.address)[0].open_input_file(self._path(name)) as source:
                    held: bytes = source.read()
                    return held
            except FileNotFoundError:
                return None

        return self._patiently(f"read {name}", receive)

    def files(self, folder: str = "") -> dict[str, int]:
        """Return the files below a folder with their sizes in bytes, named from this storage on."""

        def look() -> dict[str, int]:
            filesystem, root = _filesystem(self.address)
            where = fs.FileSelector(self._path(folder), allow_not_found=True, recursive=True)
            found = [each for each in filesystem.get_file_info(where) if each.is_file]
            return {each.path.removeprefix(f"{root}/"): int(each.size) for each in found}

        return self._patiently("look", look)

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""

        def remove() -> None:
            with contextlib.suppress(FileNotFoundError):
                _filesystem(self.address)[0].delete_file(self._path(name))

        self._patiently(f"delete {name}", remove)

    def check_writable(self) -> None:
        """Try it.

        Raises:
            RunDirError: It can't be written.
        """
        try:
            self.put_bytes(b"sieve", ".probe")
            self.delete(".probe")
        except Unwritable as error:
            raise RunDirError(f"{self.address} can't be written: {error.__cause__}") from error

    @contextlib.contextmanager
    def opening(self) -> Iterator[None]:
        """Look for the first time at what is there.

        Raises:
            RunDirError: It can't be read.
        """
        try:
            yield
        except Unwritable as error:
            raise RunDirError(f"{self.address} can't be read: {error.__cause__}") from error

    def _output(self, name: str) -> fs.NativeFile:
        return _filesystem(self.address)[0].open_output_stream(self._path(name))

    def _path(self, name: str) -> str:
        root = _filesystem(self.address)[1]
        return f"{root}/{name}" if name else root

    def _patiently(self, what: str, do: Callable[[], T]) -> T:
        until, wait = time.monotonic() + PATIENCE_S, _FIRST_WAIT_S
        while True:
            try:
                return do()
            except OSError as error:
                said = " ".join(str(error).split())
                if time.monotonic() + wait > until or any(word in said for word in _HOPELESS):
                    raise Unwritable(
                        f"{self.address}: can't {what} ({said}); when that is mended "
                        "'sieve resume' goes on"
                    ) from error
                time.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT_S)


@cache
def _filesystem(address: str) -> tuple[fs.FileSystem, str]:
    try:
        return locate(address)  # which may ask the network for a bucket's region
    except ValueError as error:
        raise RunDirError(f"{address} can't be used ({error})") from error
