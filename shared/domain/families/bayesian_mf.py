"""Bayesian matrix factorisation by Gibbs sampling.

Salakhutdinov, Mnih 2008, Bayesian probabilistic matrix factorization; side information as in Macau,
Simm et al. 2015.
"""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from shared.domain.families.label import label_by_differences
from shared.domain.rules import STRICT, Count, PositiveFloat, PositiveInt, Seed
from shared.domain.training import TrainingConfig


@dataclass(frozen=True, config=STRICT)
class BayesianMf:
    """The mean of the predictions of posterior samples of biased matrix factorisation.

    `size` numbers a factor beside its bias; `sweeps` of the sampler in all, of which the first `burn_in` are
    left out of the mean. The prior mean of a factor is a linear function of: `side_information`, the features
    of items where the source has them, and with `user_features` those of users too; `implicit_items`, which
    items a user rated (as in SVD++); `implicit_users`, which users rated an item. `feature_precision` of side
    information and `implicit_precision` are the prior precisions of their coefficients, ratings being
    standardised.
    The first sweeps are worse one by one, but unlike the later ones: a short burn-in averages more.
    """

    family: ClassVar[str] = "bayesian_mf"
    predicts_ratings: ClassVar[bool] = True
    has_epochs: ClassVar[bool] = False
    scores_histories: ClassVar[bool] = False

    size: PositiveInt = 32
    sweeps: PositiveInt = 100
    burn_in: Count = 5
    side_information: bool = True
    implicit_items: bool = True
    implicit_users: bool = True
    feature_precision: PositiveFloat = 60.0
    implicit_precision: PositiveFloat = 60.0
    random_seed: Seed = 4
    user_features: bool = False

    def __post_init__(self) -> None:
        if not self.side_information:
            object.__setattr__(self, "user_features", False)
        if self.burn_in >= self.sweeps:
            raise ValueError(
                f"burn_in must leave sweeps to average; got burn_in {self.burn_in} of sweeps {self.sweeps}"
            )

    @property
    def label(self) -> str:
        """By what differs from the defaults."""
        return label_by_differences(self, self.family)

    def expected_cost(self, training: TrainingConfig | None) -> float:
        """Seconds, as measured."""
        del training
        return self.sweeps * (0.03 + self.size**2 * 1e-4)
