"""Blends: the models of trained trials, their scores standardised for every user and added up.

The file of a blend holds the models of its parts whole: whoever reads it needs no other file.
"""

from collections.abc import Sequence

import numpy as np

from shared.domain.families.blend import Blend
from shared.errors import TrialError
from worker.families.blend.weights import choose_weights
from worker.families.contract import FitContext, FitData, Fitted, Weights
from worker.families.registry import family_of
from worker.ranking.scorers import Float64s, Scorer
from worker.ranking.standardised_sum import Scale, StandardisedSum, measure_scale, sum_standardised


def fit(architecture: Blend, training: None, data: FitData, context: FitContext) -> Fitted:
    """Measure the scales of the parts and choose their weights; the parts stay as they are.

    Weights that were chosen before, of the trial that a refit is made after, are taken as they are.
    """
    if len(context.parts) != len(architecture.parts):
        raise TrialError(
            "error", f"a blend of {len(architecture.parts)} parts was given {len(context.parts)} models"
        )
    scorers = _scorers(architecture, [part.weights for part in context.parts], data)
    scales = [measure_scale(scorer, data.n_users, context.check_stop) for scorer in scorers]
    weights, how = _weigh(architecture, scorers, scales, context)
    arrays: dict[str, Float64s] = {"weight": weights}
    for number, (part, scale) in enumerate(zip(context.parts, scales, strict=True)):
        arrays |= {f"{_prefix(number)}{name}": array for name, array in part.weights.items()}
        arrays |= {_mean(number): scale.mean, _deviation(number): scale.deviation}
    told = ", ".join(
        f"{part.label} {weight:.3f}" for part, weight in zip(architecture.parts, weights, strict=True)
    )
    return Fitted(
        arrays,
        n_parameters=sum(part.n_parameters for part in context.parts) + len(weights),
        summary=f"weights, {how}: {told}",
        part_weights=tuple(weights.tolist()),
    )


def make_scorer(architecture: Blend, weights: Weights, data: FitData) -> StandardisedSum:
    """The parts' scores, standardised and added up."""
    numbers = range(len(architecture.parts))
    models = [
        {
            name.removeprefix(_prefix(number)): array
            for name, array in weights.items()
            if name.startswith(_prefix(number))
        }
        for number in numbers
    ]
    scales = [Scale(weights[_mean(number)], weights[_deviation(number)]) for number in numbers]
    return sum_standardised(_scorers(architecture, models, data), scales, weights["weight"].tolist())


def _scorers(architecture: Blend, models: Sequence[Weights], data: FitData) -> list[Scorer]:
    return [
        family_of(config.architecture).make_scorer(config.architecture, model, data)
        for config, model in zip(architecture.configs, models, strict=True)
    ]


def _weigh(
    architecture: Blend, scorers: Sequence[Scorer], scales: Sequence[Scale], context: FitContext
) -> tuple[Float64s, str]:
    """The weights, which add up to 1, and in words where they are from."""
    known = [part.weight for part in context.parts if part.weight is not None]
    if len(known) == len(scorers):
        return np.array(known), "as they were chosen before"
    equal = np.full(len(scorers), 1 / len(scorers))
    if architecture.weights == "equal":
        return equal, "equal"
    objective_of = context.objective_of
    if objective_of is None:
        return equal, "equal, because the objective cannot be measured on validation here"

    def value_of(weights: Float64s) -> float:
        context.check_stop()
        return objective_of(sum_standardised(scorers, scales, weights.tolist()))

    chosen = choose_weights(value_of, equal)
    return chosen.weights, (
        f"chosen on validation in {chosen.n_tried} rankings, which made {chosen.value:.4f} of "
        f"{chosen.first_value:.4f}"
    )


def _prefix(number: int) -> str:
    return f"part{number}_"


def _mean(number: int) -> str:
    return f"scale{number}_mean"


def _deviation(number: int) -> str:
    return f"scale{number}_deviation"
