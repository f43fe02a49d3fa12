"""Every family by its name: what a kind of model is configured by, and what it can do."""

import typing
from collections.abc import Mapping

from shared.domain.families.autoencoder import Autoencoder
from shared.domain.families.bayesian_mf import BayesianMf
from shared.domain.families.blend import Blend
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


class Architecture(typing.Protocol):
    """One immutable configuration of a family.

    `family` is its name; `has_epochs` says whether it is trained with a TrainingConfig; `predicts_ratings`
    whether a rating follows from its score; `scores_histories` whether its scorer is a HistoryScorer, so that
    it can answer for somebody who is in no training data.

    A family with epochs may have `default_training`, a constant or a property: the training that an
    architecture gets where nothing is said (`default_training_of`). It is a default like that of a field:
    never changed once it was released, since labels name what differs from it. It changes no hash: those go
    by the defaults of TrainingConfig. It may have `schedules` too, those of TrainingConfig that it can
    follow; else it can follow all.

    A family that may not fit into a machine has `expected_memory_bytes(n_users, n_items, n_ratings)`, which
    counts rated items: what it needs at one time beside the ratings (`expected_memory_of`). A worker that
    could never have as much refuses the trial at once.
    """

    family: typing.ClassVar[str]
    has_epochs: typing.ClassVar[bool]

    @property
    def scores_histories(self) -> bool:
        """Whether it can score the items for somebody who is in no training data."""

    @property
    def predicts_ratings(self) -> bool:
        """Whether it predicts ratings: else it has no RMSE."""

    @property
    def label(self) -> str:
        """Readable, unique among the configurations of all families."""

    def expected_cost(self, training: TrainingConfig | None) -> float:
        """About the seconds that a core needs on MovieLens 1M, to start the longest trials first."""


BASELINES: tuple[type[Architecture], ...] = (ItemPopularity, UserItemBias)

_ALL: tuple[type[Architecture], ...] = (
    Tower,
    Ease,
    WeightedAls,
    ItemKnn,
    BayesianMf,
    NeuralMf,
    Autoencoder,
    MatrixFactorization,
    SvdPlusPlus,
    Blend,
    *BASELINES,
)

FAMILIES: Mapping[str, type[Architecture]] = {one.family: one for one in _ALL}


def expected_memory_of(architecture: Architecture, n_users: int, n_items: int, n_ratings: int) -> int:
    """Bytes that an architecture says it needs, 0 where it says nothing because it grows with its data."""
    declared = getattr(architecture, "expected_memory_bytes", None)
    return 0 if declared is None else int(declared(n_users, n_items, n_ratings))


def default_training_of(architecture: Architecture) -> TrainingConfig:
    """How an architecture with epochs is trained where a sweep file says nothing."""
    default: TrainingConfig = getattr(architecture, "default_training", TrainingConfig())
    return default
