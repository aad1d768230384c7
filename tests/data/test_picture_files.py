"""Pictures in files, and encoded in a column."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from search.data import DataOptions, load_dataset
from search.data.source import read_table
from search.errors import DataError

Image = pytest.importorskip("PIL.Image", reason="Pillow isn't installed (the dev extra has it)")
RANDOM = np.random.default_rng(0)


def pixels(height: int = 6, width: int = 9, channels: int = 3) -> NDArray[np.uint8]:
    shape = (height, width) if channels == 1 else (height, width, channels)
    return RANDOM.integers(0, 256, shape, dtype=np.uint8)


def encoded(values: NDArray[np.uint8], kind: str = "PNG") -> bytes:
    Image.fromarray(values).save(buffer := io.BytesIO(), format=kind)
    return buffer.getvalue()


def save(folder: Path, name: str, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(encoded(values))
    return values


def test_folders_are_classes_and_the_pictures_of_any_shape(tmp_path: Path) -> None:
    cat, dog = save(tmp_path, "cat/b.png", pixels()), save(tmp_path, "dog/deep/a.PNG", pixels())
    (tmp_path / "cat" / "notes.txt").write_text("no picture")
    table = read_table(str(tmp_path))
    assert table.column_names == ["image", "label"]
    assert table["label"].to_pylist() == ["cat", "dog"]
    for row, picture in zip(table["image"].to_pylist(), (cat, dog), strict=True):
        assert row == picture.transpose(2, 0, 1).ravel().tolist()


def test_parts_of_the_data_may_be_folders_above(tmp_path: Path) -> None:
    for part, number in (("train", 12), ("val", 4), ("test", 4)):
        for each in range(number):
            save(tmp_path, f"{part}/{'cat' if each % 2 else 'dog'}/{each}.png", pixels(channels=1))
    data = load_dataset(DataOptions(str(tmp_path)))
    assert data.spec.image == (1, 6, 9), "no square, and nothing had to be declared"
    assert data.spec.classes == ("cat", "dog")
    rows = data.splits
    assert [len(each) for each in (rows.train, rows.validation, rows.test)] == [12, 4, 4]


def test_one_in_colour_makes_all_of_them_coloured(tmp_path: Path) -> None:
    grey = save(tmp_path, "a/grey.png", pixels(channels=1))
    save(tmp_path, "b/colour.png", pixels())
    table = read_table(str(tmp_path))
    assert table["image"][0].as_py() == [*grey.ravel()] * 3


def test_without_folders_there_is_no_label(tmp_path: Path) -> None:
    save(tmp_path, "1.png", pixels())
    assert read_table(str(tmp_path)).column_names == ["image"]


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_column_of_encoded_pictures_is_decoded(tmp_path: Path, wrapped: bool) -> None:
    shown = [pixels(channels=1) for _ in range(3)]
    column: list = [encoded(each) for each in shown]
    if wrapped:  # as Hugging Face's data sets have them
        column = [{"bytes": each, "path": None} for each in column]
    table = pa.table({"x": [1, 2, 3], "photo": column, "label": ["a", "b", "a"]})
    pq.write_table(table, tmp_path / "data.parquet")
    read = read_table(str(tmp_path / "data.parquet"))
    assert read.column_names == ["x", "photo", "label"]
    assert read["photo"].to_pylist() == [each.ravel().tolist() for each in shown]


def test_bytes_that_are_no_pictures_are_left_as_they_are(tmp_path: Path) -> None:
    table = pa.table({"hash": [b"abc", b"def"], "label": ["a", "b"]})
    pq.write_table(table, tmp_path / "data.parquet")
    assert read_table(str(tmp_path / "data.parquet")).equals(table)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("b/2.png", encoded(pixels(6, 8)), "a/1.png is 9 x 6 pixels, b/2.png 8 x 6"),
        ("b/2.png", b"\x89PNG and nothing more", "b/2.png can't be read as a picture"),
        ("b/2.png", encoded(pixels())[:-60], "b/2.png can't be read as a picture"),
        ("2.png", encoded(pixels()), "'2.png' is in no class's folder and others are"),
        (
            "b/2.png",
            encoded(RANDOM.integers(0, 60_000, (6, 9)).astype(np.uint16)),
            "b/2.png has more than 8 bits a value",
        ),
    ],
)
def test_pictures_that_don_t_go_together_are_named(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    save(tmp_path, "a/1.png", pixels())
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=words) as refused:
        read_table(str(tmp_path))
    assert "\n" not in str(refused.value)


def test_a_row_without_a_picture_is_told(tmp_path: Path) -> None:
    table = pa.table({"photo": [encoded(pixels()), None], "label": ["a", "b"]})
    pq.write_table(table, tmp_path / "data.parquet")
    with pytest.raises(DataError, match="column 'photo': 1 images are missing"):
        read_table(str(tmp_path / "data.parquet"))
