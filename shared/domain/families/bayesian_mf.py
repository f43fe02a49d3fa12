"""Bayesian matrix factorisation by Gibbs sampling.

Salakhutdinov, Mnih 2008, Bayesian probabilistic matrix factorization; side information as in Macau, Simm et
al. 2015.
"""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from shared.domain.families.rules import STRICT, Count, PositiveFloat, PositiveInt, Seed


@dataclass(frozen=True, config=STRICT)
class BayesianMf:
    """The mean of the predictions of posterior samples of biased matrix factorisation.

    `size` numbers a factor beside its bias; `sweeps` of the sampler in all, of which the first `burn_in` are
    left out of the mean. The prior mean of a factor is a linear function of: `side_information`, the features
    of users and items where the source has them; `implicit_items`, which items a user rated (as in SVD++);
    `implicit_users`, which users rated an item. `feature_precision` of side information and
    `implicit_precision` are the prior precisions of those functions' coefficients.
    """

    family: ClassVar[str] = "bayesian_mf"
    predicts_ratings: ClassVar[bool] = True
    has_epochs: ClassVar[bool] = False

    size: PositiveInt = 32
    sweeps: PositiveInt = 100
    burn_in: Count = 15
    side_information: bool = True
    implicit_items: bool = True
    implicit_users: bool = True
    feature_precision: PositiveFloat = 10.0
    implicit_precision: PositiveFloat = 10.0
    random_seed: Seed = 4
