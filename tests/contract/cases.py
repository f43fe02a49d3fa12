"""One row a family: the small configurations by which the contract suite judges it.

A new family adds one entry to `CASES`; every test of this folder then runs over it.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from shared.domain.families import Architecture
from shared.domain.families.autoencoder import Autoencoder
from shared.domain.families.bayesian_mf import BayesianMf
from shared.domain.families.ease import Ease
from shared.domain.families.item_knn import ItemKnn
from shared.domain.families.item_popularity import ItemPopularity
from shared.domain.families.matrix_factorization import MatrixFactorization
from shared.domain.families.neural_mf import NeuralMf
from shared.domain.families.svd_plus_plus import SvdPlusPlus
from shared.domain.families.tower import Tower
from shared.domain.families.user_item_bias import UserItemBias
from shared.domain.families.weighted_als import WeightedAls
from shared.domain.training import TrainingConfig

EPOCHS = TrainingConfig(optimizer="adam", learning_rate=0.01, batch_size=256, max_epochs=3, patience=3)
# Batches of users or items.
ROWS = dataclasses.replace(EPOCHS, batch_size=16)


@dataclass(frozen=True)
class Case:
    """A configuration that is fitted in a moment, and what its family promises beyond every family.

    training: of a family with epochs.
    checkpoint_seconds: the constant, by its place, that makes checkpoints of a family without epochs rare;
    a family with epochs saves one after each.
    history_error: how far the scores of a training user's history may be from the user's own, as a share
    of the largest; None where a family cannot score the history of a stranger.
    asks: whether `check_stop` is called at all; False only for what is over in a moment at any size.
    """

    architecture: Architecture
    training: TrainingConfig | None = None
    checkpoint_seconds: str | None = None
    history_error: float | None = None
    asks: bool = True

    @property
    def has_checkpoints(self) -> bool:
        return self.training is not None or self.checkpoint_seconds is not None

    def with_other_seed(self) -> "Case | None":
        """The same with another seed; None where nothing is drawn."""
        for field in ("architecture", "training"):
            record: Any = getattr(self, field)
            if hasattr(record, "random_seed"):
                reseeded = dataclasses.replace(record, random_seed=record.random_seed + 1)
                return dataclasses.replace(self, **{field: reseeded})
        return None


CASES: Mapping[str, tuple[Case, ...]] = {
    "tower": (
        Case(Tower("multiply", 4, (3, 1), "relu"), EPOCHS),
        Case(Tower("concatenate", 4, (1,)), EPOCHS),
        Case(Tower("multiply", 4, (3, 1), "relu", biases=True, l2=0.01, dropout=0.1, loss="bpr"), EPOCHS),
    ),
    "neural_mf": (
        # The first is judged by its memory too, of which a compiler takes as much as a small data set needs.
        Case(NeuralMf(size=4, input_size=3, dense_layers=(1,), loss="squared_error"), EPOCHS),
        Case(NeuralMf(size=4, input_size=3, dense_layers=(5, 1), n_negatives=2), EPOCHS),
    ),
    "ease": (
        Case(Ease(l2=5), history_error=0),
        Case(
            Ease(l2=5, input="from_threshold", user_weight=0.5, item_scaling=0.25, dropout=0.1),
            history_error=0,
        ),
    ),
    "weighted_als": (
        Case(WeightedAls(size=4), history_error=1e-3),
        Case(WeightedAls(size=4, target="from_threshold"), history_error=1e-3),
    ),
    "item_knn": (Case(ItemKnn(neighbours=5), history_error=0),),
    "bayesian_mf": (
        Case(
            BayesianMf(size=3, sweeps=12, burn_in=3),
            checkpoint_seconds="worker.families.bayesian_mf._CHECKPOINT_SECONDS",
        ),
    ),
    "autoencoder": (
        Case(Autoencoder(kind="linear", size=3), ROWS, history_error=1e-9),
        Case(
            Autoencoder(kind="dae", size=3, hidden_size=5, input="from_threshold", target="from_threshold"),
            ROWS,
            history_error=1e-9,
        ),
        Case(Autoencoder(kind="mult_vae", size=3, loss="softmax", kl_epochs=2), ROWS, history_error=1e-9),
        Case(Autoencoder(kind="linear", size=3, ease_weight=2, ease_l2=5), ROWS, history_error=1e-9),
        Case(Autoencoder(kind="autorec", size=3), ROWS),
    ),
    "matrix_factorization": (
        Case(MatrixFactorization(size=4), EPOCHS),
        Case(MatrixFactorization(loss="bpr", size=4, target="from_threshold"), EPOCHS),
        Case(MatrixFactorization(size=4, ease_weight=2, ease_l2=5), EPOCHS),
        Case(MatrixFactorization(loss="squared_error", size=4), EPOCHS),
    ),
    "svd_plus_plus": (Case(SvdPlusPlus(size=4), EPOCHS), Case(SvdPlusPlus(size=4, implicit=False), EPOCHS)),
    "item_popularity": (Case(ItemPopularity(), asks=False),),
    "user_item_bias": (Case(UserItemBias()),),
}

_ALL = [case for cases in CASES.values() for case in cases]


def over(cases: list[Case]) -> pytest.MarkDecorator:
    """Run a test for each of these."""
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.architecture.label)


every_case = over(_ALL)
# Where configurations of one family do not differ in what is tested.
first_case_of_every_family = over([cases[0] for cases in CASES.values()])
cases_with_seeds = over([case for case in _ALL if case.with_other_seed()])
cases_with_checkpoints = over([case for case in _ALL if case.has_checkpoints])
cases_with_histories = over([case for case in _ALL if case.history_error is not None])
