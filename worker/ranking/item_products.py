"""Inputs of users times an item-item matrix, compiled; shapes as in worker/ranking/item_item.py.

Sums are in one order, input by input, whatever else is scored with them; several threads may run at once.
Indices are unsigned: numba then leaves out the test for negative ones.
"""

# ruff: noqa: ANN001, ANN201, ANN202, PLR0917  Compiled for the types that they are called with.
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import numba
import numpy as np

# Inputs summed up before they are added to the rest: fewer roundings on the way of each.
CHUNK_ITEMS = 32
# Columns at once: their part of the matrix stays in the cache while users pass by.
TILE_ITEMS = 256


@numba.njit(nogil=True, cache=True, fastmath={"contract"})
def dense_block(starts, places, values, users, tiles, items, out):
    """out[:, items] of users, in float32; tiles: (n_tiles, n, TILE_ITEMS), columns of the matrix in tiles."""
    n_rows = np.uint64(tiles.shape[1])
    flat = tiles.ravel()  # A row as a view would be counted twice for each input.
    total, part = np.empty(TILE_ITEMS, np.float32), np.empty(TILE_ITEMS, np.float32)
    for tile in range(len(tiles)):
        n_columns = min(TILE_ITEMS, len(items) - tile * TILE_ITEMS)
        for row in range(len(users)):
            start, stop = starts[users[row]], starts[users[row] + 1]
            total[:] = 0
            while start < stop:
                chunk_stop = min(start + np.uint64(CHUNK_ITEMS), stop)
                part[:] = 0
                for place in range(start, chunk_stop):
                    value = values[place]
                    weights = (np.uint64(tile) * n_rows + np.uint64(places[place])) * np.uint64(TILE_ITEMS)
                    for column in range(np.uint64(TILE_ITEMS)):
                        part[column] += value * flat[weights + column]
                for column in range(TILE_ITEMS):
                    total[column] += part[column]
                start = chunk_stop
            for column in range(n_columns):
                out[row, items[tile * TILE_ITEMS + column]] = total[column]


@numba.njit(nogil=True, cache=True)
def dense_pairs(starts, places, values, users, tiles, columns, scores):
    """scores of the pairs (users, columns), in float64."""
    for pair in range(len(users)):
        start, stop = starts[users[pair]], starts[users[pair] + 1]
        tile, column = divmod(columns[pair], TILE_ITEMS)
        total = 0.0
        while start < stop:
            chunk_stop = min(start + np.uint64(CHUNK_ITEMS), stop)
            part = 0.0
            for place in range(start, chunk_stop):
                part += np.float64(values[place]) * np.float64(tiles[tile, places[place], column])
            total += part
            start = chunk_stop
        scores[pair] = total


@numba.njit(nogil=True, cache=True)
def sparse_block(starts, places, values, users, weight_starts, weight_columns, weights, items, sums, out):
    """out[:, items] of users, summed in float64."""
    for row in range(len(users)):
        _sum_row(starts, places, values, users[row], weight_starts, weight_columns, weights, sums)
        for column in range(len(items)):
            out[row, items[column]] = sums[column]


@numba.njit(nogil=True, cache=True)
def sparse_pairs(
    starts, places, values, users, weight_starts, weight_columns, weights, columns, sums, scores
):
    """scores of the pairs (users, columns), in float64."""
    for pair in range(len(users)):
        if pair == 0 or users[pair] != users[pair - 1]:
            _sum_row(starts, places, values, users[pair], weight_starts, weight_columns, weights, sums)
        scores[pair] = sums[columns[pair]]


@numba.njit(nogil=True, cache=True)
def _sum_row(starts, places, values, user, weight_starts, weight_columns, weights, sums):
    sums[:] = 0
    for place in range(starts[user], starts[user + 1]):
        value, source = np.float64(values[place]), places[place]
        for one in range(weight_starts[source], weight_starts[source + np.uint32(1)]):
            sums[weight_columns[one]] += value * weights[one]
