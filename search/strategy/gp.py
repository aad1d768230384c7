"""A Gaussian process over (configuration, fidelity), small and without torch.

Matérn-5/2 with a lengthscale per input (Rasmussen & Williams, 2006, ch. 4), hyperparameters by
maximum a posteriori with analytic gradients. Hundreds of observations on one core: fitted in
tenths of a second, from the last fit's hyperparameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize
from scipy.stats import norm

Array = NDArray[np.float64]

_JITTER = 1e-8
_SQRT5 = math.sqrt(5.0)


@dataclass(frozen=True)
class Hyperparameters:
    """Of the kernel, all in natural logarithms.

    Attributes:
        lengthscales: Shape (groups,): one for each group of input columns.
        variance: Of the function.
        noise: Variance of an observation.
    """

    lengthscales: Array
    variance: float
    noise: float

    @classmethod
    def prior(cls, num_groups: int, *, has_fidelity: bool = False) -> Self:
        """Return the prior's mode: unit variance, little noise, and long lengthscales.

        They are half the unit cube, and from ten dimensions on a twentieth for each: points lie
        further from one another, the more dimensions there are (Hvarfner et al., 2024), and with
        half a cube each observation among seventeen is an island, and only what lies beside the
        best looks good. Among ten, longer ones were measured to be worse: what matters there is
        learned from few observations, and the rest costs little.

        Args:
            num_groups: Of input columns.
            has_fidelity: The last group is the fidelity, no dimension: half the way it goes.
        """
        num_dimensions = num_groups - has_fidelity
        lengthscales = np.full(num_groups, math.log(0.5))
        lengthscales[:num_dimensions] += math.log(max(num_dimensions / 10.0, 1.0))
        return cls(lengthscales, 0.0, math.log(1e-3))

    def pack(self) -> Array:
        """Return one vector."""
        return np.array([*self.lengthscales, self.variance, self.noise])

    @classmethod
    def unpack(cls, vector: Array) -> Self:
        """Read what :meth:`pack` returned."""
        return cls(np.asarray(vector[:-2]), float(vector[-2]), float(vector[-1]))


_PRIOR_SD = (1.0, 1.0, 2.0)
"""Standard deviations of the logarithms: lengthscales, variance, noise."""


class GaussianProcess:
    """A posterior, given observations and hyperparameters.

    Args:
        inputs: Shape (n, columns).
        values: Shape (n,), standardised.
        groups: Shape (columns,): which lengthscale a column has.
        hyperparameters: Of the kernel.
        has_fidelity: The last column, a group of its own, is the fidelity. Along it correlation
            decays exponentially (Ornstein-Uhlenbeck): where a curve goes depends on where it
            is, not on how it got there. A smooth kernel would extend its slope, and expect most
            of those that begin worst.
    """

    def __init__(
        self,
        inputs: Array,
        values: Array,
        groups: NDArray[np.intp],
        hyperparameters: Hyperparameters,
        *,
        has_fidelity: bool = False,
    ) -> None:
        self.inputs = inputs
        self.values = values
        self.groups = groups
        self.hyperparameters = hyperparameters
        self._width = inputs.shape[1] - has_fidelity
        self._scale = np.exp(hyperparameters.lengthscales)[groups]
        covariance = self._kernel(inputs, inputs)
        covariance[np.diag_indices_from(covariance)] += math.exp(hyperparameters.noise) + _JITTER
        self._factor = cholesky(covariance, lower=True)
        self._weights = cho_solve((self._factor, True), values)

    @property
    def variance(self) -> float:
        """Of the function before anything is observed."""
        return math.exp(self.hyperparameters.variance)

    def _kernel(self, left: Array, right: Array) -> Array:
        a, b = left / self._scale, right / self._scale
        steps = np.abs(a[:, None, self._width :] - b[None, :, self._width :]).sum(2)
        a, b = a[:, : self._width], b[:, : self._width]
        squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None, :] - 2.0 * a @ b.T
        distance = _SQRT5 * np.sqrt(np.maximum(squared, 0.0))
        decay = np.exp(-distance - steps)
        result: Array = self.variance * (1.0 + distance + distance**2 / 3.0) * decay
        return result

    def predict(self, inputs: Array) -> tuple[Array, Array]:
        """Return means and standard deviations of the function, each of shape (m,)."""
        posterior = self.at(inputs)
        return posterior.mean, posterior.sd

    def mean(self, points: Array) -> Array:
        """Return the means alone, shape (m,): without what standard deviations cost."""
        result: Array = self._kernel(points, self.inputs) @ self._weights
        return result

    def believing(self, points: Array) -> GaussianProcess:
        """Return the process with its own means at some points taken for observations.

        Args:
            points: Shape (m, columns).
        """
        if not len(points):
            return self
        return GaussianProcess(
            np.vstack([self.inputs, points]),
            np.concatenate([self.values, self.mean(points)]),
            self.groups,
            self.hyperparameters,
            has_fidelity=self._width < self.inputs.shape[1],
        )

    def at(self, points: Array) -> Posterior:
        """Return the posterior at a fixed set of points, shape (m, columns)."""
        return Posterior(self, points)


class Posterior:
    """Means and standard deviations at a fixed set of points, as more and more is believed.

    To believe a point is to take the process's own mean there for an observation ("kriging
    believer", Ginsbourger et al., 2010): the means stay, the doubt around the point shrinks. What
    runs already, or was just proposed, isn't proposed again. Each belief costs O(m n).

    Args:
        process: The process.
        points: Shape (m, columns).

    Attributes:
        mean: Shape (m,).
    """

    def __init__(self, process: GaussianProcess, points: Array) -> None:
        self._process = process
        self._points = points
        cross = process._kernel(points, process.inputs)
        self.mean: Array = cross @ process._weights
        # Columns whose products are what is known of the points' covariances.
        self._known = solve_triangular(process._factor, cross.T, lower=True)
        self._variance = process.variance - (self._known**2).sum(0)

    @property
    def sd(self) -> Array:
        """Standard deviations of the function, shape (m,)."""
        result: Array = np.sqrt(np.maximum(self._variance, 1e-12))
        return result

    def believe(self, number: int) -> None:
        """Believe that point ``number`` comes out as expected."""
        covariance = self._process._kernel(self._points, self._points[number : number + 1])[:, 0]
        covariance -= self._known.T @ self._known[:, number]
        noise = math.exp(self._process.hyperparameters.noise) + _JITTER
        update = covariance / math.sqrt(max(self._variance[number], 0.0) + noise)
        self._known = np.vstack([self._known, update])
        self._variance = self._variance - update**2

    def draw(self, number: int, generator: np.random.Generator) -> Array:
        """Return draws of the function at the points, shape (number, m)."""
        if number <= 0:
            return np.empty((0, len(self._points)))
        covariance = self._process._kernel(self._points, self._points)
        covariance -= self._known.T @ self._known
        covariance[np.diag_indices_from(covariance)] += 1e-6 * self._process.variance
        factor = cholesky(covariance, lower=True)
        result: Array = (
            self.mean + generator.standard_normal((number, len(self._points))) @ factor.T
        )
        return result


def fit(
    inputs: Array,
    values: Array,
    groups: NDArray[np.intp],
    start: Hyperparameters | None = None,
    max_iterations: int = 15,
    *,
    has_fidelity: bool = False,
) -> GaussianProcess:
    """Return the process with the most probable hyperparameters.

    Args:
        inputs: Shape (n, columns).
        values: Shape (n,), standardised.
        groups: Shape (columns,): which lengthscale a column has.
        start: Where to begin; the prior's mode when None.
        max_iterations: Of L-BFGS.
        has_fidelity: See :class:`GaussianProcess`.
    """
    num_groups = int(groups.max()) + 1
    prior = Hyperparameters.prior(num_groups, has_fidelity=has_fidelity).pack()
    spread = np.array([_PRIOR_SD[0]] * num_groups + list(_PRIOR_SD[1:]))
    squared = _squared_differences(inputs, groups, num_groups)
    first = prior if start is None else start.pack()
    found = minimize(
        _negative_posterior,
        first,
        args=(squared, values, prior, spread, has_fidelity),
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(prior - 4 * spread, prior + 4 * spread, strict=True)),
        options={"maxiter": max_iterations},
    )
    best = Hyperparameters.unpack(found.x)
    return GaussianProcess(inputs, values, groups, best, has_fidelity=has_fidelity)


def _squared_differences(inputs: Array, groups: NDArray[np.intp], num_groups: int) -> Array:
    """Return squared differences of all pairs, shape (groups, n, n)."""
    result = np.zeros((num_groups, len(inputs), len(inputs)))
    for column, group in enumerate(groups):
        result[group] += (inputs[:, column, None] - inputs[None, :, column]) ** 2
    return result


def _negative_posterior(
    vector: Array,
    squared: Array,
    values: Array,
    prior: Array,
    spread: Array,
    has_fidelity: bool = False,
) -> tuple[float, Array]:
    """Return the negative log posterior and its gradient."""
    theta = Hyperparameters.unpack(vector)
    inverse = np.exp(-2.0 * theta.lengthscales)
    width = len(squared) - has_fidelity
    distance = _SQRT5 * np.sqrt(np.tensordot(inverse[:width], squared[:width], axes=1))
    steps = np.sqrt(inverse[width:, None, None] * squared[width:])
    variance, noise = math.exp(theta.variance), math.exp(theta.noise)
    decay = np.exp(-distance - steps.sum(0))
    signal = variance * (1.0 + distance + distance**2 / 3.0) * decay
    covariance = signal + (noise + _JITTER) * np.eye(len(values))
    factor = cholesky(covariance, lower=True)
    weights = cho_solve((factor, True), values)
    precision = _inverse(factor)
    outer = np.outer(weights, weights) - precision
    by_length = outer * (variance * 5.0 / 3.0 * (1.0 + distance) * decay)
    gradient = np.empty_like(vector)
    gradient[:width] = np.einsum("ij,gij->g", by_length, squared[:width]) * inverse[:width]
    gradient[width:-2] = np.einsum("ij,gij->g", outer * signal, steps)
    gradient[-2] = (outer * signal).sum()
    gradient[-1] = np.trace(outer) * noise
    evidence = -0.5 * values @ weights - np.log(np.diag(factor)).sum()
    away = (vector - prior) / spread
    return -(evidence - 0.5 * (away**2).sum()), -(0.5 * gradient - away / spread)


def _inverse(factor: Array) -> Array:
    """Return the inverse of the matrix with a lower Cholesky factor: a third of solving for it."""
    lower, failed = dpotri(factor, lower=1)
    assert not failed
    result: Array = lower + np.tril(lower, -1).T
    return result


def expected_improvement(mean: Array, sd: Array, best: float) -> Array:
    """Return the expected fall below ``best`` (Jones et al., 1998), shape (m,)."""
    z = (best - mean) / sd
    result: Array = sd * (z * norm.cdf(z) + norm.pdf(z))
    return result


def standardise(losses: Array) -> Array:
    """Return losses with mean 0 and spread 1, the bad ones cut.

    Everything above the third quartile plus one interquartile range counts as just that bad: how
    bad a bad loss is says nothing of where the good ones are.
    """
    finite = losses[np.isfinite(losses)]
    if not len(finite):
        return np.zeros_like(losses)
    low, high = np.quantile(finite, [0.25, 0.75])
    cut = np.minimum(np.where(np.isfinite(losses), losses, np.inf), high + (high - low))
    spread = cut.std()
    result: Array = (cut - cut.mean()) / spread if spread > 0 else np.zeros_like(cut)
    return result
