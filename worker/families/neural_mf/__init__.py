"""Neural matrix factorisation: a dot product beside dense layers, both with biases and features.

He et al. 2017, Neural collaborative filtering. A user or item without training ratings is scored by its
features alone, and by zeros where there are none; unrated items that are drawn move an item's row too.
"""

from dataclasses import asdict, replace

import numpy as np
import numpy.typing as npt

from shared.domain.families.neural_mf import NeuralMf
from shared.domain.training import TrainingConfig
from worker.families.contract import FitContext, FitData, Fitted, Weights
from worker.families.pair_targets import pair_targets
from worker.process.quiet import quiet_tensorflow
from worker.ranking.scorers import LinearScorer, Scorer, require_finite_weights
from worker.ranking.sums import SummedScorer

# The source that a trained model depends on: a checkpoint of another is not resumed.
_CODE_OF_RESULTS = ("worker/engine", "worker/families/neural_mf")
Features = npt.NDArray[np.float32] | None

_SIDES = ("user", "item")
_PARTS = ("vectors", "inputs", "bias")


def fit(
    architecture: NeuralMf, training: TrainingConfig | None, data: FitData, context: FitContext
) -> Fitted:
    """Train with early stopping; the weights are those of the best epoch, with the features in the rows.

    The best is that of the sweep's objective where it judges lists, else of the validation loss. The result
    depends on the arguments alone, bit for bit on one kind of machine, stopped and resumed or not.
    Raises TrialError "not_finite_loss" when a loss is NaN or infinite.
    """
    quiet_tensorflow()
    # They import it.
    from worker.engine.checkpoint import identify  # noqa: PLC0415
    from worker.engine.fitting import fit_in_epochs, fitted_of  # noqa: PLC0415
    from worker.engine.pair_training import PairData, PairTrainer  # noqa: PLC0415
    from worker.families.neural_mf.network import initial_weights, neural_mf_network  # noqa: PLC0415

    if training is None:
        raise ValueError("neural_mf is trained in epochs: it needs training settings")
    user_features, item_features = _features(architecture, data)
    pairs = PairData(
        data.n_users,
        data.n_items,
        pair_targets(architecture, data.train, data),
        pair_targets(architecture, data.validation, data),
        user_features=user_features,
        item_features=item_features,
    )
    n_rated = (
        np.bincount(pairs.train.user_index, minlength=data.n_users),
        np.bincount(pairs.train.item_index, minlength=data.n_items),
    )
    start = 0.0
    if architecture.predicts_ratings and len(pairs.train):
        start = float(pairs.train.rating.mean(dtype=np.float64))
    weights = initial_weights(
        architecture,
        n_rated,
        (_n_columns(user_features), _n_columns(item_features)),
        start,
        training.random_seed,
    )
    trainer = PairTrainer(
        neural_mf_network(architecture, (user_features is not None, item_features is not None)),
        weights,
        training,
        pairs,
        context,
        numbers_per_pair=max(architecture.size, 2 * architecture.input_size, *architecture.dense_layers),
        make_scorer=lambda found: make_scorer(
            architecture, with_features(found, user_features, item_features), data
        ),
    )

    def belongs_to() -> str:
        settings = {
            "architecture": asdict(architecture),
            "training": asdict(training),
            "rows": [data.n_users, data.n_items],
        }
        parts = (pairs.train, pairs.validation)
        arrays = [array for part in parts for array in (part.user_index, part.item_index, part.rating)]
        return identify(_CODE_OF_RESULTS, settings, [*arrays, user_features, item_features])

    progress = fit_in_epochs(trainer, training, context, belongs_to)
    fitted = fitted_of(progress, sum(array.size for array in weights.values()))
    return replace(fitted, weights=with_features(fitted.weights, user_features, item_features))


def make_scorer(architecture: NeuralMf, weights: Weights, data: FitData) -> Scorer:
    """The dot product with the biases, and the dense layers: one scorer for each, and their sum."""
    del data
    quiet_tensorflow()
    from worker.families.tower.scorer import head_scorer  # noqa: PLC0415  It imports it.

    require_finite_weights(weights)
    wide = {name: np.asarray(array, np.float64) for name, array in weights.items()}
    predicts = architecture.predicts_ratings
    product = LinearScorer(
        wide["user_vectors"],
        wide["item_vectors"],
        wide["user_bias"][:, 0],
        wide["item_bias"][:, 0],
        predicts_ratings=predicts,
    )
    n_layers = len(architecture.dense_layers)
    dense = [(wide[f"kernel_{number}"], wide[f"bias_{number}"]) for number in range(1, n_layers + 1)]
    inputs = (wide["user_inputs"], wide["item_inputs"])
    head = head_scorer("concatenate", architecture.activation, inputs, dense)
    return SummedScorer((product, head), predicts_ratings=predicts)


def with_features(
    weights: Weights, user_features: Features, item_features: Features
) -> dict[str, npt.NDArray[np.float32]]:
    """The weights as they are saved: features times their kernels are in the rows, no kernels of features."""
    saved = dict(weights)
    for side, features in zip(_SIDES, (user_features, item_features), strict=True):
        kernel = saved.pop(f"{side}_feature_kernel", None)
        if features is None or kernel is None:
            continue
        names = [f"{side}_{part}" for part in _PARTS]
        ends = np.cumsum([saved[name].shape[1] for name in names])
        # einsum without `optimize` adds in one order, whatever the number of threads.
        added = np.einsum("ij,jk->ik", features, kernel)
        for name, part in zip(names, np.split(added, ends[:-1], axis=1), strict=True):
            saved[name] = (saved[name] + part).astype(np.float32)
    return saved


def _features(architecture: NeuralMf, data: FitData) -> tuple[Features, Features]:
    return (data.user_features, data.item_features) if architecture.side_information else (None, None)


def _n_columns(features: Features) -> int:
    return 0 if features is None else features.shape[1]
