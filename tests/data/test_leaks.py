"""The score by which a column is said to know the label."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from search.data.audit.leaks import binned_auc

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
