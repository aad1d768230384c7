import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import check_grad

from search.strategy import gp


def wave(inputs: np.ndarray) -> np.ndarray:
    """Return a function of the first column alone."""
    return gp.standardise(np.sin(6 * inputs[:, 0]))


def sample(number: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((number, columns))


@pytest.mark.parametrize(
    ("given_groups", "has_fidelity"), [([0, 1, 2, 2], False), ([0, 1, 1, 2], True)]
)
def test_the_gradient_is_that_of_the_posterior(given_groups: list[int], has_fidelity: bool) -> None:
    inputs, groups = sample(30, 4), np.array(given_groups)
    prior = gp.Hyperparameters.prior(3).pack()
    squared = gp._squared_differences(inputs, groups, 3)

    def posterior(vector: np.ndarray) -> tuple[float, np.ndarray]:
        return gp._negative_posterior(
            vector, squared, wave(inputs), prior, np.ones(5), has_fidelity
        )

    for seed in range(3):
        at = prior + np.random.default_rng(seed).normal(size=5)
        error = check_grad(lambda v: posterior(v)[0], lambda v: posterior(v)[1], at)
        assert error < 1e-3


def test_it_predicts_and_knows_where_it_doesn_t() -> None:
    inputs = sample(60, 3)
    process = gp.fit(inputs, wave(inputs), np.arange(3))
    new = sample(200, 3, seed=1)
    expected = gp.fit(new, wave(new), np.arange(3)).predict(new)[0]
    mean, sd = process.predict(new)
    assert np.corrcoef(mean, expected)[0, 1] > 0.99
    far = process.predict(np.full((1, 3), 9.0))[1]
    assert far[0] > 5 * np.median(sd)


@pytest.mark.parametrize("width", [6, 12, 20, 60])
@pytest.mark.parametrize("has_fidelity", [False, True])
def test_points_know_of_each_other_in_any_number_of_dimensions(
    width: int, has_fidelity: bool
) -> None:
    inputs = np.hstack([sample(200, width), np.zeros((200, int(has_fidelity)))])
    known = gp.Hyperparameters.prior(inputs.shape[1], has_fidelity=has_fidelity)
    groups = np.arange(inputs.shape[1])
    process = gp.GaussianProcess(inputs[:1], np.ones(1), groups, known, has_fidelity=has_fidelity)
    correlation = process.predict(inputs[1:])[0]
    assert 0.05 < correlation.mean() < 0.7


def test_slopes_along_the_fidelity_are_not_extended() -> None:
    curves = [(x, s, 1.0 - 2.0 * s) for x in np.linspace(0, 1, 6) for s in (0.0, 0.2, 0.4)]
    inputs, values = np.array(curves)[:, :2], np.array(curves)[:, 2]
    known = gp.Hyperparameters(np.log([0.5, 1.0]), 0.0, math.log(1e-3))

    def at_the_end(has_fidelity: bool) -> float:
        process = gp.GaussianProcess(inputs, values, np.arange(2), known, has_fidelity=has_fidelity)
        return float(process.predict(np.array([[0.5, 0.8]]))[0][0])

    assert at_the_end(False) < -0.2 < 0.0 < at_the_end(True) <= 0.2


def test_columns_that_do_not_matter_get_long_lengthscales() -> None:
    inputs = sample(80, 3)
    first, *others = gp.fit(inputs, wave(inputs), np.arange(3)).hyperparameters.lengthscales
    assert all(other > first + 1.0 for other in others)


def test_believing_lowers_the_uncertainty_and_leaves_the_mean() -> None:
    inputs = sample(20, 2)
    process = gp.fit(inputs, wave(inputs), np.arange(2))
    at = np.array([[2.0, 0.9]])
    posterior = process.at(np.vstack([at, at + 0.1, sample(5, 2, seed=1)]))
    mean, sd = posterior.mean, posterior.sd
    assert np.allclose(process.predict(at), (mean[:1], sd[:1]))
    posterior.believe(0)
    assert posterior.sd[0] < 0.5 * sd[0]
    assert posterior.sd[1] < sd[1]
    assert np.array_equal(posterior.mean, mean)


def test_beliefs_one_by_one_are_those_of_a_process_that_believes() -> None:
    inputs = sample(20, 2)
    process = gp.fit(inputs, wave(inputs), np.arange(2))
    points = sample(30, 2, seed=1)
    posterior = process.at(points)
    for number in (3, 7):
        posterior.believe(number)
    mean, sd = process.believing(points[[3, 7]]).predict(points)
    assert np.allclose(mean, posterior.mean, atol=1e-6)
    assert np.allclose(sd, posterior.sd, atol=1e-6)


def test_a_constant_objective_and_one_observation_are_no_obstacle() -> None:
    for inputs in (sample(10, 2), sample(1, 2)):
        values = gp.standardise(np.full(len(inputs), 3.0))
        mean, sd = gp.fit(inputs, values, np.arange(2)).predict(inputs)
        assert np.allclose(mean, 0.0)
        assert np.isfinite(sd).all()


@given(st.lists(st.floats(-1e6, 1e6) | st.sampled_from([np.inf, np.nan]), min_size=1))
def test_standardised_losses_are_finite_and_keep_their_order(losses: list[float]) -> None:
    given_losses = np.array(losses)
    values = gp.standardise(given_losses)
    assert np.isfinite(values).all()
    finite = np.isfinite(given_losses)
    order = np.argsort(given_losses[finite])
    assert (np.diff(values[finite][order]) >= -1e-9).all()
    if finite.any() and not finite.all():
        assert values[~finite].min() >= values[finite].max() - 1e-9


def test_improvement_is_expected_where_the_mean_is_low_or_the_doubt_is_large() -> None:
    gains = gp.expected_improvement(np.array([-1.0, 0.0, 0.0]), np.array([0.1, 0.1, 1.0]), 0.0)
    assert gains[0] > gains[2] > gains[1] > 0
