"""The score by which a column is said to know the label, or a class."""

import numpy as np
import pyarrow as pa
import pytest
from audits import about, audited
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from search.data.audit.strength import binned_auc

COUNTS = st.integers(0, 5)


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.1, 0.1 + 1e-9, 0.5, 1.0]), COUNTS, COUNTS), min_size=1
    ).filter(lambda bins: any(p for _, p, _ in bins) and any(n for _, _, n in bins))
)
def test_the_auc_of_bins_is_that_of_their_rows(bins: list[tuple[float, int, int]]) -> None:
    scores, positive, negative = np.array(bins, dtype=np.float64).T
    truth = np.repeat([1, 0], len(bins))
    weights = np.concatenate([positive, negative])
    wanted = roc_auc_score(truth, np.tile(scores, 2), sample_weight=weights)
    assert binned_auc(scores, positive, negative) == pytest.approx(wanted)


def three_classes(first_share: float = 1 / 3, num_rows: int = 3_000) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    others = (1.0 - first_share) / 2
    label = random.choice(["a", "b", "c"], num_rows, p=[first_share, others, others])
    return {"x": random.normal(size=num_rows) + 0.5 * (label == "b"), "label": label}


@pytest.mark.parametrize("as_words", [False, True])
def test_a_column_that_knows_one_class_of_three_is_warned_of_by_the_class_s_name(
    as_words: bool,
) -> None:
    columns = three_classes()
    is_a = columns["label"] == "a"
    known = np.where(is_a, "yes", "no") if as_words else 1.5 * is_a
    table = pa.table({**columns, "known": known})
    (found,) = about(audited(table, "label"), "leaking_column")
    assert (found.status, found.columns) == ("WARN", ("known",))
    assert "class 'a'" in found.message


def test_a_rare_class_may_stand_apart_by_itself() -> None:
    columns = three_classes(first_share=0.03)
    table = pa.table({**columns, "known": 1.5 * (columns["label"] == "a")})
    assert about(audited(table, "label"), "leaking_column") == []
