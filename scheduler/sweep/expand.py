"""Pure: SweepSpec -> ordered, unique trial configurations."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from itertools import product
from typing import Any

from pydantic import ValidationError

from scheduler.sweep.spec import SweepSpec
from shared.domain.families import FAMILIES, Architecture, default_training_of
from shared.domain.training import TrainingConfig
from shared.domain.trial import TrialConfig
from shared.errors import SpecError


def expand(spec: SweepSpec) -> list[TrialConfig]:
    """All trials of the sweep in the order of its tables, duplicates dropped, then the baselines.

    Raises SpecError, with the place in the file, where the values of a trial do not go together.
    """
    trials: dict[str, TrialConfig] = {}
    for table in spec.tables:
        family = FAMILIES[table.family]
        own = [field.name for field in fields(family)]  # type: ignore[arg-type]  # They are dataclasses.
        order = [*own, *(field.name for field in fields(TrainingConfig))]
        axes = sorted(table.axes, key=order.index)
        for values in product(*(table.axes[axis] for axis in axes)):
            point = dict(zip(axes, values, strict=True))
            trial = _make_trial(family, own, spec.training, point, table.place)
            trials.setdefault(trial.config_hash, trial)
    return [*trials.values(), *(TrialConfig(baseline()) for baseline in spec.baselines)]


def _make_trial(
    family: type[Architecture],
    own: Sequence[str],
    training: Mapping[str, Any],
    point: Mapping[str, Any],
    place: str,
) -> TrialConfig:
    """The trial at one point of the axes: over the family's default training, then that of the file.

    Raises SpecError where values that are each allowed do not go together.
    """
    overrides = {**training, **{name: value for name, value in point.items() if name not in own}}
    try:
        architecture = family(**{name: value for name, value in point.items() if name in own})
        if not family.has_epochs:
            return TrialConfig(architecture)
        return TrialConfig(architecture, replace(default_training_of(architecture), **overrides))
    except ValidationError as error:
        raise SpecError(f"{place}: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error
