"""Where files are, and files that a crash or a full disk leaves whole: written at once, or grown by
whole lines.
"""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qs, urlsplit

from pyarrow import fs

from search.errors import RunDirError, Unwritable

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_LEAST_FREE = 2**14
_SECRETS = {"access_key", "secret_key", "session_token", "access_token"}


def locate(address: str) -> tuple[fs.FileSystem, str]:
    """Return the file system of a path or URI (``s3://bucket/folder``), and the path there.

    Raises:
        OSError: The storage can't be used.
        ValueError: It is no address that pyarrow knows.
    """
    if "://" not in address:
        return fs.LocalFileSystem(), in_full(address)
    filesystem, path = fs.FileSystem.from_uri(address)
    return filesystem, path


def explain_secret(address: str) -> str | None:
    """Return in a line why an address that holds a secret is refused; None where it holds none."""
    parts = urlsplit(address)
    if "://" not in address or not ("@" in parts.netloc or {*parse_qs(parts.query)} & _SECRETS):
        return None
    bare = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return (
        f"the address of {bare} holds a secret, which would stand in the run's files; "
        "leave it out, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead"
    )


def in_full(address: str) -> str:
    """Return a path from the root on, other machines have other folders; a URI as it is."""
    return address if "://" in address else str(Path(address).expanduser().absolute())


def write_at_once(target: Path, write: Callable[[Path], Any]) -> None:
    """Let ``write`` fill a temporary file, then rename it to ``target``; make its folder first."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        os.replace(temporary, target)
    except Exception as error:
        if _is_full(error, target.parent):
            raise _no_room(target) from error
        raise
    finally:  # also where both names were the same file's: a rename then does nothing
        temporary.unlink(missing_ok=True)


def append_whole(file: BinaryIO, line: bytes) -> None:
    """Append a line to an unbuffered file, or nothing of it.

    Raises:
        Unwritable: There is no room for it.
    """
    before = file.seek(0, os.SEEK_END)
    try:
        if file.write(line) == len(line):
            return
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
    file.truncate(before)
    raise _no_room(Path(file.name))


def drop_torn_line(path: Path) -> None:
    """Cut off a last line without its end, or the next one would be appended to it."""
    if path.exists():
        whole = path.read_bytes().rfind(b"\n") + 1
        os.truncate(path, whole)


def whole_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Return the JSON objects that a file holds, a line each; damaged lines are left out."""
    for line in path.read_bytes().splitlines():
        try:
            values = json.loads(line)
        except ValueError:
            continue
        if isinstance(values, dict):
            yield values


def make_writable(path: Path) -> None:
    """Make the folder of a run, and try to write there.

    Raises:
        RunDirError: It can't be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".probe.{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise RunDirError(f"--out {path} can't be written ({error.strerror})") from error


def finite(values: Any) -> Any:
    """Return ``values`` with every number that isn't finite replaced by None."""
    if isinstance(values, dict):
        return {key: finite(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [finite(value) for value in values]
    return None if isinstance(values, float) and not math.isfinite(values) else values


def _is_full(error: Exception, folder: Path) -> bool:
    """Say whether a write failed for want of room; not every library passes the number on."""
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return True
    return "No space left" in str(error) or shutil.disk_usage(folder).free < _LEAST_FREE


def _no_room(path: Path) -> Unwritable:
    return Unwritable(f"no space left for {path}; make room, then 'sieve resume' goes on")
