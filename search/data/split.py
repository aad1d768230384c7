"""Splits: stratified, and decided by what a row contains, not by where it stands."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from search.data.columns import decoded, image_pixels
from search.data.schema import SPLIT_NAMES, Schema
from search.errors import DataError

NUM_QUANTILES = 10
TEST_SHARE = 0.2
VALIDATION_SHARE, VALIDATION_ROWS, VALIDATION_LIMIT = 0.1, 5_000, 0.2
_SALT = np.uint64(0x9E3779B97F4A7C15)

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Splits:
    """Row numbers, each part sorted, shape (rows,).

    Attributes:
        train: To learn from.
        validation: To choose by.
        test: To prove on, once.
        validation_is_given: The data themselves say which rows are for validation.
    """

    train: Rows
    validation: Rows
    test: Rows
    validation_is_given: bool = False

    def parts(self) -> dict[str, Rows]:
        """Return the parts by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def row_hashes(table: pa.Table, schema: Schema) -> NDArray[np.uint64]:
    """Hash every row's label and features, shape (rows,): the same content, the same hash."""
    return content_hashes(table, [schema.label, *schema.kinds])


def content_hashes(table: pa.Table, names: Sequence[str]) -> NDArray[np.uint64]:
    """Hash what every row holds in some columns, shape (rows,); at most one holds images."""
    images = [name for name in names if pa.types.is_fixed_size_list(table[name].type)]
    plain = [name for name in names if name not in images]
    hashes = np.zeros(table.num_rows, dtype=np.uint64)
    if plain:
        frame = pd.DataFrame({str(n): _hashable(table[name]) for n, name in enumerate(plain)})
        hashes = np.array(pd.util.hash_pandas_object(frame, index=False), dtype=np.uint64)
        for number, name in enumerate(plain):
            if _is_whole(table[name]) and table[name].null_count:  # a gap is no zero
                gaps = decoded(table[name]).is_null().to_numpy(zero_copy_only=False)
                hashes[gaps] = salted(hashes[gaps], "gap", number)
    for name in images:
        hashes = hashes ^ _mix(_image_hashes(table[name]))
    return hashes


def _hashable(column: pa.ChunkedArray) -> pd.Series[Any]:
    column = decoded(column)
    if _is_whole(column):
        # With a gap pandas would make floats of all, and each row would get another hash.
        column = column.fill_null(pa.scalar(0).cast(column.type))
    values: pd.Series[Any] = column.to_pandas()
    return values


def _is_whole(column: pa.ChunkedArray) -> bool:
    kind = decoded(column).type
    return bool(pa.types.is_integer(kind) or pa.types.is_boolean(kind))


def _image_hashes(column: pa.ChunkedArray) -> NDArray[np.uint64]:
    pixels = image_pixels(column)
    digests = b"".join(hashlib.blake2b(row, digest_size=8).digest() for row in pixels)
    return np.frombuffer(digests, dtype=np.uint64)


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread values over all bits (the finalizer of SplitMix64)."""
    with np.errstate(over="ignore"):
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def salted(hashes: NDArray[np.uint64], purpose: str, seed: int) -> NDArray[np.uint64]:
    """Return fresh hashes for another purpose or seed."""
    salt = hashlib.blake2b(f"{purpose}:{seed}".encode(), digest_size=8).digest()
    return _mix(hashes ^ np.frombuffer(salt, dtype=np.uint64)[0])


def make_strata(table: pa.Table, schema: Schema) -> NDArray[np.int64]:
    """Return each row's stratum, shape (rows,): its class, or the decile of its target."""
    values = decoded(table[schema.label]).to_pandas()
    if schema.task == "classification":
        codes: NDArray[np.int64] = pd.factorize(values, sort=True)[0].astype(np.int64)
        return codes
    # Equal targets share a decile, wherever their rows stand.
    ranks = values.rank(method="min").to_numpy() - 1
    deciles: NDArray[np.int64] = (ranks * NUM_QUANTILES // len(ranks)).astype(np.int64)
    return deciles


def make_splits(
    table: pa.Table,
    schema: Schema,
    strata: NDArray[np.int64],
    hashes: NDArray[np.uint64],
    *,
    seed: int,
) -> Splits:
    """Split the rows; an existing split column is honoured, and completed where a part lacks.

    A test part is 20 % of the rows, a validation part 10 % of the others, or more, up to 20 %,
    while it has fewer than 5,000 rows.

    Args:
        table: The data.
        schema: What the columns are.
        strata: Each row's stratum.
        hashes: Each row's hash.
        seed: Another seed, another split.

    Raises:
        DataError: The split column is wrong, or a class has too few rows for its parts.
    """
    if schema.split is None:
        rows = np.arange(table.num_rows)
        _check_classes(table, schema, strata, rows, num_parts=3)
        rest, test = _cut(rows, strata, hashes, TEST_SHARE, "test", seed)
        train, validation = _validation(rest, strata, hashes, seed)
        return _checked(Splits(train, validation, test))
    given = given_parts(table, schema.split)
    train = np.flatnonzero(given == "train")
    validation, test = np.flatnonzero(given == "validation"), np.flatnonzero(given == "test")
    is_given = len(validation) > 0
    num_parts = 1 + (len(test) == 0) + (len(validation) == 0)
    _check_classes(table, schema, strata, train, num_parts=num_parts)
    if len(test) == 0:
        train, test = _cut(train, strata, hashes, TEST_SHARE, "test", seed)
    if len(validation) == 0:
        train, validation = _validation(train, strata, hashes, seed)
    return _checked(Splits(train, validation, test, is_given))


def fresh_divisions(
    splits: Splits,
    strata: NDArray[np.int64],
    hashes: NDArray[np.uint64],
    *,
    num: int,
    seed: int,
) -> list[tuple[Rows, Rows]]:
    """Divide training and validation rows anew, where validation is small and drawn by us.

    Hundreds of trials are chosen by the same few rows; whoever is best there is so by luck, too.
    A proof had better judge on rows that nothing was chosen by. The validation parts returned
    have a tenth of the rows, so that more is left to learn from than in the search; they share
    no rows among themselves, nor with the search's, while there are enough.

    Args:
        splits: The search's.
        strata: Each row's stratum.
        hashes: Each row's hash.
        num: How many divisions.
        seed: Another seed, other divisions.

    Returns:
        (training rows, validation rows), each sorted, together those of the search; none where
        the data name the validation rows, where these are 5,000 or more, or where so few rows
        can't be divided anew.
    """
    if splits.validation_is_given or len(splits.validation) >= VALIDATION_ROWS:
        return []
    everything = np.sort(np.concatenate([splits.train, splits.validation]))
    wanted = VALIDATION_SHARE * len(everything)
    left = splits.train
    divisions: list[tuple[Rows, Rows]] = []
    for number in range(1, num + 1):
        validation = left[:0]
        for source in (left, splits.train):  # from all of them again where too few are left
            if len(validation) == 0 and len(source) > wanted:
                share, purpose = wanted / len(source), f"validation {number}"
                left, validation = _cut(source, strata, hashes, share, purpose, seed)
        if len(validation) == 0:
            return []
        divisions.append((np.setdiff1d(everything, validation), validation))
    return divisions


def _checked(splits: Splits) -> Splits:
    parts = splits.parts()
    total = sum(len(rows) for rows in parts.values())
    for name, rows in parts.items():
        if len(rows) == 0:
            raise DataError(
                f"{total} rows are too few, or too alike, to split: none is left for {name}; "
                "give more data, or a split column that has all three parts"
            )
    return splits


def given_parts(table: pa.Table, column: str) -> NDArray[np.str_]:
    """Return each row's part as a split column names it: train, validation, test.

    Raises:
        DataError: A value is none of these, or no row is for training.
    """
    missing = table[column].null_count
    if missing:
        raise DataError(
            f"split column '{column}' is missing in {missing} rows; give each row its part, or "
            "leave the column out (data.ignore)"
        )
    values = [str(value) for value in decoded(table[column]).to_pylist()]
    unknown = sorted(value for value in set(values) if value.lower() not in SPLIT_NAMES)
    if unknown:
        raise DataError(
            f"split column '{column}' has '{unknown[0]}'; it may have {', '.join(SPLIT_NAMES)}"
        )
    given = np.array([SPLIT_NAMES[value.lower()] for value in values])
    if not (given == "train").any():
        raise DataError(f"split column '{column}' has no training rows")
    return given


def _check_classes(
    table: pa.Table, schema: Schema, strata: NDArray[np.int64], rows: Rows, *, num_parts: int
) -> None:
    if schema.task != "classification":
        return
    counts = np.bincount(strata[rows], minlength=int(strata.max()) + 1)
    small = np.flatnonzero(counts < num_parts)
    if len(small):
        names = np.sort(decoded(table[schema.label]).to_pandas().unique())
        raise DataError(
            f"class '{names[small[0]]}' has {counts[small[0]]} rows in {num_parts} parts to be "
            "split; each class needs one in each: leave it out or merge it with another"
        )


def _validation(
    rows: Rows, strata: NDArray[np.int64], hashes: NDArray[np.uint64], seed: int
) -> tuple[Rows, Rows]:
    wanted = max(VALIDATION_SHARE * len(rows), min(VALIDATION_ROWS, VALIDATION_LIMIT * len(rows)))
    return _cut(rows, strata, hashes, wanted / len(rows), "validation", seed)


def _cut(
    rows: Rows,
    strata: NDArray[np.int64],
    hashes: NDArray[np.uint64],
    share: float,
    purpose: str,
    seed: int,
) -> tuple[Rows, Rows]:
    """Cut ``share`` off each stratum: its rows with the smallest hashes, at least one.

    Copies of a row share its hash, and all of them go to the same side. The larger side is
    never left without rows of a stratum.
    """
    keys = salted(hashes[rows], purpose, seed)
    taken: list[Rows] = []
    for stratum in np.unique(strata[rows]):
        members = np.flatnonzero(strata[rows] == stratum)
        count = max(1, round(share * len(members)))
        limit = np.sort(keys[members])[count - 1]
        side, below = keys[members] <= limit, keys[members] < limit
        closer = below.any() and count - below.sum() < side.sum() - count
        taken.append(members[below if side.all() or closer else side])
    chosen = np.sort(np.concatenate(taken))
    return np.delete(rows, chosen), rows[chosen]


def fingerprint(hashes: NDArray[np.uint64], names: Sequence[str]) -> str:
    """Identify the data: 16 hexadecimal digits over the rows' hashes, order included."""
    digest = hashlib.blake2b(hashes.tobytes(), digest_size=8)
    digest.update("\0".join(names).encode())
    return digest.hexdigest()
