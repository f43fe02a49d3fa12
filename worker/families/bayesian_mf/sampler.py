"""One chain of the Gibbs sampler: a sweep draws the items given the users, then the users given the items."""

import json
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from shared.domain.families.bayesian_mf import BayesianMf
from shared.errors import TrialError
from worker.families.bayesian_mf.kernels import Float32s, sample_rows, sum_squared_errors
from worker.families.bayesian_mf.prior import LinearPrior, RowPrior
from worker.families.bayesian_mf.side import (
    Features,
    Side,
    cut_work,
    group_ratings,
    implicit_sum,
    side_information,
)
from worker.families.contract import FitData

# Factors start this large: small beside what they become, and not zero, from where nothing moves them.
_START_DEVIATION = 0.1
_START_NOISE_PRECISION = 1.5
# Shape and rate of the noise precision's Gamma prior; ratings are standardised.
_NOISE_SHAPE = 1.0
_NOISE_RATE = 1.0


class Sampler:
    """The state of the chain, and one sweep of it. Ratings are standardised to mean 0 and variance 1.

    User and item rows (size factors, then the bias): p, q. Rating ~ N(p's bias + q's bias + p · q, 1 / τ);
    τ ~ Gamma; the prior of rows is `LinearPrior`. Rows without ratings are not sampled.
    """

    def __init__(self, architecture: BayesianMf, data: FitData, check_stop: Callable[[], None]) -> None:
        train = data.train
        self.mean = float(train.rating.mean(dtype=np.float64))
        # Ratings that are all equal have nothing to scale.
        self.scale = float(train.rating.std(dtype=np.float64)) or 1.0
        ratings = ((train.rating - self.mean) / self.scale).astype(np.float32)
        self._check_stop = check_stop
        self._n_ratings = len(train)
        self._width = architecture.size + 1
        self._users, self._items = group_ratings(
            train.user_index, train.item_index, ratings, data.n_users, data.n_items
        )
        self._priors = tuple(
            LinearPrior(groups, len(side), self._width)
            for side, groups in zip(
                (self._users, self._items),
                _features(architecture, data, self._users, self._items),
                strict=True,
            )
        )
        self._random = np.random.Generator(np.random.PCG64(architecture.random_seed))
        self._noise_precision = _START_NOISE_PRECISION
        self._user_rows, self._item_rows = (self._start(len(side)) for side in (self._users, self._items))

    @property
    def n_parameters(self) -> int:
        """Numbers of one sample: rows and coefficients."""
        n_coefficients = sum(prior.n_coefficients for prior in self._priors)
        return self._user_rows.size + self._item_rows.size + n_coefficients

    @property
    def noise_precision(self) -> float:
        """τ of standardised ratings, the last one drawn."""
        return self._noise_precision

    def sweep(self) -> tuple[Float32s, Float32s, float]:
        """Draw everything once. Rows of all users and items to predict with, and the training squared error.

        The users' rows are not the sample but its conditional mean given the items: the same expectation with
        less variance (Rao-Blackwell). For the same reason rows without ratings are their prior mean. The
        error is that of the sample itself, in squared ratings.
        """
        user_prior, item_prior = self._priors
        expected_items = item_prior.sample(self._item_rows, self._random, self._check_stop)
        self._draw(self._items, self._item_rows, self._user_rows, expected_items)
        expected_users = user_prior.sample(self._user_rows, self._random, self._check_stop)
        user_means = self._draw(self._users, self._user_rows, self._item_rows, expected_users)
        self._check_stop()
        users = self._users
        squares = sum_squared_errors(
            users.starts, users.columns, users.ratings, self._user_rows, self._item_rows
        )
        shape, rate = _NOISE_SHAPE + self._n_ratings / 2, _NOISE_RATE + squares / 2
        self._noise_precision = float(self._random.gamma(shape) / rate)
        return (
            _all_rows(self._users, user_means, expected_users),
            _all_rows(self._items, self._item_rows, expected_items),
            squares / self._n_ratings * self.scale**2,
        )

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """The state of the chain, to be given to `restore`."""
        result: dict[str, npt.NDArray[np.generic]] = {
            "noise_precision": np.array(self._noise_precision),
            "random": np.array(json.dumps(self._random.bit_generator.state)),
            "user_rows": self._user_rows,
            "item_rows": self._item_rows,
        }
        for name, prior in zip(("user", "item"), self._priors, strict=True):
            result[f"{name}_explained"] = prior.explained
            for number, array in enumerate(prior.coefficients):
                result[f"{name}_coefficients_{number}"] = array
        return result

    def restore(self, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Go on from what `arrays` gave, bit for bit. Raises ValueError for arrays of other shapes."""
        for name, array in self.arrays().items():
            if name in ("noise_precision", "random"):
                continue
            saved = arrays[name]
            if (saved.shape, saved.dtype) != (array.shape, array.dtype):
                raise ValueError(f"{name} must be {array.dtype} of shape {array.shape}; got {saved.shape}")
            array[...] = saved
        self._noise_precision = float(np.float64(arrays["noise_precision"]))
        self._random.bit_generator.state = json.loads(str(arrays["random"]))

    def _start(self, n_rows: int) -> Float32s:
        rows = (self._random.standard_normal((n_rows, self._width)) * _START_DEVIATION).astype(np.float32)
        rows[:, -1] = 0
        return rows

    def _draw(self, side: Side, rows: Float32s, others: Float32s, expected: RowPrior) -> Float32s:
        """Draw the rows of one side in place; returns their conditional means."""
        noise = self._random.standard_normal(rows.shape, np.float32)
        means = np.empty_like(rows)
        # Multiplications: a product of vectors a rating, a decomposition a row.
        work = side.starts * float(self._width**2) + np.arange(len(side) + 1) * float(self._width**3)
        for first, stop in cut_work(work):
            self._check_stop()
            is_definite = sample_rows(
                first,
                stop,
                side.starts,
                side.columns,
                side.ratings,
                others,
                expected.means,
                expected.precision,
                self._noise_precision,
                noise,
                rows,
                means,
            )
            if not is_definite:
                raise TrialError(
                    "not_finite_loss",
                    "the precision of every user and item must be positive definite to draw a sample; "
                    f"with noise precision {self._noise_precision:.3g} one is not: choose a smaller size or "
                    "another random_seed",
                )
        return means


def _features(
    architecture: BayesianMf, data: FitData, users: Side, items: Side
) -> tuple[tuple[Features, ...], tuple[Features, ...]]:
    """Groups of features of users and of items, as the architecture asks and the source has them."""
    result = []
    # The switch is younger than side_information: what it leaves out keeps the results of stored trials.
    user_features = data.user_features if architecture.user_features else None
    for side, other, features, is_implicit in (
        (users, items, user_features, architecture.implicit_items),
        (items, users, data.item_features, architecture.implicit_users),
    ):
        groups = []
        if architecture.side_information and features is not None:
            groups.append(side_information(side, features, architecture.feature_precision))
        if is_implicit:
            groups.append(implicit_sum(side, other, architecture.implicit_precision))
        result.append(tuple(groups))
    return result[0], result[1]


def _all_rows(side: Side, rated: Float32s, expected: RowPrior) -> Float32s:
    """Rows of the whole data set: those with ratings as given, the others at their prior mean."""
    rows = np.empty((side.n_rows, rated.shape[1]), np.float32)
    rows[side.rated] = rated
    rows[side.without_ratings] = expected.mean_without_ratings
    return rows
