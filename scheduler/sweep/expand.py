"""Pure: SweepSpec -> ordered, unique trial configurations."""

from dataclasses import fields, replace
from itertools import pairwise, product
from typing import get_args

from scheduler.sweep.spec import SweepSpec
from shared.domain.architecture import Architecture, Baseline, TrainingConfig, TrialConfig

_ARCHITECTURE_KEYS = {field.name for field in fields(Architecture)}


def expand(spec: SweepSpec) -> list[TrialConfig]:
    """All trials of the sweep in grid order, duplicates dropped, then the two baselines."""
    trials: dict[str, TrialConfig] = {}
    for grid in spec.grids:
        axes = sorted(grid, key=_axis_order)
        for values in product(*(grid[axis] for axis in axes)):
            point = dict(zip(axes, values, strict=True))
            architecture = Architecture(**{k: v for k, v in point.items() if k in _ARCHITECTURE_KEYS})
            overrides = {k: v for k, v in point.items() if k not in _ARCHITECTURE_KEYS}
            training = replace(spec.training, **overrides)
            trial = TrialConfig(architecture=architecture, training=training)
            trials.setdefault(trial.config_hash, trial)
    return [*trials.values(), *(TrialConfig(baseline=baseline) for baseline in get_args(Baseline))]


def expected_cost(trial: TrialConfig) -> float:
    """Rough relative training time, to start the longest trials first; 0 for a baseline.

    A step has a fixed part and a part that grows with the batch and with the multiplications of the head.
    Without an activation the dense layers are one map, folded once a step.
    """
    if trial.architecture is None or trial.training is None:
        return 0.0
    architecture, training = trial.architecture, trial.training
    width = architecture.embedding_size * (2 if architecture.merge == "concatenate" else 1)
    widths = (width, *architecture.dense_layers)
    products = float(sum(a * b for a, b in pairwise(widths)))
    per_rating = architecture.embedding_size * 6.0
    if architecture.is_linear:
        per_step = products
    else:
        per_step = 0.0
        per_rating += products * (architecture.embedding_size if architecture.merge == "dot" else 1)
    # The outer product of `dot` learns slowly: it runs to the last epoch where the others stop early.
    epochs = training.max_epochs if architecture.merge == "dot" else training.max_epochs / 2
    return epochs * ((20_000.0 + per_step) / training.batch_size + per_rating)


def _axis_order(axis: str) -> int:
    names = [field.name for record in (Architecture, TrainingConfig) for field in fields(record)]
    return names.index(axis)
