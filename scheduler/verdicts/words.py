"""Verdicts in plain words, with no more digits than are known."""

import math
from collections.abc import Mapping, Sequence

from shared.domain.verdicts import Verdict
from shared.store import LeaderboardRow

_MOST_DECIMALS = 6
_MOST_NAMES = 4


def format_interval(value: float, half_width: float) -> str:
    """`+0.0123 ± 0.0031`: two digits of the half width, and the value to the same place."""
    decimals = decimals_of(half_width)
    return f"{value:+.{decimals}f} ± {half_width:.{decimals}f}"


def decimals_of(half_width: float) -> int:
    """Decimals that show two digits of how far off a value may be; 4 where it is exact."""
    if half_width == 0:
        return 4
    return min(_MOST_DECIMALS, max(0, 1 - math.floor(math.log10(half_width))))


def against_leader(verdict: Verdict | None) -> str:
    """A cell of the leaderboard: `worse, -0.0123 ± 0.0031`; `?` where nothing can be said, and why below."""
    if verdict is None:
        return ""
    if verdict.verdict is None:
        return "?"
    if verdict.trial_id == verdict.leader_trial_id:
        return {"winner": "winner", "tie": "leads, with ties", "worse": "leads, and is worse"}[
            verdict.verdict
        ]
    if verdict.difference is None or verdict.upper is None:
        return "the leader's, other seed"
    return f"{verdict.verdict}, {format_interval(verdict.difference, verdict.upper - verdict.difference)}"


def baseline_warning(rows: Sequence[LeaderboardRow], verdicts: Sequence[Verdict]) -> str | None:
    """Says first that a baseline leads, and whether anything ties with it."""
    by_id = {row.trial_id: row for row in rows}
    leader = by_id.get(verdicts[0].trial_id) if verdicts else None
    if leader is None or not leader.is_baseline:
        return None
    better = [one for one in verdicts if one.verdict == "winner" and one.trial_id != leader.trial_id]
    ties = [
        by_id[one.trial_id].label
        for one in verdicts
        if one.verdict == "tie" and not by_id[one.trial_id].is_baseline
    ]
    if better:
        rest = f"but {_names([by_id[one.trial_id].label for one in better])} proved better on test"
    elif ties:
        rest = f"no architecture is proven better; {_names(ties)} may be as good"
    elif verdicts[0].verdict == "winner":
        rest = "every architecture is worse"
    else:
        rest = "no architecture is proven better"
    return f"A baseline leads this sweep by {leader.objective}: {leader.label}; {rest}"


def verdict_lines(rows: Sequence[LeaderboardRow], verdicts: Sequence[Verdict]) -> list[str]:
    """Who leads, who ties with it and by how much they differ, the cheapest of these, what is not known."""
    by_id = {row.trial_id: row for row in rows}
    if not verdicts:
        return []
    first = verdicts[0]
    leader = by_id[first.trial_id]
    lines = []
    if first.n_users:
        lines.append(_who_judges(first))
    better = [one for one in verdicts if one.verdict == "winner" and one.trial_id != first.trial_id]
    ties = [one for one in verdicts if one.verdict == "tie" and one.difference is not None]
    name = leader.label + (f" (the mean of {first.n_seeds} random seeds)" if first.n_seeds > 1 else "")
    if first.verdict == "winner":
        lines.append(f"Winner: {name}; every other trial that is judged is worse")
    if better:
        lines.append(
            f"{name} leads on validation, but is worse on {first.split} than {_described(better, by_id)}"
        )
    if ties:
        lines.append(f"{name} leads; it is not proven better than {_described(ties, by_id)}")
        lines.append(_cheapest([leader, *(by_id[one.trial_id] for one in ties)], leader))
    return lines + _unknown(verdicts, by_id)


def _who_judges(first: Verdict) -> str:
    judges = f"{first.objective} of {first.n_users:,} users on {first.split}"
    line = f"Verdicts: by {judges}; the intervals hold together with 95 %"
    if first.split == "test":
        return line
    # Winner's curse: of equal trials the one that leads was lucky with these very ratings.
    return (
        f"{line}, for every pair of trials. Validation also chose the leader: it may look better than it is"
    )


def _described(verdicts: Sequence[Verdict], by_id: Mapping[int, LeaderboardRow]) -> str:
    """Each configuration once, by the first of its seeds, with its interval."""
    parts: dict[object, str] = {}
    for one in verdicts:
        if one.difference is not None and one.upper is not None:
            # Trials with several seeds share one interval; another configuration has it by no chance.
            key = (one.difference, one.upper) if one.n_seeds > 1 else one.trial_id
            seeds = f", mean of {one.n_seeds} random seeds" if one.n_seeds > 1 else ""
            interval = format_interval(one.difference, one.upper - one.difference)
            parts.setdefault(key, f"{by_id[one.trial_id].label} ({interval}{seeds})")
    return _names(list(parts.values()))


def _cheapest(tied: Sequence[LeaderboardRow], leader: LeaderboardRow) -> str:
    """By the time of training, then by what the model holds."""

    def cost(row: LeaderboardRow) -> tuple[float, int]:
        seconds = math.inf if row.train_seconds is None else row.train_seconds
        return seconds, row.n_parameters or 0

    cheapest = min(tied, key=cost)
    if cheapest.trial_id == leader.trial_id:
        return f"Of these {len(tied)}, the leader is also the cheapest to train ({_seconds(leader)})"
    return (
        f"Of these {len(tied)}, {cheapest.label} is the cheapest to train: "
        f"{_seconds(cheapest)}, the leader {_seconds(leader)}"
    )


def _unknown(verdicts: Sequence[Verdict], by_id: Mapping[int, LeaderboardRow]) -> list[str]:
    """One line for each reason, with all whom it keeps from a verdict."""
    by_reason: dict[str, list[str]] = {}
    for one in verdicts:
        if one.reason is not None:
            by_reason.setdefault(one.reason, []).append(by_id[one.trial_id].label)
    return [f"No verdict on {_names(labels)}: {reason}" for reason, labels in by_reason.items()]


def _seconds(row: LeaderboardRow) -> str:
    return "unknown" if row.train_seconds is None else f"{row.train_seconds:.1f} s"


def _names(names: Sequence[str]) -> str:
    """All of a few, the first of many: the table has them all."""
    if len(names) > _MOST_NAMES + 1:
        names = [*names[:_MOST_NAMES], f"{len(names) - _MOST_NAMES} more"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
