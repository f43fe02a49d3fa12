"""Pure: SweepSpec -> ordered, unique trial configurations."""

from collections.abc import Mapping
from dataclasses import fields, replace
from itertools import product
from typing import Any

from pydantic import ValidationError

from scheduler.sweep.spec import FamilyTable, SweepSpec
from shared.domain.families import FAMILIES, Architecture, default_training_of
from shared.domain.training import TrainingConfig
from shared.domain.trial import TrialConfig
from shared.errors import SpecError


def expand(spec: SweepSpec) -> list[TrialConfig]:
    """All trials of the sweep in the order of its tables, duplicates dropped, then the baselines.

    Of a search, which chooses its trials one by one, only the baselines (see `asked_of`).
    Raises SpecError, with the place in the file, where the values of a trial do not go together.
    """
    trials: dict[str, TrialConfig] = {}
    for table in () if spec.search.method != "grid" else spec.tables:
        axes = ordered_axes(table)
        # A grid has no ranges left: `require_searchable`.
        for values in product(*(table.axes[axis] for axis in axes)):  # type: ignore[arg-type]
            point = dict(zip(axes, values, strict=True))
            trial = make_trial(FAMILIES[table.family], spec.training, point, table.place)
            trials.setdefault(trial.config_hash, trial)
    return [*trials.values(), *(TrialConfig(baseline()) for baseline in spec.baselines)]


def ordered_axes(table: FamilyTable) -> list[str]:
    """The axes that a table names, in the order of the fields."""
    records = (FAMILIES[table.family], TrainingConfig)
    names = [field.name for record in records for field in fields(record)]  # type: ignore[arg-type]  # Dataclasses.
    return [name for name in names if name in table.axes]


def make_trial(
    family: type[Architecture], training: Mapping[str, Any], point: Mapping[str, Any], place: str
) -> TrialConfig:
    """The trial at one point of the axes: over the family's default training, then that of the file.

    Raises SpecError where values that are each allowed do not go together.
    """
    own = [field.name for field in fields(family)]  # type: ignore[arg-type]  # They are dataclasses.
    overrides = {**training, **{name: value for name, value in point.items() if name not in own}}
    try:
        architecture = family(**{name: value for name, value in point.items() if name in own})
        if not family.has_epochs:
            return TrialConfig(architecture)
        return TrialConfig(architecture, replace(default_training_of(architecture), **overrides))
    except ValidationError as error:
        raise SpecError(f"{place}: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error
