"""The verdict of a sweep first: which model to ship, how sure that is, what it costs."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from scheduler.page.words import count, duration, number, plural, size
from scheduler.verdicts.words import decimals_of
from shared.store.page.sweep import SweepRecords, SweepTrial

Tone = Literal["sure", "unsure", "bad", "open"]


@dataclass(frozen=True)
class Headline:
    """The sentence that is read first, those that follow, and how sure it is; `trial` is the one to ship."""

    sentence: str
    details: tuple[str, ...]
    tone: Tone
    trial: SweepTrial | None = None


def headline_of(records: SweepRecords) -> Headline:
    """From the stored verdicts, where they are of all results; else what is known so far."""
    ranked = [trial for trial in records.trials if trial.place is not None]
    n_open = sum(trial.status in ("queued", "running") for trial in records.trials)
    if not ranked or ranked[0].validation_value is None:
        return _without_result(records, n_open)
    leader = ranked[0]
    if not records.sweep.is_judged:
        return _so_far(records, leader, n_open)
    if leader.verdict is None:
        sentence = f"{leader.label} leads by {_value(records, leader)}; how sure that is is not known."
        return Headline(sentence, (_sentence(leader.reason), _cost(leader)), "unsure", leader)
    return _judged(records, leader, ranked[1:])


def _without_result(records: SweepRecords, n_open: int) -> Headline:
    if n_open:
        sentence = f"No trial has a result yet: {plural(n_open, 'trial')} to come."
        return Headline(sentence, (), "open")
    reasons = Counter(trial.error_reason for trial in records.trials if trial.status == "failed")
    if reasons:
        said = ", ".join(f"{reason} ({n})" for reason, n in reasons.most_common())
        details = ("The failures are below; `make sweep` tries these trials again.",)
        return Headline(f"There is nothing to ship: no trial succeeded. Failed: {said}.", details, "bad")
    return Headline(
        "There is nothing to ship: no trial was trained.", ("`make sweep` goes on with it.",), "bad"
    )


def _so_far(records: SweepRecords, leader: SweepTrial, n_open: int) -> Headline:
    n_ranked = sum(trial.place is not None for trial in records.trials)
    sentence = f"So far {leader.label} leads by {_value(records, leader)}, of {plural(n_ranked, 'trial')}."
    if n_open:
        still = f"{plural(n_open, 'trial is', 'trials are')} still to come; how sure it is, is said then."
        return Headline(sentence, (still, _cost(leader)), "open", leader)
    cancelled = any(trial.status == "cancelled" for trial in records.trials)
    why = "It was cancelled; `make sweep` goes on with it." if cancelled else "The verdicts come in a moment."
    return Headline(sentence, (why, _cost(leader)), "open", leader)


def _judged(records: SweepRecords, leader: SweepTrial, others: Sequence[SweepTrial]) -> Headline:
    better = [one for one in others if one.verdict == "winner"]
    ties = [one for one in others if one.verdict == "tie" and one.difference is not None]
    if better:
        ship = better[0]
        sentence = (
            f"Ship {ship.label}: it is proven better than the leader, {leader.label}, on {leader.judged_by}."
        )
        return Headline(sentence, (_beside(ship), _cost(ship), _who_judged(leader)), "unsure", ship)
    if not ties:
        worse = [one for one in others if one.verdict == "worse" and one.difference is not None]
        sentence = f"Ship {leader.label}: it is proven better than every other trial that is judged."
        closest = min(worse, key=lambda one: abs(one.difference or 0.0), default=None)
        second = f"The closest is {_beside(closest)}" if closest else ""
        value = f"It reaches {_value(records, leader)}. {_cost(leader)}"
        return Headline(_warned(sentence, leader), (value, second, _who_judged(leader)), "sure", leader)
    cheapest = min((leader, *ties), key=lambda one: (one.train_seconds or 0.0, one.n_parameters or 0))
    n = plural(len(ties), "other")
    if cheapest is leader:
        sentence = f"Ship {leader.label}: it leads and is the cheapest to train, though {n} may be as good."
    else:
        sentence = f"Ship {leader.label}, or {cheapest.label}, which is cheaper and may be as good."
    ahead = f"{leader.label} leads by {_value(records, leader)}; it is not proven better than {n}: "
    details = [ahead + f"{_names([one.label for one in ties])}.", _cost(leader)]
    if cheapest is not leader:
        details += [f"{_beside(cheapest)} {_cost(cheapest)}"]
    return Headline(_warned(sentence, leader), (*details, _who_judged(leader)), "unsure", leader)


def _warned(sentence: str, leader: SweepTrial) -> str:
    if leader.is_baseline:
        return f"{sentence} It is a baseline: no architecture is proven to be worth its cost."
    return sentence


def _who_judged(leader: SweepTrial) -> str:
    users = f"{count(leader.n_judging_users)} users on {leader.judged_by}"
    if leader.judged_by == "test":
        return f"Judged by {users}, which chose nothing; the intervals hold together with 95 %."
    return f"Judged by {users}, which also chose the leader: it may look better than it is."


def _beside(trial: SweepTrial) -> str:
    """How it differs from the leader, with no more digits than are known."""
    if trial.difference is None or trial.upper is None or trial.lower is None:
        return ""
    decimals = decimals_of(trial.upper - trial.difference)
    return (
        f"{trial.label}: {trial.difference:+.{decimals}f} beside the leader "
        f"(from {trial.lower:+.{decimals}f} to {trial.upper:+.{decimals}f})."
    )


def _cost(trial: SweepTrial) -> str:
    if trial.train_seconds is None:
        return ""
    costs = [f"trains in {duration(trial.train_seconds)}"]
    if trial.peak_memory_bytes:
        costs.append(f"takes {size(trial.peak_memory_bytes)} of memory")
    if trial.n_parameters:
        costs.append(f"holds {plural(trial.n_parameters, 'weight')}")
    return f"{trial.label} {_names(costs)}."


def _value(records: SweepRecords, trial: SweepTrial) -> str:
    test = f", {number(trial.test_value)} on test" if trial.test_value is not None else ""
    return f"{records.sweep.objective} {number(trial.validation_value)} on validation{test}"


def _sentence(text: str | None) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _names(names: Sequence[str], most: int = 6) -> str:
    shown = list(names[:most])
    if len(names) > most:
        shown.append(f"{len(names) - most} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
