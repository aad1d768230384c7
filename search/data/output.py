"""New tables for the user: Parquet or CSV by the name's ending, never over an existing file."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from search.errors import DataError

_WRITERS: dict[str, Any] = {".parquet": pq.ParquetWriter, ".csv": pa_csv.CSVWriter}


def check_new_file(target: Path, option: str) -> None:
    """Refuse a file that can't be written as a new table, before the work is done.

    Args:
        target: The file.
        option: The command's, for the message.

    Raises:
        DataError: It exists, is of another kind, or its folder is missing.
    """
    if target.suffix not in _WRITERS:
        raise DataError(f"{option} {target}: name a .parquet or .csv file")
    if target.exists():
        raise DataError(f"{option} {target}: the file exists; name a new one")
    if not target.absolute().parent.is_dir():
        raise DataError(f"{option} {target}: there is no folder {target.parent}; make it first")


def write_new_file(tables: Iterable[pa.Table], target: Path, option: str) -> None:
    """Write tables below each other into a new file; it appears when it is complete.

    Args:
        tables: At least one, all with the same columns; taken one at a time.
        target: A ``.parquet`` or ``.csv`` file that doesn't exist.
        option: The command's, for the message.

    Raises:
        DataError: As :func:`check_new_file`, or it can't be written.
    """
    check_new_file(target, option)
    draft = target.with_name(f".{target.name}.tmp")
    remaining = iter(tables)
    first = next(remaining)
    try:
        with _WRITERS[target.suffix](draft, first.schema) as writer:
            for table in chain([first], remaining):
                writer.write_table(table)
        check_new_file(target, option)
        draft.replace(target)
    except (OSError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{option} {target} can't be written: {reason}") from error
    finally:
        draft.unlink(missing_ok=True)
