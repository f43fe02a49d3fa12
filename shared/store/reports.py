"""What a person asks of results: progress, leaderboard, the lists of one user."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from sqlalchemy import Engine, Row, TextClause, text

from shared.datasets.dataset import Dataset
from shared.domain.records import (
    LeaderboardRow,
    RatingPrediction,
    Recommendation,
    SweepProgress,
)
from shared.domain.results import RankedItems, RatedItems
from shared.store.database import transaction

Record = TypeVar("Record")
Indices = npt.NDArray[np.int32]

_PROGRESS = text("""
    select
        sweep_id, name, dataset_name, is_synthetic, n_trials, n_queued, n_running, n_succeeded, n_failed,
        n_cancelled, n_stopped, n_lost, n_retried, train_seconds, best_rmse, created_at, finished_at,
        n_with_lists
    from sweep_progress
    order by sweep_id desc
""")
_LEADERBOARD = text("""
    select
        rank, trial_id, label, status, is_baseline, family, objective, validation_value, test_value,
        n_parameters, best_epoch, val_loss, rmse, mae, k, ndcg,
        recall, precision, map, hit_rate, mrr, coverage, popularity, novelty, rmse_against_baselines,
        ndcg_against_baselines, train_seconds, peak_memory_bytes, attempt, model_url, log_url, error_reason,
        has_lists, mean_value, spread, n_seeds, stopped_epoch, stopped_value, stopped_against
    from leaderboard
    where sweep_id = :sweep_id
    order by rank
""")
_RECOMMENDATIONS = text("""
    select rank, item_id, title, genres, n_ratings, score, predicted_rating
    from recommendations_titled
    where trial_id = :trial_id and user_id = :user_id
        and sweep_id = (select trials.sweep_id from trials where trials.trial_id = :trial_id)
    order by rank
""")
_RATING_PREDICTIONS = text("""
    select predictions.rank, predictions.item_id, items.title, items.genres, predictions.rating,
        predictions.prediction
    from rating_predictions as predictions
    join sweeps using (sweep_id)
    join items on items.dataset_id = sweeps.dataset_id and items.item_id = predictions.item_id
    where predictions.trial_id = :trial_id and predictions.user_id = :user_id
        and predictions.sweep_id = (select trials.sweep_id from trials where trials.trial_id = :trial_id)
    order by predictions.rank
""")
_METRICS = text("""
    select split, name, value
    from metrics
    where trial_id = :trial_id
    order by split, name
""")
# What some trial has that the same code stored.
_KEPT_BY_ITS_VERSION = text("""
    with version as (
        select attempts.code_version
        from trials
        join attempts using (trial_id, attempt)
        where trials.trial_id = :trial_id
    ),

    alike as (
        select trials.sweep_id, trials.trial_id
        from version
        join attempts using (code_version)
        join trials using (trial_id, attempt)
        where trials.status = 'succeeded'
    )

    select version.code_version, kept.split, kept.name
    from version
    left join (
        select metrics.split, metrics.name
        from alike
        join metrics using (trial_id)
        union
        select parts.split, 'hits'
        from (values ('validation'), ('test')) as parts (split)
        where exists (
            -- A trial has the hits of all its users or of none: one row tells.
            select from alike
            cross join lateral (
                select user_results.hit_items
                from user_results
                where user_results.sweep_id = alike.sweep_id and user_results.trial_id = alike.trial_id
                    and user_results.split = parts.split and user_results.ndcg is not null
                limit 1
            ) as of_user
            where of_user.hit_items is not null
        )
        union
        select parts.split, 'user_results'
        from (values ('validation'), ('test')) as parts (split)
        where exists (
            select from alike
            where exists (
                select from user_results
                where user_results.sweep_id = alike.sweep_id and user_results.trial_id = alike.trial_id
                    and user_results.split = parts.split
            )
        )
    ) as kept on true
""")
_METRICS_OF_SWEEP = text("""
    select metrics.trial_id, metrics.split, metrics.name, metrics.value
    from metrics
    join trials using (trial_id)
    where trials.sweep_id = :sweep_id
""")
_STORED_LISTS = text("""
    select user_id, rank, item_id, score
    from recommendations
    where trial_id = :trial_id
        and sweep_id = (select trials.sweep_id from trials where trials.trial_id = :trial_id)
""")
_STORED_PREDICTIONS = text("""
    select user_id, rank, item_id, rating, prediction
    from rating_predictions
    where trial_id = :trial_id
        and sweep_id = (select trials.sweep_id from trials where trials.trial_id = :trial_id)
""")


def sweep_progress(engine: Engine) -> list[SweepProgress]:
    """How far every sweep is, newest first."""
    with transaction(engine) as connection:
        return [_record(SweepProgress, row) for row in connection.execute(_PROGRESS)]


def leaderboard(engine: Engine, sweep_id: int) -> list[LeaderboardRow]:
    """The trials of a sweep, best first; those without a result at the end."""
    with transaction(engine) as connection:
        rows = connection.execute(_LEADERBOARD, {"sweep_id": sweep_id})
        return [_record(LeaderboardRow, row) for row in rows]


def recommendations_of(engine: Engine, trial_id: int, user_id: str) -> list[Recommendation]:
    """The list of one user from one trial, by rank; empty for an unknown user."""
    with transaction(engine) as connection:
        rows = connection.execute(_RECOMMENDATIONS, {"trial_id": trial_id, "user_id": user_id})
        return [_record(Recommendation, row) for row in rows]


def rating_predictions_of(engine: Engine, trial_id: int, user_id: str) -> list[RatingPrediction]:
    """The items one user rated highest with the predictions of one trial, by rank."""
    with transaction(engine) as connection:
        rows = connection.execute(_RATING_PREDICTIONS, {"trial_id": trial_id, "user_id": user_id})
        return [_record(RatingPrediction, row) for row in rows]


def metrics_of(engine: Engine, trial_id: int) -> dict[tuple[str, str], float]:
    """Every stored metric by part of the split and name."""
    with transaction(engine) as connection:
        rows = connection.execute(_METRICS, {"trial_id": trial_id})
        return {(row.split, row.name): float(row.value) for row in rows}


def kept_by_its_version(engine: Engine, trial_id: int) -> tuple[str, set[tuple[str, str]]]:
    """The code version that stored a trial, and what any trial stored by it has, by part and name.

    Names are those of metrics, `user_results` and `hits`. What is missing there that version did not measure.
    """
    with transaction(engine) as connection:
        rows = connection.execute(_KEPT_BY_ITS_VERSION, {"trial_id": trial_id}).all()
    version = str(rows[0].code_version) if rows else "unknown"
    return version, {(row.split, row.name) for row in rows if row.name is not None}


def metric_values(engine: Engine, sweep_id: int) -> dict[tuple[str, str], dict[int, float]]:
    """Of a sweep's trials, by part of the split and name of the metric: the value of each trial."""
    values: dict[tuple[str, str], dict[int, float]] = {}
    with transaction(engine) as connection:
        for row in connection.execute(_METRICS_OF_SWEEP, {"sweep_id": sweep_id}):
            values.setdefault((row.split, row.name), {})[row.trial_id] = float(row.value)
    return values


def stored_recommendations(engine: Engine, trial_id: int, dataset: Dataset) -> RankedItems:
    """All stored lists of a trial, as they were written; unknown ids are -1."""
    rows = _stored_rows(engine, _STORED_LISTS, trial_id)
    users, ranks, items, order = _stored_keys(rows, dataset)
    score = np.array([row.score for row in rows], np.float32)
    return RankedItems(users[order], ranks[order], items[order], score[order])


def stored_rating_predictions(engine: Engine, trial_id: int, dataset: Dataset) -> RatedItems:
    """All stored rating predictions of a trial, as they were written; unknown ids are -1."""
    rows = _stored_rows(engine, _STORED_PREDICTIONS, trial_id)
    users, ranks, items, order = _stored_keys(rows, dataset)
    prediction = None
    if not any(row.prediction is None for row in rows):
        prediction = np.array([row.prediction for row in rows], np.float32)[order]
    rating = np.array([row.rating for row in rows], np.float32)
    return RatedItems(users[order], ranks[order], items[order], rating[order], prediction)


def _stored_rows(engine: Engine, query: TextClause, trial_id: int) -> Sequence[Row[Any]]:
    with transaction(engine) as connection:
        return connection.execute(query, {"trial_id": trial_id}).all()


def _stored_keys(rows: Sequence[Row[Any]], dataset: Dataset) -> tuple[Indices, Indices, Indices, Indices]:
    """user_index, rank and item_index of every row, and their order by user, then rank."""
    user_index = {user_id: index for index, user_id in enumerate(dataset.user_ids.tolist())}
    item_index = {item_id: index for index, item_id in enumerate(dataset.item_ids.tolist())}
    users = np.array([user_index.get(row.user_id, -1) for row in rows], np.int32)
    ranks = np.array([row.rank for row in rows], np.int32)
    items = np.array([item_index.get(row.item_id, -1) for row in rows], np.int32)
    return users, ranks, items, np.lexsort((ranks, users)).astype(np.int32)


def _record(kind: type[Record], row: Row[Any]) -> Record:
    values = {field.name: getattr(row, field.name) for field in fields(kind)}  # type: ignore[arg-type]
    if "genres" in values:
        values["genres"] = tuple(values["genres"])
    return kind(**values)
