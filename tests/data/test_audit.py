import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from audits import about, audited, found_by, shop

from benchmarks.guide.plant import KINDS, blank_images, copied_images, with_split
from search.data import DataOptions
from search.data.audit import CHECKS, Finding, audit_table, failures
from search.data.audit.clean import cleaned, write_clean
from search.data.source import read_table
from search.errors import DataError


def test_every_check_speaks_and_clean_data_pass_all_but_the_suspects() -> None:
    findings = audited(with_split(shop(), np.random.default_rng(0)))
    assert list(dict.fromkeys(each.check for each in findings)) == list(CHECKS)
    poor = {each.check for each in findings if each.status != "PASS"}
    assert poor <= {"label_errors"}  # some rows are hard
    assert failures(findings) == []


@pytest.mark.parametrize("check", list(KINDS))
def test_what_is_planted_is_found_with_its_rows_and_columns(check: str) -> None:
    made = KINDS[check](shop(), "kind", np.random.default_rng(1))
    found = found_by(check, made.table)
    assert found, "nothing found"
    columns = {column for each in found for column in each.columns}
    assert set(made.columns) <= columns | {"split"}
    rows = np.concatenate([each.rows for each in found])
    assert sum(each.num_rows for each in found) == len(rows)
    if len(made.rows) and check != "label_errors":
        assert np.isin(made.rows, rows).all()
    if check == "label_errors":
        assert np.isin(found[0].rows[:50], made.rows).mean() > 0.7
    wanted = "FAIL" if check in ("split_copies", "leaking_column") else "WARN"
    assert {each.status for each in found} == {wanted}
    assert all(each.remedy for each in found)


def test_cases_that_come_by_themselves_in_both_parts_do_not_fail() -> None:
    table = with_split(shop(), np.random.default_rng(0))
    twice = table.take(pa.array(np.random.default_rng(2).integers(0, 1_500, 3_000)))
    random_parts = np.random.default_rng(3).choice(["train", "test"], 3_000).tolist()
    place = twice.column_names.index("split")
    found = found_by("split_copies", twice.set_column(place, "split", pa.array(random_parts)))
    assert {each.status for each in found} == {"WARN"}


@pytest.mark.parametrize(("plant", "what"), [(blank_images, "blank"), (copied_images, "copies")])
def test_images_that_show_nothing_or_come_twice_are_found(plant, what: str) -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 255, (400, 64), dtype=np.uint8)
    images = pa.FixedSizeListArray.from_arrays(pa.array(pixels.ravel()), 64)
    table = pa.table({"picture": images, "label": random.choice(["a", "b"], 400)})
    assert found_by("images", table, "label") == []
    made = plant(table, "label", np.random.default_rng(1))
    found = found_by("images", made.table, "label")
    assert all(what in each.message for each in found)
    rows = np.concatenate([each.rows for each in found])
    assert int(np.isin(made.rows, rows).sum()) == len(rows) == (20 if what == "blank" else 50)


def test_a_case_that_was_measured_again_is_found_and_told_when_it_stands_in_two_parts() -> None:
    """In the table itself some customers are as near by chance: that alone is no finding."""
    assert found_by("duplicates", shop()) == []
    random = np.random.default_rng(4)
    rows = random.choice(3_000, 150, replace=False)
    again = shop().take(pa.array(rows))
    noisy = again["income"].to_numpy() * (1.0 + 1e-3 * random.normal(size=len(rows)))
    again = again.set_column(again.column_names.index("income"), "income", pa.array(noisy))
    table = pa.concat_tables([shop(), again])
    (found,) = found_by("duplicates", table)
    assert (found.status, "nearly copies" in found.message) == ("WARN", True)
    assert np.isin(np.arange(3_000, 3_150), found.rows).mean() > 0.9
    parts = ["train"] * 3_000 + ["test"] * 150
    (across,) = found_by("split_copies", table.append_column("split", pa.array(parts)))
    assert (across.status, across.num_rows > 135) == ("WARN", True)


def test_a_picture_that_was_saved_again_is_found() -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(5, 250, (400, 64), dtype=np.uint8)
    again = (pixels[:30] + random.integers(-2, 3, (30, 64))).astype(np.uint8)
    images = pa.FixedSizeListArray.from_arrays(pa.array(np.vstack([pixels, again]).ravel()), 64)
    labels = random.choice(["a", "b"], 400)
    table = pa.table({"picture": images, "label": [*labels, *labels[:30]]})
    (found,) = found_by("images", table, "label")
    assert "nearly copies" in found.message
    assert set(found.rows.tolist()) == set(range(400, 430))


def test_a_regression_has_its_leaks_and_gaps_too() -> None:
    table = shop()
    target = pa.array(np.log(table["income"].to_numpy()))
    table = table.drop_columns(["kind"]).append_column("target", target)
    (found,) = found_by("leaking_column", table, "target")
    assert found.columns == ("income",)
    assert "R²" in found.message


def test_what_happened_beside_what_was_planned_is_found_by_the_difference() -> None:
    random = np.random.default_rng(0)
    planned = random.uniform(6.0, 22.0, 2_000)
    late = random.exponential(0.4, 2_000) + 0.01 * planned
    label = np.where(late > 0.7, "late", "in time")
    table = pa.table({"planned": planned, "arrived": planned + late, "label": label.tolist()})
    (found,) = found_by("leaking_column", table, "label")
    assert (found.status, found.columns) == ("WARN", ("arrived",))
    assert "the difference of 'arrived' and 'planned'" in found.message


def test_what_happened_between_two_leaks_is_found_and_no_honest_column_with_it() -> None:
    random = np.random.default_rng(0)
    number = 3_000
    hour, way = random.uniform(6.0, 22.0, number), random.uniform(100.0, 2_500.0, number)
    flown = way / 8.0 + random.normal(0.0, 8.0, number)
    left = random.exponential(2.0 * hour, number) - 8.0
    came = left + flown - way / 8.0 + random.normal(0.0, 6.0, number)
    columns = {"hour": hour, "way": way, "flown": flown, "left": left, "came": came}
    table = pa.table({**columns, "late": np.where(came > 20.0, "yes", "no").tolist()})
    found = found_by("leaking_column", table, "late")
    assert [each.columns[0] for each in found] == ["came", "left", "flown"]
    assert found[2].status == "WARN"
    assert "tells how 'came' and 'left' differ" in found[2].message


def test_amounts_that_are_nearly_all_different_dont_make_copies_of_the_rest() -> None:
    generator = np.random.default_rng(0)
    amounts = generator.integers(0, 10**9, size=3_000)
    kinds = generator.choice(list("abcd"), size=3_000)
    columns = {"amount": amounts, "sort": kinds, "label": generator.choice(["x", "y"], size=3_000)}
    for check in ("duplicates", "contradictory_labels"):
        assert not found_by(check, pa.table(columns), "label")
    named = pa.table({**columns, "order_id": amounts}).drop_columns(["amount"])
    assert found_by("duplicates", named, "label"), "what names the rows doesn't tell them apart"


@pytest.mark.parametrize("draw", ["random", "normal", "exponential", "standard_cauchy"])
@pytest.mark.parametrize("num_rows", [200, 2_000])
def test_neighbours_in_a_single_crowded_column_are_no_copies(draw: str, num_rows: int) -> None:
    generator = np.random.default_rng(0)
    size = getattr(generator, draw)(size=num_rows)
    label = generator.choice(["x", "y"], size=num_rows)
    assert not found_by("duplicates", pa.table({"size": size, "label": label}), "label")


def test_a_gap_is_no_zero() -> None:
    children = pa.array([None, 0] * 40, type=pa.int64())
    label = ["a", "b"] * 40
    plan = [f"plan {number // 2}" for number in range(80)]
    found = audited(pa.table({"children": children, "plan": plan, "label": label}), "label")
    assert not about(found, "contradictory_labels")
    assert not about(found, "duplicates")


def test_odd_tables_are_audited_without_a_traceback() -> None:
    names = [f"n{number}" for number in range(3_000)]
    table = shop().append_column("name", pa.array(names))
    (found,) = found_by("identifier_column", table)
    assert found.columns == ("name",)
    words = shop().select(["town", "kind"])
    assert failures(audited(words)) == []
    few = pa.table({"x": [1.5, 2.5, 3.5, 4.5], "label": ["a", "a", "b", "b"]})
    assert {each.check for each in found_by("rare_class", few, "label")} == {"rare_class"}


def test_ten_thousand_categories_are_audited_and_name_nothing() -> None:
    generator = np.random.default_rng(0)
    codes = [f"v{code}" for code in generator.integers(0, 10_000, size=12_000)]
    table = pa.table({"code": codes, "label": generator.choice(["a", "b"], size=12_000)})
    assert failures(audited(table, "label")) == []


@pytest.mark.parametrize(
    "values",
    [[datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)] * 30, [[1, 2]] * 60, [{"a": 1}] * 60],
)
def test_dates_and_nested_columns_are_refused_in_a_line(values: list[object]) -> None:
    table = pa.table({"x": np.arange(60.0), "odd": values, "label": ["a", "b"] * 30})
    with pytest.raises(DataError, match=r"column 'odd' is of type .*; leave it out"):
        audited(table, "label")


def test_two_part_shift_is_found() -> None:
    table = shop()
    parts = np.where(table["age"].to_numpy() > 60, "test", "train").tolist()
    (found,) = found_by("split_shift", table.append_column("split", pa.array(parts)))
    assert found.value is not None
    assert found.value > 0.9


def test_a_failure_can_be_accepted_by_name() -> None:
    made = KINDS["leaking_column"](shop(), "kind", np.random.default_rng(0))
    findings = audited(made.table)
    assert [each.check for each in failures(findings)] == ["leaking_column"]
    assert failures(findings, ["leaking_column"]) == []


def test_a_finding_is_the_same_after_json() -> None:
    made = KINDS["duplicates"](shop(1_000), "kind", np.random.default_rng(0))
    for each in audited(made.table):
        again = Finding.from_json(each.to_json())
        assert again.to_json() == each.to_json()
        assert set(each.to_json()) == {
            *("check", "status", "columns", "rows", "num_rows", "value", "message", "remedy")
        }


def test_a_cleaned_copy_passes_what_it_could_mend(tmp_path: Path) -> None:
    table = shop()
    for check in (
        *("leaking_column", "identifier_column", "constant_column", "category_variants"),
        *("duplicates", "split_copies"),
    ):
        table = KINDS[check](table, "kind", np.random.default_rng(0)).table
    findings = audited(table)
    assert len({each.check for each in findings if each.status != "PASS"}) >= 6
    done = write_clean(table, findings, tmp_path / "clean.parquet")
    assert len(done) == 3
    again = audited(pq.read_table(tmp_path / "clean.parquet"))
    assert {each.check for each in again if each.status != "PASS"} <= {"label_errors", "outliers"}


def test_what_is_accepted_stays_in_a_cleaned_copy() -> None:
    table = KINDS["duplicates"](shop(), "kind", np.random.default_rng(0)).table
    findings = found_by("duplicates", table)
    assert cleaned(table, findings)[0].num_rows < table.num_rows
    assert cleaned(table, findings, ["duplicates"]) == (table, [])


def test_a_cleaned_copy_never_overwrites_and_leaves_sound_data_alone(tmp_path: Path) -> None:
    table, target = shop(), tmp_path / "there.csv"
    findings = audited(table)
    assert cleaned(table, findings) == (table, [])
    target.write_text("mine")
    with pytest.raises(DataError, match="the file exists"):
        write_clean(table, findings, target)
    with pytest.raises(DataError, match=r"name a \.parquet or \.csv file"):
        write_clean(table, findings, tmp_path / "clean.txt")
    assert target.read_text() == "mine"


def test_the_seed_decides_and_the_file_is_only_read(tmp_path: Path) -> None:
    path = tmp_path / "shop.parquet"
    pq.write_table(shop(1_000), path)
    before = path.read_bytes()
    options = DataOptions(str(path), label="kind")
    first, second = (
        [each.to_json() for each in audit_table(read_table(options.uri), options)],
        [each.to_json() for each in audit_table(read_table(options.uri), options)],
    )
    assert first == second
    assert path.read_bytes() == before


def test_a_cleaned_copy_keeps_one_row_of_each_case_wherever_its_copies_stand() -> None:
    """Test rows first: the later copy is a training row, and the only one that may stay."""
    table = shop()
    test = table.take(pa.array(range(200)))
    both = pa.concat_tables([test, table]).append_column(
        "split", pa.array(["test"] * 200 + ["train"] * 3_000)
    )
    findings = audited(both)
    (copies,) = about(findings, "duplicates")
    assert set(copies.rows.tolist()) == set(range(200))
    mended, _ = cleaned(both, findings)
    assert mended.num_rows == 3_000
    assert set(mended["split"].to_pylist()) == {"train"}
