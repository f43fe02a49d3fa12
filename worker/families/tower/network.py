"""A tower as the engine sees it: rows of embeddings and biases, and the kernels and biases of its layers."""

from functools import lru_cache

from shared.domain.families.tower import Tower
from worker.engine.forward import make_forward, make_noisy_forward
from worker.engine.losses import PairLoss
from worker.engine.network import Network

_CACHE_SIZE = 4


@lru_cache(maxsize=_CACHE_SIZE)
def tower_network(architecture: Tower) -> Network:
    """The network of an architecture."""
    n_layers = len(architecture.dense_layers)
    dense = [f"{name}_{number}" for number in range(1, n_layers + 1) for name in ("kernel", "bias")]
    n_negatives = 0 if architecture.loss == "squared_error" else architecture.n_negatives

    def parts(side: str) -> tuple[tuple[str, int], ...]:
        embedding = (f"{side}_embedding", architecture.embedding_size)
        return (embedding, (f"{side}_bias", 1)) if architecture.biases else (embedding,)

    return Network(
        architecture,
        user_parts=parts("user"),
        item_parts=parts("item"),
        dense=tuple(dense),
        loss=PairLoss(architecture.loss, n_negatives, architecture.zero_weight),
        forward=make_forward(architecture),
        noisy_forward=make_noisy_forward(architecture) if architecture.dropout else None,
        dropout=architecture.dropout,
        l2=architecture.l2,
    )
