"""Pictures, in files or encoded in a column, made a column of pixels."""

from __future__ import annotations

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import fs

from search.data.schema import SHAPE, SPLIT_NAMES
from search.errors import DataError, one_line

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
_MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"GIF8", b"RIFF", b"II*\x00", b"MM\x00*")
_GREY, _DEEP = ("1", "L", "LA"), ("I", "F")


def pictures_table(
    filesystem: fs.FileSystem, root: str, files: Sequence[str], uri: str
) -> pa.Table:
    """Read pictures in folders that are named by their classes.

    As torchvision's ``ImageFolder`` has them: ``CLASS/…/NAME.png``, or ``PART/CLASS/…/NAME.png``
    with ``train``, ``validation`` or ``test`` for the part. Without folders they have no label.

    Args:
        filesystem: Of the files.
        root: The folder.
        files: Paths of the pictures in it, in the order of the rows.
        uri: The folder, for the user.

    Returns:
        Columns ``image``, ``label`` and ``split``, the latter two where the folders say it.

    Raises:
        DataError: A picture can't be read, has another size than the first or 16 bits, only some
            have a folder, or Pillow isn't installed.
    """

    def read(path: str) -> bytes:
        with filesystem.open_input_stream(path) as stream:
            found: bytes = stream.read()
            return found

    names = [path.removeprefix(root).lstrip("/") for path in files]
    folders = [name.split("/")[:-1] for name in names]
    with ThreadPoolExecutor() as pool:
        columns: dict[str, Any] = {"image": _pixels(names, [*pool.map(read, files)], uri)}
    if all(len(each) > 1 and each[0].lower() in SPLIT_NAMES for each in folders):
        columns["split"] = pa.array([each.pop(0) for each in folders])
    if any(folders):
        without = [name for name, each in zip(names, folders, strict=True) if not each]
        if without:
            raise DataError(
                f"folder {uri}: '{without[0]}' is in no class's folder and others are; "
                "move it, or take it out"
            )
        columns["label"] = pa.array([each[0] for each in folders])
    return _table(columns)


def with_pixels(table: pa.Table, uri: str) -> pa.Table:
    """Return a table whose encoded pictures are pixels; all else is left as it is.

    Encoded are columns of bytes, or of Hugging Face's ``{bytes, path}``, that begin with a picture.

    Args:
        table: The data.
        uri: Where they are from, for the user.

    Raises:
        DataError: As :func:`pictures_table`, or a row has none.
    """
    for place, name in enumerate(table.column_names):
        encoded = _encoded(table[name])
        if encoded is None:
            continue
        if encoded.null_count:
            raise DataError(
                f"column '{name}': {encoded.null_count} images are missing; leave those rows out"
            )
        rows = [f"row {number} of column '{name}'" for number in range(len(encoded))]
        made = _table({name: _pixels(rows, encoded.to_pylist(), uri)})
        table = table.set_column(place, made.schema.field(0), made[name])
    return table


def _encoded(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    if pa.types.is_struct(column.type) and column.type.get_field_index("bytes") >= 0:
        column = pa.chunked_array(
            [chunk.field("bytes") for chunk in column.chunks], column.type.field("bytes").type
        )
    if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        return None
    first = next((value.as_py() for value in column if value.is_valid), b"")
    return column if first.startswith(_MAGIC) else None


def _table(columns: dict[str, Any]) -> pa.Table:
    fields, arrays = [], []
    for name, values in columns.items():
        if isinstance(values, np.ndarray):
            said = ",".join(map(str, values.shape[1:]))
            size = int(np.prod(values.shape[1:]))
            values = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), size)
            fields.append(pa.field(name, values.type, metadata={SHAPE: said.encode()}))
        else:
            fields.append(pa.field(name, values.type))
        arrays.append(values)
    return pa.table(arrays, schema=pa.schema(fields))


def _pixels(names: Sequence[str], encoded: Sequence[bytes], uri: str) -> NDArray[np.uint8]:
    """Return pictures as (rows, channels, height, width): grey ones have one channel, if all are.

    Args:
        names: What each is called, for the user.
        encoded: Each as a file holds it.
        uri: Where they are from, for the user.
    """
    looks = _Looks(names, encoded, uri)
    with ThreadPoolExecutor() as pool:  # Pillow decodes without Python's lock
        for number, (size, mode) in enumerate(pool.map(looks.head, range(len(names)))):
            looks.take(number, size, mode)
        channels, (width, height) = looks.channels, looks.size
        pixels = np.empty((len(names), channels, height, width), dtype=np.uint8)

        def fill(number: int) -> None:
            picture = looks.body(number).reshape(height, width, channels)
            pixels[number] = picture.transpose(2, 0, 1)

        list(pool.map(fill, range(len(names))))
    return pixels


class _Looks:
    """Looks at pictures with Pillow, and whether they go together.

    Args:
        names: What each is called.
        encoded: Each as a file holds it.
        uri: Where they are from.

    Attributes:
        size: (width, height) of all.
        channels: 1 where all are grey, else 3.
    """

    def __init__(self, names: Sequence[str], encoded: Sequence[bytes], uri: str) -> None:
        try:
            from PIL import Image
        except ImportError as error:
            raise DataError(
                f"data {uri} hold pictures, and Pillow isn't installed; "
                "install it: scripts/install .venv images"
            ) from error
        self._open = Image.open
        self._names, self._encoded, self._uri = names, encoded, uri
        self.size: tuple[int, int] = (0, 0)
        self.channels = 1

    def head(self, number: int) -> tuple[tuple[int, int], str]:
        """Return a picture's (width, height) and mode."""
        with self._opened(number) as picture:
            return picture.size, picture.mode

    def body(self, number: int) -> NDArray[np.uint8]:
        """Return a picture's pixels, (height, width) or (height, width, 3)."""
        with self._opened(number) as picture:
            try:
                return np.asarray(picture.convert("L" if self.channels == 1 else "RGB"))
            except (OSError, ValueError, SyntaxError) as error:
                raise self._damaged(number, error) from error

    def _opened(self, number: int) -> Any:
        try:
            return self._open(io.BytesIO(self._encoded[number]))
        except (OSError, ValueError, SyntaxError) as error:
            raise self._damaged(number, error) from error

    def _damaged(self, number: int, error: Exception) -> DataError:
        why = one_line(error)
        return DataError(
            f"data {self._uri}: {self._names[number]} can't be read as a picture: {why}"
        )

    def take(self, number: int, size: tuple[int, int], mode: str) -> None:
        """Take in what a picture is."""
        if mode.startswith(_DEEP):
            raise DataError(
                f"data {self._uri}: {self._names[number]} has more than 8 bits a value ({mode}); "
                "give pictures with 8"
            )
        self.size = self.size if number else size
        if size != self.size:
            first, other = (f"{width} x {height}" for width, height in (self.size, size))
            raise DataError(
                f"data {self._uri}: {self._names[0]} is {first} pixels, {self._names[number]} "
                f"{other}; give all pictures the same size"
            )
        self.channels = max(self.channels, 1 if mode in _GREY else 3)
