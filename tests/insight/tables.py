"""Small tables of features and what models say of their rows."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from search.data.audit.view import Codes
from search.data.features import Features
from search.insight.judgement import Judgement, Truth
from search.training.predictions import Predictions


def features(
    numeric: Mapping[str, NDArray] | None = None, categorical: Mapping[str, list] | None = None
) -> Features:
    """Return features of the rows 0, 1, 2 …"""
    numbers = {name: np.asarray(v, dtype=np.float64) for name, v in (numeric or {}).items()}
    codes = {
        name: Codes.of(pa.chunked_array([pa.array(list(v), pa.string())]))
        for name, v in (categorical or {}).items()
    }
    (size,) = {len(v) for v in numbers.values()} | {len(c.codes) for c in codes.values()}
    return Features(np.arange(size), numbers, codes)


def adults(num_rows: int, seed: int = 0) -> Features:
    """Return a number, a number with gaps and few values, and two categories."""
    random = np.random.default_rng(seed)
    gain = np.where(random.random(num_rows) < 0.8, 0.0, random.integers(1, 9, num_rows))
    return features(
        {
            "age": random.integers(17, 90, num_rows),
            "gain": np.where(random.random(num_rows) < 0.1, np.nan, gain),
        },
        {
            "work": random.choice(["private", "state", "own"], num_rows, p=[0.6, 0.25, 0.15]),
            "sex": random.choice(["male", "female"], num_rows),
        },
    )


def certain(codes: NDArray, num_classes: int, confidence: float = 0.9) -> NDArray[np.float32]:
    """Return logits that give each row's class so much probability, the others the rest."""
    others = (1 - confidence) / (num_classes - 1)
    probabilities = np.full((len(codes), num_classes), others)
    probabilities[np.arange(len(codes)), codes] = confidence
    return np.log(probabilities).astype(np.float32)


def judged(truth: Truth, *runs: tuple[NDArray, NDArray]) -> Judgement:
    """Return the judgement of runs, each (rows, outputs)."""
    found = Judgement.of([Predictions(rows, outputs) for rows, outputs in runs], truth)
    assert found is not None
    return found
