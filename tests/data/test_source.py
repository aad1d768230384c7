from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest
from example_tables import classes_table, mixed_table, parquet, refused

from search.data.source import read_table
from search.errors import DataError


@pytest.mark.parametrize(
    ("name", "rows", "columns"),
    [("digits", 1797, 2), ("breast_cancer", 569, 31), ("wine", 178, 14), ("diabetes", 442, 11)],
)
def test_a_bundled_set_has_its_rows_and_a_label(name: str, rows: int, columns: int) -> None:
    table = read_table(f"sklearn:{name}")
    assert (table.num_rows, table.num_columns) == (rows, columns)
    assert table.column_names[-1] == "label"


def test_the_bundled_digits_are_images() -> None:
    assert read_table("sklearn:digits")["image"].type == pa.list_(pa.uint8(), 64)


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("sklearn:digit", ["'sklearn:digit'", "did you mean 'digits'?"]),
        ("sklearn:xyz", ["'sklearn:xyz'", "known: digits, breast_cancer, wine, diabetes"]),
    ],
)
def test_an_unknown_bundled_set_is_refused_with_a_known_one(uri: str, words: list[str]) -> None:
    with refused(*words):
        read_table(uri)


def test_a_parquet_file_is_read_by_path_and_by_uri(tmp_path: Path) -> None:
    table = classes_table([5, 5])
    path = parquet(tmp_path, table)
    assert read_table(path).equals(table)
    assert read_table(f"file://{path}").equals(table)


def test_a_path_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet(tmp_path, mixed_table())
    monkeypatch.chdir(tmp_path)
    assert read_table("data.parquet").num_rows == 120


def test_a_folder_is_read_in_the_order_of_its_files_names(tmp_path: Path) -> None:
    table = classes_table([5, 5])
    parts = {"a": table[:3], "b": table[3:6], "c": table[6:]}
    for name in ("c", "a", "b"):
        parquet(tmp_path, parts[name], f"{name}.parquet")
    (tmp_path / "README.txt").write_text("no data")
    assert read_table(str(tmp_path)).equals(table)


def test_a_csv_is_read(tmp_path: Path) -> None:
    table = classes_table([5, 5])
    pa_csv.write_csv(table, tmp_path / "data.CSV")
    assert read_table(str(tmp_path / "data.CSV")).equals(table)


def test_an_empty_cell_of_a_csv_is_missing_also_among_strings(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("x,colour,label\n1,red,a\n,,b\n")
    table = read_table(str(tmp_path / "data.csv"))
    assert table["x"].to_pylist() == [1, None]
    assert table["colour"].to_pylist() == ["red", None]


def test_missing_data_are_refused(tmp_path: Path) -> None:
    for uri in (str(tmp_path / "none.parquet"), f"file://{tmp_path}/none.csv"):
        with refused("no data at", uri, "give sklearn:NAME, a Parquet file or folder, or a CSV"):
            read_table(uri)


def test_an_unknown_scheme_is_refused() -> None:
    with refused("foo://bucket/data.parquet", "Unrecognized filesystem"):
        read_table("foo://bucket/data.parquet")


@pytest.mark.parametrize("name", ["data.parquet", "data.csv"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with refused(name, "is empty", "give a file with data"):
        read_table(str(tmp_path / name))


def test_data_without_rows_are_refused(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("x,label\n")
    for path in (str(tmp_path / "data.csv"), parquet(tmp_path, mixed_table().slice(0, 0))):
        with refused(path, "has no rows", "give a file with data"):
            read_table(path)


def test_a_folder_without_parquet_is_refused(tmp_path: Path) -> None:
    with refused(str(tmp_path), "no .parquet file", "give one"):
        read_table(str(tmp_path))


@pytest.mark.parametrize("kept", [3, 200, -5])
def test_a_truncated_parquet_file_is_refused(tmp_path: Path, kept: int) -> None:
    path = Path(parquet(tmp_path, mixed_table()))
    path.write_bytes(path.read_bytes()[:kept])
    with refused(str(path), "can't be read as Parquet"):
        read_table(str(path))


def test_a_truncated_file_in_a_folder_is_refused_by_its_name(tmp_path: Path) -> None:
    parquet(tmp_path, mixed_table(), "a.parquet")
    broken = Path(parquet(tmp_path, mixed_table(), "b.parquet"))
    broken.write_bytes(broken.read_bytes()[:-5])
    with refused(str(tmp_path), "can't be read as Parquet", "b.parquet"):
        read_table(str(tmp_path))


@pytest.mark.parametrize("text", ["x,label\n1,2\n1,2,3\n", "\n\n"])
def test_a_damaged_csv_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "data.csv").write_text(text)
    with refused(str(tmp_path / "data.csv"), "can't be read as CSV"):
        read_table(str(tmp_path / "data.csv"))


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("x,x,label\n1,2,a\n3,4,b\n")
    with refused("data.csv has 2 columns named 'x'", "rename"):
        read_table(str(tmp_path / "data.csv"))


def test_a_folder_s_partitions_are_columns(tmp_path: Path) -> None:
    """As Spark writes them."""
    for part, table in (("train", classes_table([5, 5])), ("test", classes_table([2, 2]))):
        (folder := tmp_path / "rows" / f"split={part}").mkdir(parents=True)
        parquet(folder, table, "part-0.parquet")
    table = read_table(str(tmp_path / "rows"))
    assert sorted(table["split"].to_pylist()) == ["test"] * 4 + ["train"] * 10


def test_files_of_a_folder_with_other_columns_are_refused(tmp_path: Path) -> None:
    table = classes_table([5, 5])
    parquet(tmp_path, table, "a.parquet")
    parquet(tmp_path, table.append_column("more", pa.array(range(10))), "b.parquet")
    with pytest.raises(DataError, match="'more' is a column of some of its files"):
        read_table(str(tmp_path))
