"""How much memory a family needs that keeps a number for every pair of items."""


def items_squared_bytes(n_items: int) -> int:
    """Two numbers of 4 bytes a pair: the matrix that is fitted and saved, and the one that scores."""
    return 8 * n_items**2
