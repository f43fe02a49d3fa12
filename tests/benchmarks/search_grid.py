"""Every value of a full grid of matrix_factorization, measured once, so that searches of it are looked up."""

import time
from dataclasses import replace
from itertools import product
from typing import Any

from shared.datasets import resolve_dataset, split_ratings
from shared.domain.families import default_training_of
from shared.domain.families.matrix_factorization import MatrixFactorization
from shared.domain.protocol import Protocol
from shared.settings import load_settings
from worker.families.contract import FitContext
from worker.families.registry import family_of
from worker.metrics.objective import objective_on_validation
from worker.trial import fit_data

PROTOCOL = Protocol(objective="ndcg@20")
AXES: dict[str, list[Any]] = {
    "size": [16, 32, 64],
    "user_l2": [0.3, 1.0, 3.0],
    "item_l2": [0.3, 1.0, 3.0],
    "learning_rate": [0.01, 0.03, 0.1],
}


def grid_values(*, dataset: str, max_epochs: int) -> dict[str, Any]:
    """The best ndcg@20 on validation at each point, in the order of the grid; the seconds in all."""
    ratings = resolve_dataset(dataset, load_settings()).dataset
    split = split_ratings(ratings, PROTOCOL)
    data = fit_data(ratings, split, PROTOCOL)
    objective_of = objective_on_validation(ratings, split, PROTOCOL, predicts_ratings=False)
    started = time.monotonic()
    values = []
    for size, user_l2, item_l2, learning_rate in product(*AXES.values()):
        architecture = MatrixFactorization(size=size, user_l2=user_l2, item_l2=item_l2)
        training = replace(
            default_training_of(architecture), learning_rate=learning_rate, max_epochs=max_epochs
        )
        fitted = family_of(architecture).fit(
            architecture, training, data, FitContext(objective_of=objective_of)
        )
        values.append(max(epoch.objective or 0.0 for epoch in fitted.epochs))
    return {"values": values, "seconds": time.monotonic() - started}
