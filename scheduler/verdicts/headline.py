"""The verdict on a sweep in one sentence: what to ship, how sure that is, and what it costs."""

from collections.abc import Sequence

from shared.domain.verdicts import Verdict
from shared.store import LeaderboardRow


def headline(rows: Sequence[LeaderboardRow], verdicts: Sequence[Verdict]) -> str | None:
    """The sentence; None where nothing was judged. `verdicts`: the leader's first."""
    if not verdicts:
        return None
    by_id = {row.trial_id: row for row in rows}
    leader, first = by_id[verdicts[0].trial_id], verdicts[0]
    proven = [one for one in verdicts if one.verdict == "winner" and one.trial_id != first.trial_id]
    if first.verdict == "worse" and proven:
        best = min(proven, key=lambda one: one.p_value or 0.0)
        sure = f"on {first.split} it proved better than {leader.label}, which leads on validation"
        return _sentence(by_id[best.trial_id], sure)
    if first.verdict == "winner":
        return _sentence(leader, "proven better than every other trial that is judged, with 95 %")
    if first.verdict == "tie":
        return _of_ties([leader, *_tied(verdicts, rows)])
    return _sentence(leader, f"not sure: {first.reason}" if first.reason else "not sure")


def _of_ties(tied: Sequence[LeaderboardRow]) -> str:
    """The leader, and the one that takes least time where it is another."""
    leader = tied[0]
    n_others = len(tied) - 1
    sure = f"not proven better than {n_others} other{'s' * (n_others > 1)}"
    timed = [row for row in tied if row.train_seconds is not None]
    cheapest = min(timed, key=lambda row: row.train_seconds or 0.0, default=leader)
    if cheapest.trial_id != leader.trial_id:
        sure += f", of which {cheapest.label} takes {_duration(cheapest.train_seconds)} to train"
    return _sentence(leader, sure)


def _tied(verdicts: Sequence[Verdict], rows: Sequence[LeaderboardRow]) -> list[LeaderboardRow]:
    """Trials of other configurations that tie with the leader, each configuration once where it has seeds."""
    by_id = {row.trial_id: row for row in rows}
    found: dict[object, LeaderboardRow] = {}
    for one in verdicts:
        if one.verdict == "tie" and one.difference is not None:
            # The trials of one configuration share their interval.
            key = (one.difference, one.upper) if one.n_seeds > 1 else one.trial_id
            found.setdefault(key, by_id[one.trial_id])
    return list(found.values())


def _sentence(row: LeaderboardRow, sure: str) -> str:
    value = row.mean_value if (row.n_seeds or 1) > 1 else row.validation_value
    of_seeds = f", mean of {row.n_seeds} random seeds" if (row.n_seeds or 1) > 1 else ""
    good = "" if value is None else f" ({row.objective} {value:.4f} on validation{of_seeds})"
    costs = [f"{_duration(row.train_seconds)} to train"] if row.train_seconds is not None else []
    costs += [f"{row.n_parameters:,} weights"] if row.n_parameters is not None else []
    cost = f"; it costs {' and '.join(costs)}" if costs else ""
    return f"Ship {row.label}{good}: {sure}{cost}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "an unknown time"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{seconds / 3600:.1f} h"
