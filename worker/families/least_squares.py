"""Many small ridge regressions on rows of one table, compiled: the half-steps of alternating least squares.

Of row u with the entries (c, t) of a sparse matrix the solution p minimises
Σ_c (t - p·q_c)² + zero_weight Σ_c over all c (p·q_c)² + ridge_u |p|².
"""

from collections.abc import Callable

import numba
import numpy as np
import scipy.sparse

from worker.families.gram import Floats, UInt32s, UInt64s, column_ranges
from worker.ranking.scorers import Float32s, Float64s

# Of the residual, relative to the right-hand side, both weighed by the inverse diagonal.
TOLERANCE = 1e-4
# Far more steps than a solution takes (about five from a good start).
_MAX_STEPS = 100


def solve_rows(
    targets: scipy.sparse.csr_matrix,
    table: Float32s,
    *,
    zero_weight: float,
    ridge: Float64s,
    start: Float32s,
    check_stop: Callable[[], None],
) -> Float32s:
    """The solutions of all rows, (n_rows, size) float32, to TOLERANCE; 0 where a row has no entries.

    targets: (n_rows, n)      table: (n, size), the q      ridge: (n_rows,)      start: (n_rows, size)

    By conjugate gradients from `start`, preconditioned by the diagonal, in the basis of the eigenvectors of
    tableᵀ table. There the term of all c is diagonal, and what a row adds to it nearly so: the popular
    directions are the same ones. A step costs entries · size, where a Cholesky solve costs entries · size² +
    size³. The objective of a row never rises above that of its start.
    """
    values, basis = np.linalg.eigh((table.T @ table).astype(np.float64))
    spectrum = (zero_weight * np.maximum(values, 0)).astype(np.float32)
    rotated, solutions = table @ basis.astype(np.float32), start @ basis.astype(np.float32)
    starts, columns = targets.indptr.astype(np.uint64), targets.indices.astype(np.uint32)
    for first, stop in column_ranges(targets.indptr):
        check_stop()
        _solve(
            first, stop, starts, columns, targets.data, rotated, spectrum,
            ridge.astype(np.float32), np.float32(TOLERANCE**2), solutions,
        )  # fmt: skip
    return np.asarray(solutions @ basis.T.astype(np.float32))


def solve_row(targets: Floats, rows: Floats, table: Floats, zero_weight: float, ridge: float) -> Float64s:
    """One solution in float64, (size,), by Cholesky; rows: (n_entries, size), the q of the entries."""
    table, rows = table.astype(np.float64), rows.astype(np.float64)
    matrix = rows.T @ rows + zero_weight * (table.T @ table) + ridge * np.eye(table.shape[1])
    return np.asarray(np.linalg.solve(matrix, rows.T @ targets.astype(np.float64)))


# Sums may be reordered and so vectorised; the order is fixed when it is compiled.
@numba.njit(nogil=True, cache=True, fastmath={"contract", "reassoc", "nsz"})  # type: ignore[untyped-decorator]
def _solve(  # noqa: PLR0912, PLR0917  Loops over the numbers of a vector, in place of array operations.
    first: int,
    stop: int,
    starts: UInt64s,
    columns: UInt32s,
    targets: Float32s,
    table: Float32s,
    spectrum: Float32s,
    ridge: Float32s,
    tolerance: np.float32,
    solutions: Float32s,
) -> None:
    """Preconditioned conjugate gradients: Saad 2003, Iterative Methods for Sparse Linear Systems, 9.1."""
    size = np.uint64(table.shape[1])
    flat = table.ravel()
    fixed, inverse, residual, search, image = np.zeros((5, table.shape[1]), np.float32)
    for row in range(first, stop):
        solution = solutions[row]
        if starts[row] == starts[row + 1]:
            solution[:] = 0
            continue
        for k in range(size):
            fixed[k] = spectrum[k] + ridge[row]
            inverse[k] = fixed[k]
            residual[k] = -fixed[k] * solution[k]
            image[k] = 0
        for place in range(starts[row], starts[row + 1]):
            entry, target, product = np.uint64(columns[place]) * size, targets[place], np.float32(0)
            for k in range(size):
                product += flat[entry + k] * solution[k]
            for k in range(size):
                factor = flat[entry + k]
                inverse[k] += factor * factor
                image[k] += target * factor
                residual[k] += (target - product) * factor
        error, largest = np.float32(0), np.float32(0)
        for k in range(size):
            inverse[k] = np.float32(1) / inverse[k]
            search[k] = inverse[k] * residual[k]
            error += search[k] * residual[k]
            largest += inverse[k] * image[k] * image[k]
        n_steps = 0
        while error > tolerance * largest and n_steps < _MAX_STEPS:
            n_steps += 1
            for k in range(size):
                image[k] = fixed[k] * search[k]
            for place in range(starts[row], starts[row + 1]):
                entry, product = np.uint64(columns[place]) * size, np.float32(0)
                for k in range(size):
                    product += flat[entry + k] * search[k]
                for k in range(size):
                    image[k] += product * flat[entry + k]
            curvature = np.float32(0)
            for k in range(size):
                curvature += search[k] * image[k]
            length, last_error, error = error / curvature, error, np.float32(0)
            for k in range(size):
                solution[k] += length * search[k]
                residual[k] -= length * image[k]
                error += inverse[k] * residual[k] * residual[k]
            for k in range(size):
                search[k] = inverse[k] * residual[k] + error / last_error * search[k]
