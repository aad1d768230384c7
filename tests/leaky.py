"""Data that no run may take as they are."""

import numpy as np
import pyarrow as pa


def leaky_table() -> pa.Table:
    """Return a table whose column ``outcome`` is the label itself."""
    random = np.random.default_rng(0)
    label = random.integers(0, 2, 400)
    return pa.table({"x": random.normal(size=400), "outcome": 2.5 * label, "label": label})
