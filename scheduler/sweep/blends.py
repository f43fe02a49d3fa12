"""Which blends a sweep file asks for, once the trials that they are made of have ended; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan

from scheduler.sweep.sections import Blend as BlendTable
from scheduler.sweep.spec import SweepSpec
from scheduler.sweep.step import Step
from shared.domain.families.blend import Blend, BlendPart
from shared.domain.protocol import Protocol
from shared.domain.trial import TrialConfig
from shared.store import GrowingSweep, Trial

_OPEN = ("queued", "running")


@dataclass(frozen=True)
class AskedBlends:
    """The blends of the best trials as they are now; `impossible`: why others cannot be made, in words."""

    configs: tuple[TrialConfig, ...]
    impossible: tuple[str, ...]


def blend(spec: SweepSpec, growing: GrowingSweep) -> Step:
    """The blends, when no other trial of the sweep is queued or running.

    One whose parts are not there is not added: `make sweep` says why at its end, and makes it once they are.
    """
    if not spec.blends:
        return Step()
    if any(trial.status in _OPEN for trial in growing.trials if trial.config.family != Blend.family):
        return Step(is_over=False)
    return Step(configs=asked_blends(spec, growing.trials, growing.sweep.protocol).configs)


def asked_blends(spec: SweepSpec, trials: Sequence[Trial], protocol: Protocol) -> AskedBlends:
    """Of the best succeeded trial of each family by the objective on validation; the first among equals."""
    best = _best_of_families(trials, protocol)
    configs: list[TrialConfig] = []
    impossible: list[str] = []
    for table in spec.blends:
        families = table.families or tuple(best)[: table.of_best]
        missing = [family for family in table.families if family not in best]
        if missing or len(families) < table.n_families:
            impossible.append(_say_impossible(table, spec, best, trials))
            continue
        parts = tuple(_part(best[family]) for family in families)
        configs.append(TrialConfig(Blend(parts, table.weights)))
    return AskedBlends(tuple(configs), tuple(impossible))


def stored_blends(spec: SweepSpec, trials: Sequence[Trial]) -> list[TrialConfig]:
    """Those of them that are stored already; one that was made of other parts is an older one."""
    stored = {trial.config_hash for trial in trials}
    asked = asked_blends(spec, trials, spec.protocol).configs
    return [config for config in asked if config.config_hash in stored]


def _best_of_families(trials: Sequence[Trial], protocol: Protocol) -> dict[str, Trial]:
    """By family, the best family first."""
    direction = -1.0 if protocol.is_larger_better else 1.0
    able = [
        (direction * trial.objective, trial)
        for trial in trials
        if trial.status == "succeeded" and trial.objective is not None and not isnan(trial.objective)
        if not trial.config.is_baseline and trial.config.family != Blend.family
    ]
    best: dict[str, Trial] = {}
    for _, trial in sorted(able, key=lambda one: (one[0], one[1].trial_id)):
        best.setdefault(trial.config.family, trial)
    return best


def _part(trial: Trial) -> BlendPart:
    return BlendPart(trial.config_hash, trial.label, trial.config.canonical)


def _say_impossible(
    table: BlendTable, spec: SweepSpec, best: Mapping[str, Trial], trials: Sequence[Trial]
) -> str:
    asked = table.families or tuple(dict.fromkeys(one.family for one in spec.tables))
    whose = f"of {', '.join(table.families)}" if table.families else f"of the best {table.of_best} families"
    reasons = [f"{family} has {_why_not(family, trials)}" for family in asked if family not in best]
    return f"no blend {whose}: {'; '.join(reasons)}. `make sweep` makes it when they have succeeded."


def _why_not(family: str, trials: Sequence[Trial]) -> str:
    own = [trial for trial in trials if trial.config.family == family]
    failed = next((trial for trial in own if trial.status == "failed"), None)
    if failed is not None:
        return f"no succeeded trial, {failed.label} failed ({failed.error_reason}: {failed.error_message})"
    if own:
        return f"no succeeded trial with a value of the objective, {own[0].label} is {own[0].status}"
    return "no trial"
