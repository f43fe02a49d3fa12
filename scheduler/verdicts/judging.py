"""From the estimates of a sweep's trials to its verdicts; pure.

The leader is what validation ranked first. Where a test part judges, nothing was chosen on it: the leader is
compared with each of the others, and one of these may prove better, whose verdict then is "winner".
Where validation judges too, the leader is the luckiest of equal trials, and every pair of trials counts as
compared: then whoever was picked to be compared, the error rate is kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scheduler.verdicts.resampling import Estimate
from scheduler.verdicts.significance import (
    ERROR_RATE,
    FEWEST_USERS,
    Difference,
    bonferroni,
    difference,
    holm,
)
from shared.domain.identity import canonical_hash
from shared.domain.verdicts import Verdict, VerdictName

NOT_KEPT = "no results of users were kept when it was stored: FRESH=1 trains it again"
_ALONE = "there is no other trial to compare it with"


@dataclass(frozen=True, eq=False)
class Contender:
    """A succeeded trial with its estimate, or the reason why there is none.

    Trials of one `configuration` differ by the random seed alone. `is_comparable`: False where the objective
    does not judge it at all, so that nothing better is overlooked.
    """

    trial_id: int
    label: str
    configuration: str
    estimate: Estimate | None
    reason: str = ""
    is_comparable: bool = True


def configuration_of(config: Mapping[str, Any]) -> str:
    """What a stored configuration is but for its random seed."""
    without = {
        name: {key: value for key, value in part.items() if key != "random_seed"}
        if isinstance(part, Mapping)
        else part
        for name, part in config.items()
    }
    return canonical_hash(without)


def judge(
    contenders: Sequence[Contender], objective: str, split: str, *, is_larger_better: bool
) -> list[Verdict]:
    """One verdict a trial, in the order of `contenders`, of whom the first one leads."""
    if not contenders:
        return []
    leader = contenders[0]
    groups: dict[str, list[Contender]] = {}
    for one in contenders:
        groups.setdefault(one.configuration, []).append(one)
    n_users = leader.estimate.n_users if leader.estimate else 0

    def verdict(
        one: Contender,
        name: VerdictName | None,
        reason: str | None = None,
        interval: tuple[float, float, float, float] | None = None,
    ) -> Verdict:
        of_difference, lower, upper, p_value = interval or (None, None, None, None)
        return Verdict(
            trial_id=one.trial_id,
            leader_trial_id=leader.trial_id,
            objective=objective,
            split=split,
            difference=of_difference,
            lower=lower,
            upper=upper,
            p_value=p_value,
            verdict=name,
            reason=reason,
            n_users=n_users,
            n_seeds=len(groups[one.configuration]),
        )

    why_not = _why_nobody(leader)
    if why_not:
        return [verdict(one, None, _reason(one, leader, why_not)) for one in contenders]
    compared = _compare(groups, leader.configuration)
    p_values = [found.p_value for found in compared.values()]
    if split == "test":
        adjusted, rates = holm(p_values)
    else:
        n_compared = len(compared) + 1
        adjusted, rates = bonferroni(p_values, n_compared * (n_compared - 1) // 2)
    names: dict[str, VerdictName] = {}
    intervals = {}
    for (key, found), p_value, rate in zip(compared.items(), adjusted, rates, strict=True):
        is_better = (found.value > 0) == is_larger_better
        names[key] = "tie" if p_value > ERROR_RATE else "winner" if is_better else "worse"
        half = found.half_width(rate)
        intervals[key] = (found.value, found.value - half, found.value + half, p_value)
    of_leader, why = _leader_verdict(contenders, names, leader)
    verdicts = []
    for one in contenders:
        if one.estimate is None:
            verdicts.append(verdict(one, None, one.reason))
        elif one.configuration == leader.configuration:
            verdicts.append(verdict(one, of_leader, why))
        else:
            key = one.configuration
            verdicts.append(verdict(one, names[key], None, intervals[key]))
    return verdicts


def _why_nobody(leader: Contender) -> str:
    """Why no trial of the sweep can be judged, empty where they can."""
    if leader.estimate is None:
        return leader.reason
    if leader.estimate.n_users < FEWEST_USERS:
        return f"fewer than {FEWEST_USERS} users judge"
    return ""


def _reason(one: Contender, leader: Contender, why_not: str) -> str:
    if one.estimate is None:
        return one.reason
    if leader.estimate is None:
        return f"the leader {leader.label} has no verdict: {why_not}"
    return why_not


def _compare(groups: Mapping[str, Sequence[Contender]], leading: str) -> dict[str, Difference]:
    """By configuration, those that can be compared with the leader's."""
    seeds = {key: [one.estimate for one in group if one.estimate] for key, group in groups.items()}
    return {
        key: difference(estimates, seeds[leading])
        for key, estimates in seeds.items()
        if estimates and key != leading
    }


def _leader_verdict(
    contenders: Sequence[Contender], names: Mapping[str, VerdictName], leader: Contender
) -> tuple[VerdictName | None, str | None]:
    found = set(names.values())
    if "winner" in found:
        return "worse", None
    if "tie" in found:
        return "tie", None
    unknown = [
        one.label
        for one in contenders
        if one.estimate is None and one.is_comparable and one.configuration != leader.configuration
    ]
    if unknown:
        return None, f"it is worse than none, but there is no verdict on {', '.join(unknown)}"
    return ("winner", None) if found else (None, _ALONE)
