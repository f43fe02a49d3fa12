"""The inverse of a large symmetric positive definite matrix, in place and block by block.

LAPACK's potrf and potri do the same in two calls, a tenth quicker; but these cannot be stopped, and hold
Python's lock meanwhile, so that no other thread of the process runs. Small matrices are left to them.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from scipy.linalg import lapack

from worker.families.gram import Floats

BLOCK_ROWS = 128
# Rows that LAPACK inverts in about a second.
LAPACK_ROWS = 5000


def invert_in_place(
    matrix: Floats, check_stop: Callable[[], None] = lambda: None, lapack_rows: int = LAPACK_ROWS
) -> None:
    """Put the upper triangle of the inverse where the upper triangle of the matrix is.

    matrix: (n, n) float32 or float64, rows contiguous, zeros below the diagonal. Work: n³ operations; memory
    beside it: some blocks of (n, BLOCK_ROWS). Raises numpy.linalg.LinAlgError where it is not positive
    definite to the precision of its type.
    """
    check_stop()
    # LAPACK reads by columns, and is quicker with lower triangles.
    matrix = matrix.T
    if len(matrix) <= lapack_rows:
        _invert_at_once(matrix)
        return
    edges = [*range(0, len(matrix), BLOCK_ROWS), len(matrix)]
    blocks = [slice(first, stop) for first, stop in pairwise(edges)]
    _factorise(matrix, blocks, check_stop)
    _invert_factor(matrix, blocks, check_stop)
    _multiply_by_transpose(matrix, blocks, check_stop)


def _invert_at_once(matrix: Floats) -> None:
    (factorise, invert) = lapack.get_lapack_funcs(("potrf", "potri"), (matrix,))
    factor, failed = factorise(matrix, lower=1, overwrite_a=1, clean=0)
    if failed:
        raise np.linalg.LinAlgError(f"the leading minor of order {failed} is not positive")
    inverse, _ = invert(factor, lower=1, overwrite_c=1)
    if not np.shares_memory(inverse, matrix):
        matrix[:] = inverse


def _factorise(matrix: Floats, blocks: list[slice], check_stop: Callable[[], None]) -> None:
    """L with L Lᵀ = matrix, by block columns; in place of its diagonal blocks, their inverses."""
    (invert_triangle,) = lapack.get_lapack_funcs(("trtri",), (matrix,))
    for block in blocks:
        check_stop()
        first, stop = block.start, block.stop
        column = matrix[first:, block] - matrix[first:, :first] @ matrix[block, :first].T
        inverse, _ = invert_triangle(np.linalg.cholesky(column[: stop - first]), lower=1)
        matrix[block, block] = inverse
        matrix[stop:, block] = column[stop - first :] @ inverse.T


def _invert_factor(matrix: Floats, blocks: list[slice], check_stop: Callable[[], None]) -> None:
    """M = L⁻¹: below the diagonal M_ij = -L_ii⁻¹ Σ_{j ≤ k < i} L_ik M_kj."""
    for block in blocks:
        check_stop()
        row = np.empty((block.stop - block.start, block.start), matrix.dtype)
        for left in blocks:
            if left.start == block.start:
                break
            span = slice(left.start, block.start)
            row[:, left] = matrix[block, span] @ matrix[span, left]
        matrix[block, : block.start] = -(matrix[block, block] @ row)


def _multiply_by_transpose(matrix: Floats, blocks: list[slice], check_stop: Callable[[], None]) -> None:
    """Mᵀ M: block row i needs the block rows of M from i on, which are still there."""
    for block in blocks:
        check_stop()
        product = matrix[block.start :, block].T @ matrix[block.start :, : block.stop]
        product[:, block] = np.tril(product[:, block])
        matrix[block, : block.stop] = product
