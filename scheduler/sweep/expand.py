"""Pure: SweepSpec -> ordered, unique trial configurations."""

from dataclasses import fields, replace
from itertools import product

from scheduler.sweep.spec import SweepSpec
from shared.domain.families import BASELINES, FAMILIES
from shared.domain.training import TrainingConfig
from shared.domain.trial import TrialConfig


def expand(spec: SweepSpec) -> list[TrialConfig]:
    """All trials of the sweep in the order of its tables, duplicates dropped, then the two baselines."""
    trials: dict[str, TrialConfig] = {}
    for table in spec.tables:
        family = FAMILIES[table.family]
        own = [field.name for field in fields(family)]  # type: ignore[arg-type]  # They are dataclasses.
        order = [*own, *(field.name for field in fields(TrainingConfig))]
        axes = sorted(table.axes, key=order.index)
        for values in product(*(table.axes[axis] for axis in axes)):
            point = dict(zip(axes, values, strict=True))
            architecture = family(**{name: value for name, value in point.items() if name in own})
            overrides = {name: value for name, value in point.items() if name not in own}
            training = replace(spec.training, **overrides) if family.has_epochs else None
            trial = TrialConfig(architecture, training)
            trials.setdefault(trial.config_hash, trial)
    return [*trials.values(), *(TrialConfig(baseline()) for baseline in BASELINES)]
