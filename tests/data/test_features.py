"""What rows hold is kept in the user's own units."""

import numpy as np
import pyarrow as pa
from example_tables import images, mixed_table, schema_of

from search.data import features
from search.data.features import Features, num_rows_to_keep

ROWS = np.array([80, 3, 7, 7, 14])


def test_values_are_those_of_the_table() -> None:
    table = mixed_table()
    found = Features.of(table, schema_of(table), ROWS)
    assert found.rows.tolist() == [3, 7, 14, 80]
    assert np.array_equal(found.numeric["x"], table["x"].to_numpy()[found.rows])
    assert np.isnan(found.numeric["gaps"]).tolist() == [False, True, True, False]
    row = found.values_at(1, 10)
    assert row == {"x": table["x"][7].as_py(), "gaps": None, "colour": table["colour"][7].as_py()}
    assert list(found.values_at(1, 2)) == ["x", "gaps"]


def test_categories_are_named_as_they_are_for_training() -> None:
    table = pa.table({"flag": [True, None, False, True], "label": [0, 1, 0, 1]})
    found = Features.of(table, schema_of(table), np.arange(4)).categorical["flag"]
    assert [found.values[code] if code >= 0 else None for code in found.codes] == [
        "true",
        None,
        "false",
        "true",
    ]


def test_fewer_rows_keep_their_values() -> None:
    table = mixed_table()
    found = Features.of(table, schema_of(table), ROWS)
    few = found.only(np.array([7, 80]))
    assert few.rows.tolist() == [7, 80]
    assert few.values_at(0, 10) == found.values_at(1, 10)
    places, known = found.places(np.array([2, 3, 80, 99]))
    assert known.tolist() == [False, True, True, False]
    assert found.rows[places[known]].tolist() == [3, 80]


def test_of_images_brightness_and_contrast_are_kept(monkeypatch) -> None:
    monkeypatch.setattr(features, "_CHUNK", 2)
    table = pa.table({"picture": images(9, 16), "label": np.arange(9) % 3})
    found = Features.of(table, schema_of(table), np.array([1, 4, 8]))
    pixels = table["picture"].combine_chunks().flatten().to_numpy().reshape(9, 16)[[1, 4, 8]]
    assert np.allclose(found.numeric["brightness of picture"], pixels.mean(1))
    assert np.allclose(found.numeric["contrast of picture"], pixels.std(1))


def test_of_wide_tables_and_of_many_classes_fewer_rows_are_kept() -> None:
    assert num_rows_to_keep(10, 10) == features.MAX_ROWS
    assert num_rows_to_keep(10_000, 10) == 2_000
    assert num_rows_to_keep(10, 1_000) == 4_000
    assert num_rows_to_keep(10**9, 10) == 1
