"""Reads data into Arrow: scikit-learn's bundled sets, Parquet, CSV, folders of pictures."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.dataset as pa_dataset
import pyarrow.parquet as pq
from pyarrow import fs

from search.data.pictures import SUFFIXES, pictures_table, with_pixels
from search.errors import DataError, did_you_mean
from search.files import locate

_BUNDLED = ("digits", "breast_cancer", "wine", "diabetes")
# An empty cell is missing in a column of strings too.
_CSV = pa_csv.ConvertOptions(strings_can_be_null=True)


def read_table(uri: str) -> pa.Table:
    """Read a data set.

    Args:
        uri: ``sklearn:NAME``, or a path or ``s3://``/``gs://`` URI of a Parquet file, a folder
            of Parquet files or of pictures (:func:`~search.data.pictures.pictures_table`), or a
            ``.csv`` file.

    Raises:
        DataError: It is missing, empty, damaged, or of no known format.
    """
    table = _read_bundled(uri) if uri.startswith("sklearn:") else _read_files(uri)
    if table.num_rows == 0:
        raise DataError(f"data {uri} has no rows; give a file with data")
    for name, count in Counter(table.column_names).items():
        if count > 1:
            raise DataError(f"data {uri} has {count} columns named '{name}'; rename all but one")
    return table


def _read_bundled(uri: str) -> pa.Table:
    from sklearn import datasets  # a trial's process, which reads none, is up sooner without it

    name = uri.removeprefix("sklearn:")
    if name not in _BUNDLED:
        raise DataError(f"no bundled data set '{uri}'" + did_you_mean(name, _BUNDLED))
    bunch = getattr(datasets, f"load_{name}")()
    if name == "digits":
        pixels = pa.array(bunch.data.astype(np.uint8).ravel())
        image = pa.FixedSizeListArray.from_arrays(pixels, bunch.data.shape[1])
        return pa.table({"image": image, "label": pa.array(bunch.target)})
    columns = {str(n): pa.array(c) for n, c in zip(bunch.feature_names, bunch.data.T, strict=True)}
    return pa.table({**columns, "label": pa.array(bunch.target)})


def _read_files(uri: str) -> pa.Table:
    filesystem, path = _locate(uri)
    info = filesystem.get_file_info(path)
    if info.type == fs.FileType.NotFound:
        raise DataError(
            f"no data at '{uri}'; give sklearn:NAME, a Parquet file or folder, or a CSV"
        )
    if info.is_file and info.size == 0:
        raise DataError(f"data file {uri} is empty; give a file with data")
    try:
        if not info.is_file:
            return with_pixels(_read_folder(filesystem, path, uri), uri)
        if path.lower().endswith(".csv"):
            with filesystem.open_input_stream(path) as stream:
                return pa_csv.read_csv(stream, convert_options=_CSV)
        return with_pixels(pq.read_table(path, filesystem=filesystem), uri)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        kind = "CSV" if path.lower().endswith(".csv") else "Parquet"
        reason = str(error).splitlines()[0]
        raise DataError(f"data {uri} can't be read as {kind}: {reason}") from error


def _locate(uri: str) -> tuple[fs.FileSystem, str]:
    try:
        return locate(uri)
    except (OSError, ValueError) as error:
        raise DataError(f"data {uri}: {str(error).splitlines()[0]}") from error


def _read_folder(filesystem: fs.FileSystem, path: str, uri: str) -> pa.Table:
    infos = filesystem.get_file_info(fs.FileSelector(path, recursive=True))
    # A file system lists in any order; the rows' order shall not depend on it.
    files = sorted(each.path for each in infos if each.is_file and each.path.endswith(".parquet"))
    if not files:
        return _read_pictures(filesystem, path, [each.path for each in infos if each.is_file], uri)
    found = pa_dataset.dataset(
        files,
        filesystem=filesystem,
        format="parquet",
        partitioning=pa_dataset.partitioning(flavor="hive"),  # split=test/part-0.parquet
        partition_base_dir=path,
    )
    for fragment in found.get_fragments():
        lacking = set(found.schema.names) ^ {
            *fragment.physical_schema.names,
            *pa_dataset.get_partition_keys(fragment.partition_expression),
        }
        if lacking:
            raise DataError(
                f"folder {uri}: '{sorted(lacking)[0]}' is a column of some of its files and not of "
                "others; give files with the same columns"
            )
    return found.to_table()


def _read_pictures(filesystem: fs.FileSystem, path: str, files: list[str], uri: str) -> pa.Table:
    pictures = sorted(each for each in files if each.lower().endswith(SUFFIXES))
    if not pictures:
        raise DataError(
            f"folder {uri} holds no .parquet file and no pictures ({', '.join(SUFFIXES)}); "
            "give one that does"
        )
    return pictures_table(filesystem, path, pictures, uri)
