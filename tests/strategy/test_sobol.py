import numpy as np
from scipy.stats import qmc

from search.strategy.sobol import SobolPoints


def test_a_point_does_not_depend_on_which_were_asked_for_before() -> None:
    forward = [SobolPoints(3, 5)[index].tolist() for index in (0, 300, 700)]
    shared = SobolPoints(3, 5)
    backward = [shared[index].tolist() for index in (700, 300, 0)]
    assert backward[::-1] == forward


def test_the_points_are_a_scrambled_sobol_sequence() -> None:
    for seed in range(5):
        points = SobolPoints(6, seed)
        found = np.stack([points[index] for index in range(64)])
        assert found.min() > 0
        assert found.max() < 1
        # Each half, quarter … of each axis has its share of the points.
        for bins in (2, 4, 16, 64):
            for axis in range(6):
                counts = np.bincount((found[:, axis] * bins).astype(int), minlength=bins)
                assert set(counts) == {64 // bins}
        random = np.random.default_rng(seed).random((64, 6))
        assert qmc.discrepancy(found) < 0.7 * qmc.discrepancy(random)
    assert not np.allclose(SobolPoints(6, 0)[0], SobolPoints(6, 1)[0])
