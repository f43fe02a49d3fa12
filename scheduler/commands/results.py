"""Commands that show results."""

from collections.abc import Sequence

import click
from sqlalchemy import Engine

from scheduler.commands.connection import SWEEP_OPTION, open_store, require_sweep
from scheduler.commands.formats import format_leaderboard, require_format
from scheduler.commands.histories import recommend_for_history
from scheduler.commands.leaderboard_table import leaderboard_table
from scheduler.verdicts.headline import headline
from scheduler.verdicts.words import baseline_warning, verdict_lines
from scheduler.verdicts.writing import ensure_verdicts
from shared import store
from shared.console import console, describe_data, new_table, print_exactly
from shared.datasets import canonical_id
from shared.domain.families.tower import Tower
from shared.errors import SpecError
from shared.store import LeaderboardRow, Sweep, Trial


@click.command()
@SWEEP_OPTION
@click.option("--metric", envvar="METRIC", default=None, help="One more metric, such as novelty@20.")
@click.option("--format", "form", envvar="FORMAT", default=None, help="For programs: csv, json or md.")
def leaderboard(sweep_name: str | None, metric: str | None, form: str | None) -> None:
    """Show the trials of the latest sweep, best first."""
    form = require_format(form) if form else None
    engine, _ = open_store()
    sweep = require_sweep(engine, sweep_name)
    if form is None:
        print_leaderboard(engine, sweep, metric)
        return
    verdicts = store.verdicts_of(engine, sweep.sweep_id) if ensure_verdicts(engine, sweep) else []
    more = _values_of(engine, sweep, metric)
    print_exactly(format_leaderboard(form, store.leaderboard(engine, sweep.sweep_id), verdicts, more))


def print_leaderboard(engine: Engine, sweep: Sweep, metric: str | None = None) -> None:
    """The leaderboard as a table, and in words who ties and which architectures do not beat the baselines.

    Missing verdicts are computed, unless trials are still to come. If a baseline leads, that comes first.
    """
    are_judged = ensure_verdicts(engine, sweep)
    rows = store.leaderboard(engine, sweep.sweep_id)
    verdicts = store.verdicts_of(engine, sweep.sweep_id) if are_judged else []
    if warning := baseline_warning(rows, verdicts):
        console.print(warning, style="yellow")
    if sentence := headline(rows, verdicts):
        console.print(sentence, style="bold")
    table, left_out = leaderboard_table(sweep, rows, verdicts, _values_of(engine, sweep, metric), console)
    console.print(table)
    if left_out:
        console.print(f"A wider terminal shows also: {', '.join(left_out)}")
    for line in verdict_lines(rows, verdicts):
        console.print(line)
    if kept := _kept_lists(rows):
        console.print(kept)
    for line in _stopped_trials(rows):
        console.print(line)
    if not are_judged:
        console.print("Verdicts are given when no trial of the sweep is queued or running any more")
    for measure in ("RMSE", f"ndcg@{sweep.protocol.k}"):
        for line in _against_baselines(measure, rows):
            console.print(line)
    if _has_sums_only_heads(store.sweep_trials(engine, sweep.sweep_id)):
        console.print(
            "Without an activation, concatenate and average add a user part and an item part: "
            "they can express no more than the bias model."
        )


def _kept_lists(rows: Sequence[LeaderboardRow]) -> str | None:
    """Which trials have lists, where some have lost theirs."""
    succeeded = [row for row in rows if row.status == "succeeded"]
    kept = [row.label for row in succeeded if row.has_lists]
    if len(kept) == len(succeeded):
        return None
    return f"Lists are kept of {len(kept)} of {len(succeeded)} trials ([lists] keep): {', '.join(kept)}"


def _stopped_trials(rows: Sequence[LeaderboardRow]) -> list[str]:
    """In words, what the stopped trials had reached, and what was needed: they are no failures."""
    stopped = [row for row in rows if row.status == "stopped"]
    if not stopped:
        return []
    lines = [
        f"  {row.label}: {_number(row.stopped_value)} by epoch {row.stopped_epoch}, "
        f"{_number(row.stopped_against)} was needed"
        for row in stopped
    ]
    return [f"Stopped early, they could not win ({stopped[0].objective}):", *lines]


def _values_of(engine: Engine, sweep: Sweep, metric: str | None) -> dict[str, dict[int, float]]:
    """The values of a metric that was asked for, by part of the split and trial; SpecError if unknown."""
    if metric is None:
        return {}
    k = sweep.protocol.k
    stored = store.metric_values(engine, sweep.sweep_id)
    names = sorted({name for _, name in stored})
    name = metric if metric in names else f"{metric}@{k}"
    found = {part: values for (part, one), values in sorted(stored.items(), reverse=True) if one == name}
    if not found:
        raise SpecError(f"METRIC must be one of {', '.join(names) or 'none yet'}; got {metric!r}")
    return {name if part == "validation" else f"{part} {name}": values for part, values in found.items()}


def _against_baselines(measure: str, rows: Sequence[LeaderboardRow]) -> list[str]:
    """In words, a line a baseline, which architectures do not beat it."""
    field = "rmse_against_baselines" if measure == "RMSE" else "ndcg_against_baselines"
    verdicts = {row.label: getattr(row, field) for row in rows if getattr(row, field) is not None}
    lines = []
    value = "rmse" if measure == "RMSE" else "ndcg"
    judged = [row for row in rows if row.is_baseline and getattr(row, value) is not None]
    for baseline in (row.label for row in judged):
        losers = [label for label, verdict in verdicts.items() if baseline in verdict]
        winners = [label for label in verdicts if label not in losers]
        if not verdicts:
            continue
        if not losers:
            lines.append(f"{measure}: every architecture beats {baseline}")
        elif not winners:
            lines.append(f"{measure}: no architecture beats {baseline}")
        elif len(winners) <= len(losers):
            lines.append(f"{measure}: only {', '.join(winners)} beat{_s(winners)} {baseline}")
        else:
            do = "does" if len(losers) == 1 else "do"
            lines.append(f"{measure}: {', '.join(losers)} {do} not beat {baseline}")
    return lines


def _s(subjects: Sequence[str]) -> str:
    return "s" if len(subjects) == 1 else ""


def _has_sums_only_heads(trials: Sequence[Trial]) -> bool:
    towers = [one for trial in trials if isinstance(one := trial.config.architecture, Tower)]
    return any(tower.is_linear and tower.merge in ("concatenate", "average") for tower in towers)


@click.command()
@click.option("--user", "user_id", envvar="RECSWEEP_USER", default=None, help="Id of a user.")
@click.option("--history", envvar="HISTORY", default=None, help="A file, or items such as 1,260:5.")
@click.option("--trial", "label", envvar="TRIAL", default=None, help="Label of a trial; default the best.")
@SWEEP_OPTION
def recommend(user_id: str | None, history: str | None, label: str | None, sweep_name: str | None) -> None:
    """Show a user's top-rated items with their predictions, and the recommendations.

    With --history those for somebody who is in no data, from the trial that is served.
    """
    if user_id and history:
        raise SpecError("USER is somebody in the data, HISTORY somebody who is not: give one of them")
    if history:
        recommend_for_history(history, label, sweep_name)
    if not user_id:
        raise SpecError(
            "which user? make recommend USER=2000; for somebody who is in no data: "
            "make recommend HISTORY=1,260:5"
        )
    user_id = canonical_id(user_id)
    engine, _ = open_store()
    sweep = require_sweep(engine, sweep_name)
    trial_id, title = _find_trial(engine, sweep, label)
    recommended = store.recommendations_of(engine, trial_id, user_id)
    rated = store.rating_predictions_of(engine, trial_id, user_id)
    served = store.served_trial(engine, sweep.dataset_name)
    if not rated and not recommended and label is None and served is not None:
        # Somebody who is newer than the sweep, and whom a refresh has brought.
        recommended = store.recommendations_of(engine, served.trial_id, user_id)
        rated = store.rating_predictions_of(engine, served.trial_id, user_id)
        title, sweep = f"{served.label} (served)", store.get_sweep(engine, served.sweep_id)
    if not rated and not recommended:
        raise SpecError(f"user {user_id!r} is not in data set {sweep.dataset_name}")
    data = describe_data(sweep.dataset_name, is_synthetic=sweep.is_synthetic)
    console.print(f"User {user_id}, {title}, sweep {sweep.sweep_id} on {data}")
    table = new_table("Top-rated by the user", "rank", "item_id", "rating", "prediction", "title", "genres")
    for one in rated:
        prediction, genres = _number(one.prediction), "|".join(one.genres)
        table.add_row(str(one.rank), one.item_id, f"{one.rating:g}", prediction, one.title, genres)
    console.print(table)
    table = new_table("Recommended", "rank", "item_id", "score", "title", "genres")
    for item in recommended:
        score, genres = f"{item.score:.4f}", "|".join(item.genres)
        table.add_row(str(item.rank), item.item_id, score, item.title, genres)
    console.print(table)


def _find_trial(engine: Engine, sweep: Sweep, label: str | None) -> tuple[int, str]:
    """Id of a trial that has lists, the best one by default, and how it is called and judged."""
    rows = [row for row in store.leaderboard(engine, sweep.sweep_id) if row.status == "succeeded"]
    if not rows:
        raise SpecError(f"no trial of sweep {sweep.sweep_id} has succeeded yet: see `make status`")
    if label is None:
        with_lists = [row for row in rows if row.has_lists]
        row = next((row for row in with_lists if not row.is_baseline), with_lists[0])
        return row.trial_id, _judged(row)
    titles = {row.label: (row.trial_id, _judged(row)) for row in rows}
    for refit in store.refits_of_sweep(engine, sweep.sweep_id):
        if refit.status == "succeeded":
            titles[refit.label] = (refit.trial_id, f"{refit.label} (trained on all ratings)")
    if label not in titles:
        raise SpecError(
            f"TRIAL must be a succeeded trial of sweep {sweep.sweep_id}; got {label!r}, known are "
            + ", ".join(titles)
        )
    if any(row.label == label and not row.has_lists for row in rows):
        raise SpecError(
            f"TRIAL must be one that has lists; those of {label} were removed. {_kept_lists(rows)}; "
            f"`make promote TRIAL={label}` makes new ones, from all ratings"
        )
    return titles[label]


def _judged(row: LeaderboardRow) -> str:
    value = f" ({row.objective} {_number(row.validation_value)})" if row.validation_value is not None else ""
    return f"{row.label}{value}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
