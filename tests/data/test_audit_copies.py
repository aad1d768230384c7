"""Of each set of copies one row stays, and rows that contradict each other stay all."""

import numpy as np
import pyarrow as pa
from audits import about, audited, shop
from hypothesis import given
from hypothesis import strategies as st

from search.data.audit.clean import cleaned
from search.data.audit.copies import copies
from search.data.audit.near import Pairs

ROWS = st.integers(0, 11)


@given(
    st.lists(st.integers(0, 7), min_size=12, max_size=12),
    st.lists(st.tuples(ROWS, ROWS), max_size=8),
    st.permutations(range(12)),
)
def test_of_each_set_of_copies_the_first_row_stays(
    hashes: list[int], links: list[tuple[int, int]], order: list[int]
) -> None:
    one, other = np.array(links, dtype=np.int64).reshape(-1, 2).T
    pairs = Pairs(one, other, np.ones(len(one), dtype=np.float32))
    equal, near = copies(np.array(hashes, dtype=np.uint64), pairs, np.array(order))
    sets = list(range(12))
    linked = [*links, *((a, b) for a in range(12) for b in range(a) if hashes[a] == hashes[b])]
    for a, b in linked * 12:
        sets[a] = sets[b] = min(sets[a], sets[b])
    first = {
        min((row for row in range(12) if sets[row] == each), key=order.__getitem__) for each in sets
    }
    assert not set(equal.tolist()) & set(near.tolist())
    assert set(range(12)) - {*equal.tolist(), *near.tolist()} == first


def pictures(pixels: np.ndarray, label: list[str], **columns: list[str]) -> pa.Table:
    images = pa.FixedSizeListArray.from_arrays(pa.array(pixels.ravel()), pixels.shape[1])
    return pa.table({"picture": images, **columns, "label": label})


def some_pixels(num: int = 200) -> np.ndarray:
    return np.random.default_rng(0).integers(5, 250, (num, 64), dtype=np.uint8)


def again(pixels: np.ndarray) -> np.ndarray:
    return (pixels + np.random.default_rng(1).integers(-2, 3, pixels.shape)).astype(np.uint8)


def test_the_training_row_of_a_picture_stays_though_its_copies_for_the_test_come_first() -> None:
    pixels, label = some_pixels(), ["a", "b"] * 100
    every = np.vstack([pixels[:30], again(pixels[30:60]), pixels])
    split = ["test"] * 60 + ["train"] * 200
    table = pictures(every, [*label[:60], *label], split=split)
    mended, _ = cleaned(table, audited(table, "label"))
    assert mended.equals(table.slice(60))


def test_copies_of_a_picture_with_another_label_are_named_and_stay() -> None:
    pixels, label = some_pixels(), ["a", "b"] * 100
    every = np.vstack([pixels, pixels[:20], again(pixels[20:40]), pixels[:10]])
    others = ["c"] * 40 + label[:10]
    table = pictures(every, [*label, *others])
    findings = audited(table, "label")
    (contradicting,) = [f for f in about(findings, "images") if "another label" in f.message]
    assert set(contradicting.rows.tolist()) == set(range(200, 240))
    mended, _ = cleaned(table, findings)
    assert mended.equals(table.slice(0, 240))


def test_a_case_that_was_measured_again_with_another_class_stays() -> None:
    table = shop()
    rows = np.random.default_rng(4).choice(3_000, 150, replace=False)
    noise = 1.0 + 1e-3 * np.random.default_rng(5).normal(size=150)
    same = table.take(pa.array(rows))
    same = same.set_column(1, "income", pa.array(same["income"].to_numpy() * noise))
    other = same.set_column(3, "kind", pa.array(["wood"] * 150))
    both = pa.concat_tables([table, other])
    findings = audited(both)
    kinds = np.array(both["kind"].to_pylist())
    wrong = 3_000 + np.flatnonzero(kinds[rows] != "wood")
    mended, _ = cleaned(both, findings)
    left = set(zip(mended["income"].to_pylist(), mended["kind"].to_pylist(), strict=True))
    assert all((both["income"][row].as_py(), "wood") in left for row in wrong.tolist())
    (contradicting,) = about(findings, "contradictory_labels")
    assert np.isin(wrong, contradicting.rows).mean() > 0.9
