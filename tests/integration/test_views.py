"""Views: the leaderboard, progress, and what is served for each data set."""

import pytest
from sqlalchemy import Engine, text

from shared.datasets import Dataset
from shared.domain.families.item_popularity import ItemPopularity
from shared.domain.families.user_item_bias import UserItemBias
from shared.domain.trial import TrialConfig
from shared.errors import StoreError
from shared.store import (
    Sweep,
    add_trials,
    cancel_sweep,
    fail_trial,
    leaderboard,
    list_promotions,
    mark_ended_sweeps,
    promote_trial,
    rollback_promotion,
    served_trial,
    sweep_progress,
)
from tests.factories import claim_label, make_config, make_dataset, make_result, store_result, store_sweep

DATASET = make_dataset()
BIAS = TrialConfig(UserItemBias())
POPULARITY = TrialConfig(ItemPopularity())
CONFIGS = [make_config("concatenate"), make_config("dot"), make_config("average"), BIAS, POPULARITY]


@pytest.fixture
def sweep(engine: Engine) -> Sweep:
    """Architectures with RMSE 0.90 (dot), 0.92 (concatenate), failed (average); baselines 0.91 and 0.99."""
    sweep = store_sweep(engine, DATASET, CONFIGS)
    for label, val_rmse, ndcg in (
        ("concatenate_4_2_1", 0.92, 0.20),
        ("dot_4_2_1", 0.90, 0.05),
        (BIAS.label, 0.91, 0.04),
        (POPULARITY.label, 0.99, 0.10),
    ):
        is_baseline = label.startswith("baseline")
        result = make_result(DATASET, val_rmse=val_rmse, ndcg=ndcg, n_epochs=0 if is_baseline else 3)
        store_result(engine, sweep.sweep_id, label, DATASET, result)
    claim = claim_label(engine, sweep.sweep_id, "average_4_2_1")
    fail_trial(engine, claim.trial_id, 1, "not_finite_loss", "epoch 1")
    mark_ended_sweeps(engine)
    return sweep


def served(engine: Engine) -> list[tuple[object, ...]]:
    with engine.begin() as connection:
        rows = connection.execute(
            text("""
                select distinct dataset_name, sweep_id, label, is_promoted
                from best_recommendations
                order by dataset_name
            """)
        )
        return [tuple(row) for row in rows]


def test_leaderboard_ranks_by_rmse_and_puts_trials_without_a_result_last(engine, sweep):
    rows = leaderboard(engine, sweep.sweep_id)
    assert [(row.rank, row.label, row.rmse) for row in rows] == [
        (1, "dot_4_2_1", 0.90),
        (2, "baseline_user_item_bias", 0.91),
        (3, "concatenate_4_2_1", 0.92),
        (4, "baseline_item_popularity", 0.99),
        (5, "average_4_2_1", None),
    ]
    assert (rows[4].status, rows[4].error_reason) == ("failed", "not_finite_loss")


def test_leaderboard_shows_the_metrics_of_each_trial(engine, sweep):
    row = leaderboard(engine, sweep.sweep_id)[2]
    assert (row.k, row.ndcg, row.recall, row.mae) == (2, 0.20, 0.10, 0.46)
    assert (row.best_epoch, row.n_parameters, row.train_seconds) == (3, 77, 1.5)
    assert (row.precision, row.coverage) == (None, None)


def test_leaderboard_says_in_words_who_does_not_beat_the_baselines(engine, sweep):
    words = {
        row.label: (row.rmse_against_baselines, row.ndcg_against_baselines)
        for row in leaderboard(engine, sweep.sweep_id)
    }
    assert words == {
        "dot_4_2_1": ("beats every baseline", "does not beat baseline_item_popularity"),
        "concatenate_4_2_1": ("does not beat baseline_user_item_bias", "beats every baseline"),
        "average_4_2_1": (None, None),
        "baseline_user_item_bias": (None, None),
        "baseline_item_popularity": (None, None),
    }


def test_leaderboard_breaks_ties_by_label(engine):
    sweep = store_sweep(engine, DATASET, [make_config("dot"), make_config("average")])
    for label in ("dot_4_2_1", "average_4_2_1"):
        store_result(engine, sweep.sweep_id, label, DATASET, make_result(DATASET))
    assert [row.label for row in leaderboard(engine, sweep.sweep_id)] == ["average_4_2_1", "dot_4_2_1"]


def test_progress_counts_every_state(engine, sweep):
    other = store_sweep(engine, DATASET, [make_config("dot"), make_config("average")], name="other")
    claim_label(engine, other.sweep_id, "dot_4_2_1", lease_seconds=0)
    newest, first = sweep_progress(engine)
    assert (first.n_trials, first.n_succeeded, first.n_failed, first.n_queued) == (5, 4, 1, 0)
    assert (first.best_rmse, first.train_seconds) == (0.90, 6.0)
    assert first.finished_at is not None
    assert (newest.name, newest.n_running, newest.n_lost, newest.n_queued) == ("other", 1, 1, 1)
    assert (newest.finished_at, newest.best_rmse) == (None, None)
    cancel_sweep(engine, other.sweep_id)
    assert sweep_progress(engine)[0].n_cancelled == 1


def test_a_sweep_without_trials_has_progress_too(engine):
    store_sweep(engine, DATASET, [])
    assert sweep_progress(engine)[0].n_trials == 0


def test_titled_recommendations_clip_the_score_to_the_scale(engine, sweep):
    with engine.begin() as connection:
        row = connection.execute(
            text("""
                select title, genres, n_ratings, score, predicted_rating
                from recommendations_titled
                where label = 'dot_4_2_1' and user_id = '1' and rank = 1
            """)
        ).one()
    # The data hold ratings from 1 to 3.
    assert (row.score, row.predicted_rating) == (5.0, 3.0)
    assert row.title.startswith("Item ")


def test_item_popularity_recommends_and_predicts_no_rating(engine, sweep):
    promote_trial(engine, POPULARITY.label, sweep.sweep_id, "popular")
    for view in ("recommendations_titled", "best_recommendations"):
        with engine.begin() as connection:
            rows = connection.execute(
                text(f"select score, predicted_rating from {view} where label = :label"),
                {"label": POPULARITY.label},
            ).all()
        assert rows
        assert {row.predicted_rating for row in rows} == {None}
        assert None not in {row.score for row in rows}


def store_ended_sweep(
    engine: Engine, dataset: Dataset, rmse_by_label: dict[str, float], **names: str
) -> Sweep:
    """A sweep whose trials have all succeeded with these RMSEs."""
    configs = [config for config in CONFIGS if config.label in rmse_by_label]
    sweep = store_sweep(engine, dataset, configs)
    for label, val_rmse in rmse_by_label.items():
        result = make_result(dataset, val_rmse=val_rmse, n_epochs=0 if label.startswith("baseline") else 3)
        store_result(engine, sweep.sweep_id, label, dataset, result)
    return sweep


def test_the_leader_is_served_even_where_it_is_a_baseline(engine):
    sweep = store_ended_sweep(engine, DATASET, {"dot_4_2_1": 0.9, BIAS.label: 0.8})
    assert served(engine) == [("tiny", sweep.sweep_id, BIAS.label, False)]


def test_a_sweep_that_has_not_ended_takes_nothing_over(engine, sweep):
    later = store_sweep(engine, DATASET, [make_config("average"), BIAS])
    store_result(engine, later.sweep_id, BIAS.label, DATASET, make_result(DATASET, val_rmse=0.1, n_epochs=0))
    assert served(engine) == [("tiny", sweep.sweep_id, "dot_4_2_1", False)]
    cancel_sweep(engine, later.sweep_id)
    mark_ended_sweeps(engine)
    assert served(engine) == [("tiny", sweep.sweep_id, "dot_4_2_1", False)]


def test_a_sweep_without_a_succeeded_architecture_takes_nothing_over(engine, sweep):
    later = store_sweep(engine, DATASET, [make_config("average"), BIAS])
    store_result(engine, later.sweep_id, BIAS.label, DATASET, make_result(DATASET, val_rmse=0.1, n_epochs=0))
    claim = claim_label(engine, later.sweep_id, "average_4_2_1")
    fail_trial(engine, claim.trial_id, 1, "disk_full", "no space")
    mark_ended_sweeps(engine)
    assert served(engine) == [("tiny", sweep.sweep_id, "dot_4_2_1", False)]


def test_a_sweep_that_grows_again_goes_on_being_served(engine, sweep):
    add_trials(engine, sweep.sweep_id, [make_config("multiply")])
    assert served(engine) == [("tiny", sweep.sweep_id, "dot_4_2_1", False)]


def test_the_newest_ended_sweep_is_served_for_each_data_set(engine, sweep):
    other = make_dataset(n_users=5, name="other")
    other_sweep = store_ended_sweep(engine, other, {"concatenate_4_2_1": 0.9})
    later = store_ended_sweep(engine, DATASET, {"average_4_2_1": 2.0})
    assert served(engine) == [
        ("other", other_sweep.sweep_id, "concatenate_4_2_1", False),
        ("tiny", later.sweep_id, "average_4_2_1", False),
    ]


def test_new_ratings_under_the_same_name_are_served_alone(engine, sweep):
    repaired = make_dataset(n_users=5)
    assert repaired.name == DATASET.name
    later = store_ended_sweep(engine, repaired, {"average_4_2_1": 2.0})
    assert served(engine) == [("tiny", later.sweep_id, "average_4_2_1", False)]
    with engine.begin() as connection:
        ranks = connection.scalars(
            text("select rank from best_recommendations where dataset_name = 'tiny' and user_id = '1'")
        ).all()
    assert sorted(ranks) == [1, 2]


def test_a_newer_sweep_on_new_ratings_never_replaces_a_promoted_trial(engine, sweep):
    promote_trial(engine, "concatenate_4_2_1", sweep.sweep_id)
    later = store_ended_sweep(engine, make_dataset(n_users=5), {"average_4_2_1": 0.1})
    assert served(engine) == [("tiny", sweep.sweep_id, "concatenate_4_2_1", True)]
    promote_trial(engine, "average_4_2_1", later.sweep_id)
    assert served(engine) == [("tiny", later.sweep_id, "average_4_2_1", True)]
    rollback_promotion(engine, DATASET.name)
    assert served(engine) == [("tiny", sweep.sweep_id, "concatenate_4_2_1", True)]


def test_what_is_served_is_told_with_the_ndcg_of_item_popularity(engine, sweep):
    told = served_trial(engine, DATASET.name)
    assert (told.label, told.ndcg, told.popularity_ndcg, told.k) == ("dot_4_2_1", 0.05, 0.10, 2)
    assert served_trial(engine, "unknown") is None


def test_a_promoted_trial_is_served_until_it_is_rolled_back(engine, sweep):
    promote_trial(engine, "concatenate_4_2_1", sweep.sweep_id, "better lists")
    assert served(engine) == [("tiny", sweep.sweep_id, "concatenate_4_2_1", True)]
    (bias_id,) = [row.trial_id for row in leaderboard(engine, sweep.sweep_id) if row.label == BIAS.label]
    promote_trial(engine, bias_id, sweep.sweep_id, "a comparison")
    assert served(engine) == [("tiny", sweep.sweep_id, BIAS.label, True)]
    rollback_promotion(engine, DATASET.name)
    assert served(engine) == [("tiny", sweep.sweep_id, "concatenate_4_2_1", True)]
    rollback_promotion(engine, DATASET.name, "enough")
    assert served(engine) == [("tiny", sweep.sweep_id, "dot_4_2_1", False)]
    with pytest.raises(StoreError, match="nothing to roll back"):
        rollback_promotion(engine, DATASET.name)
    assert [promotion.note for promotion in reversed(list_promotions(engine, DATASET.name))] == [
        f"concatenate_4_2_1 of sweep {sweep.sweep_id}: better lists",
        f"{BIAS.label} of sweep {sweep.sweep_id}: a comparison",
        "rollback of promotion 2",
        "rollback of promotion 3: enough",
    ]


@pytest.mark.parametrize(
    ("label", "message"), [("average_4_2_1", "its state is failed"), ("multiply_4_2_1", "no such trial")]
)
def test_only_a_succeeded_trial_can_be_promoted(engine, sweep, label, message):
    with pytest.raises(StoreError, match=message):
        promote_trial(engine, label, sweep.sweep_id)


def test_a_user_is_looked_up_by_index(engine, sweep):
    with engine.begin() as connection:
        connection.execute(text("set local enable_seqscan = off"))
        plan = "\n".join(
            connection.scalars(
                text("explain select title from best_recommendations where user_id = '1' order by rank")
            )
        )
    assert "Index Scan" in plan
    assert "Seq Scan on recommendations" not in plan
