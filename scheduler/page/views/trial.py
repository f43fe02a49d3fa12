"""One trial: what it is, how it learned, what its lists are made of, and for whom it is better."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from scheduler.page.logs import log_tail
from scheduler.page.trial.pictures import curve_of, losses_of, spread_of
from scheduler.page.trial.settings import settings_of
from scheduler.page.view import View
from scheduler.page.words import number
from shared.domain.protocol import OBJECTIVES
from shared.store.page.trial import TrialFacts, TrialRecords, UsersOfActivity, read_trial

_PARTS = ("train", "validation", "test")
_N_TENTHS = 10
_USERS = ("light", "medium", "heavy")


@dataclass(frozen=True)
class Shown:
    """What was read, and the end of its log, None where that is not here."""

    records: TrialRecords
    log: str | None = None


@dataclass(frozen=True)
class ForWhom:
    """Users of one activity: what both trials reach, and the shares who gain and lose."""

    users: str
    ratings: str
    n_users: int
    value: str
    other_value: str
    gains: float
    loses: float
    stands: str


def build(shown: Shown) -> dict[str, Any]:
    """What `trial.html` is given."""
    records = shown.records
    trial = records.trial
    settings = settings_of(trial.config)
    metrics = metrics_of(records.metrics)
    for_whom = tuple(_for_whom(one, trial.objective) for one in records.for_whom)
    return {
        "title": f"Trial {trial.trial_id} {trial.label}",
        "trial": trial,
        "lead": lead_of(trial),
        "chosen_settings": [one for one in settings if one.is_chosen],
        "other_settings": [one for one in settings if not one.is_chosen],
        "metric_parts": metrics[0],
        "metrics": metrics[1],
        "learning": [one for one in (curve_of(records), losses_of(records.epochs)) if one],
        "spread": spread_of(records.tenths),
        "facts": facts_of(records),
        "most_listed": records.most_listed,
        "n_looked": sum(one.n_users for one in records.tenths),
        "for_whom": for_whom,
        "for_whom_metric": "RMSE" if _is_error(trial.objective) else "ndcg",
        "judged_by": records.for_whom[0].split if records.for_whom else "",
        "n_judging": sum(one.n_users for one in for_whom),
        "against": records.against,
        "attempts": records.attempts,
        "log": shown.log,
        "relatives": records.relatives,
        "proposals": records.proposals,
        "promotions": records.promotions,
    }


def lead_of(trial: TrialFacts) -> str:
    """In a sentence: its state, its place, and how it stands beside the leader."""
    if trial.status == "failed":
        return f"It failed: {trial.error_reason}."
    if trial.status == "stopped":
        return (
            f"It was stopped after epoch {trial.stopped_epoch}: it reached {number(trial.stopped_value)}, "
            f"and would have had to reach {number(trial.stopped_against)}."
        )
    if trial.status != "succeeded":
        return f"It is {trial.status}; there is nothing to judge yet."
    if trial.refit_of is not None:
        return (
            f"The refit of {trial.chosen_label}: trained on all ratings, so nothing is left to judge it by."
        )
    if trial.validation_value is None:
        return f"It succeeded; {trial.objective} does not judge it."
    place = f"Place {trial.place} of {trial.n_ranked} by {trial.objective}, {number(trial.validation_value)}"
    return f"{place} on validation{_beside(trial)}."


def _beside(trial: TrialFacts) -> str:
    if trial.leader_trial_id == trial.trial_id:
        if trial.verdict == "winner":
            return ": it leads, and is proven better than all others"
        return ": it leads"
    if trial.difference is None or trial.lower is None or trial.upper is None:
        return ""
    words = {
        "worse": "proven worse than the leader",
        "tie": "no difference to the leader is proven",
        "winner": "proven better than the leader",
    }
    interval = f"{trial.difference:+.4f}, {trial.lower:+.4f} to {trial.upper:+.4f} on {trial.judged_by}"
    return f"; {words[trial.verdict or 'tie']} ({interval})"


def metrics_of(
    metrics: Mapping[tuple[str, str], float],
) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """The parts of the split that have some, and a line a metric with its value on each of them."""
    parts = [part for part in _PARTS if any(one == part for one, _ in metrics)]
    names = list(dict.fromkeys(name for _, name in metrics))
    order = [*OBJECTIVES, "coverage", "popularity", "novelty"]

    def place(name: str) -> tuple[int, str]:
        start = name.partition("@")[0]
        return (order.index(start) if start in order else len(order), name)

    return parts, [
        (name, [number(metrics.get((part, name))) for part in parts]) for name in sorted(names, key=place)
    ]


def facts_of(records: TrialRecords) -> list[str]:
    """What its lists are made of, in words; none without lists."""
    total = sum(one.n_lists for one in records.tenths)
    if not total:
        return []
    n_listed = sum(one.n_listed for one in records.tenths)
    n_items = sum(one.n_items for one in records.tenths)
    facts = [
        f"{n_listed:,} of {n_items:,} items are in some list: {n_listed / n_items:.1%} of the catalogue."
    ]
    first = records.tenths[0]
    facts.append(
        f"The {first.n_items:,} most rated items, {first.n_items / n_items:.1%} of it, have "
        f"{first.n_lists / total:.1%} of the places."
    )
    half = sum(one.n_lists for one in records.tenths if one.tenth > _N_TENTHS / 2) / total
    facts.append(f"The less rated half has {half:.1%}.")
    return facts


def _for_whom(one: UsersOfActivity, objective: str) -> ForWhom:
    is_error = (_is_error(objective) and one.rmse is not None) or one.ndcg is None
    value, other = (one.rmse, one.other_rmse) if is_error else (one.ndcg, one.other_ndcg)
    gains, loses = (
        (one.n_smaller_error, one.n_larger_error) if is_error else (one.n_higher_ndcg, one.n_lower_ndcg)
    )
    n = one.n_users if is_error else one.n_ranked
    stands = "equal"
    if value is not None and other is not None and value != other:
        stands = "ahead" if (value < other) == is_error else "behind"
    return ForWhom(
        users=_USERS[one.place - 1],
        ratings=f"{one.least:,} to {one.most:,}" if one.least != one.most else f"{one.least:,}",
        n_users=n,
        value=number(value),
        other_value=number(other),
        gains=gains / n if n else 0.0,
        loses=loses / n if n else 0.0,
        stands=stands,
    )


def _is_error(objective: str) -> bool:
    return not OBJECTIVES.get(objective.partition("@")[0], True)


def _read(engine: Engine, parameters: Mapping[str, Any]) -> Shown:
    records = read_trial(engine, parameters["trial_id"])
    return Shown(records, log_tail(records.trial.log_url))


VIEW = View(
    name="trial",
    path="/trials/{trial_id}",
    read=_read,
    build=build,
    parameters={"trial_id": "integer"},
    of_report=lambda plan: tuple({"trial_id": one} for one in plan.trial_ids),
)
