"""The prior of one side's rows: Gaussian around a linear function of features, with sampled parameters."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from worker.families.bayesian_mf.kernels import Float32s, Float64s, sample_coefficients
from worker.families.bayesian_mf.side import Features, cut_work

# Gaussian-Wishart prior of mean and precision: mean 0 worth two rows, precision around the identity with as
# many degrees of freedom as a row has numbers (Salakhutdinov, Mnih 2008, 3.3).
_MEAN_WEIGHT = 2.0


@dataclass(frozen=True, eq=False)
class RowPrior:
    """What is expected of rows before their ratings are seen.

    means: (n_rated, size + 1) float32      precision: (size + 1, size + 1) float64
    mean_without_ratings: (n_without_ratings, size + 1) or (1, size + 1)
    """

    means: Float32s
    precision: Float64s
    mean_without_ratings: Float32s


class LinearPrior:
    """Rows ~ N(μ + X β, Λ⁻¹), with (μ, Λ) Gaussian-Wishart and every number of β ~ N(0, 1 / precision).

    coefficients: a (n_features, size + 1) float32 a group of features
    explained: (n_rated, size + 1) float32, X β
    """

    def __init__(self, groups: tuple[Features, ...], n_rows: int, width: int) -> None:
        self._groups = groups
        self.coefficients = tuple(np.zeros((len(group), width), np.float32) for group in groups)
        self.explained = np.zeros((n_rows, width), np.float32)

    @property
    def n_coefficients(self) -> int:
        """Numbers in all groups."""
        return sum(array.size for array in self.coefficients)

    def sample(self, rows: Float32s, random: np.random.Generator, check_stop: Callable[[], None]) -> RowPrior:
        """Draw μ and Λ, then β, given the rows."""
        mean, precision = sample_mean_and_precision(rows - self.explained, random)
        if self._groups:
            self._sample_coefficients(rows - mean, precision, random, check_stop)
        of_others = sum(
            (
                np.asarray(group.without_ratings @ array)
                for group, array in zip(self._groups, self.coefficients, strict=True)
            ),
            start=np.zeros((1, len(mean)), np.float32),
        )
        return RowPrior(mean + self.explained, precision, mean + of_others)

    def _sample_coefficients(
        self,
        deviations: Float32s,
        precision: Float64s,
        random: np.random.Generator,
        check_stop: Callable[[], None],
    ) -> None:
        # Along the eigenvectors of Λ the numbers of a row, and so those of a coefficient, are independent.
        eigenvalues, eigenvectors = np.linalg.eigh(precision)
        basis, precisions = eigenvectors.astype(np.float32), eigenvalues.astype(np.float32)
        residuals = np.asarray((deviations - self.explained) @ basis, np.float32)
        for group, coefficients in zip(self._groups, self.coefficients, strict=True):
            turned = coefficients @ basis
            noise = random.standard_normal(coefficients.shape, np.float32)
            for first, stop in cut_work(group.starts * (2.0 * coefficients.shape[1])):
                check_stop()
                sample_coefficients(
                    first,
                    stop,
                    group.starts,
                    group.rows,
                    group.values,
                    group.is_by_row,
                    group.precision,
                    precisions,
                    noise,
                    residuals,
                    turned,
                )
            coefficients[:] = turned @ basis.T
        self.explained[:] = deviations - residuals @ basis.T


def sample_mean_and_precision(rows: Float32s, random: np.random.Generator) -> tuple[Float32s, Float64s]:
    """Mean (n,) and precision (n, n) of rows, from their posterior (Salakhutdinov, Mnih 2008, 3.3)."""
    n_rows, width = rows.shape
    average = rows.mean(axis=0, dtype=np.float64)
    centred = (rows - average).astype(np.float32)
    scatter = (centred.T @ centred).astype(np.float64)
    weight = _MEAN_WEIGHT + n_rows
    inverse_scale = np.eye(width) + scatter + _MEAN_WEIGHT * n_rows / weight * np.outer(average, average)
    precision = _sample_wishart(inverse_scale, width + n_rows, random)
    # Λ = C Cᵀ, so C⁻ᵀ z has covariance Λ⁻¹.
    factor = np.linalg.cholesky(precision)
    spread = np.linalg.solve(factor.T, random.standard_normal(width)) / np.sqrt(weight)
    return (n_rows / weight * average + spread).astype(np.float32), precision


def _sample_wishart(inverse_scale: Float64s, degrees: int, random: np.random.Generator) -> Float64s:
    """Bartlett's decomposition: W = L A Aᵀ Lᵀ with scale L Lᵀ, χ² on the diagonal of A, normals below."""
    width = len(inverse_scale)
    # scale = M⁻¹ with M = C Cᵀ, so L = C⁻ᵀ.
    factor = np.linalg.cholesky(inverse_scale)
    bartlett = np.tril(random.standard_normal((width, width)), -1)
    bartlett[np.diag_indices(width)] = np.sqrt(random.chisquare(degrees - np.arange(width)))
    root = np.linalg.solve(factor.T, bartlett)
    return np.asarray(root @ root.T)
