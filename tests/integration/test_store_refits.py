"""A refit is a trial like any other to workers, and no trial of its sweep to everybody who compares."""

import alembic.command
import pytest
from alembic.config import Config
from sqlalchemy import Engine, text

from scheduler.sweep.dispatch import make_plan
from scheduler.sweep.refit import find_chosen
from shared import store
from shared.datasets import Split, refit_split, split_ratings
from shared.domain.families.ease import Ease
from shared.domain.families.item_popularity import ItemPopularity
from shared.domain.protocol import Protocol
from shared.domain.records import Trial
from shared.domain.results import TrialResult
from shared.domain.trial import TrialConfig
from shared.errors import SpecError, StoreError
from shared.store import Sweep
from shared.store.database import SQL_FOLDER, create_engine
from shared.store.schema import upgrade_schema
from tests.factories import claim_label, make_config, make_dataset, make_result, store_result, store_sweep

DATASET = make_dataset()
EASE = TrialConfig(Ease())
POPULARITY = TrialConfig(ItemPopularity())
LABEL = "concatenate_4_2_1"
REFIT = f"{LABEL}_refit"


@pytest.fixture
def sweep(engine: Engine) -> Sweep:
    """A tower whose third epoch was best, EASE and item popularity, all succeeded."""
    sweep = store_sweep(engine, DATASET, [make_config(), EASE, POPULARITY])
    for label, val_rmse, ndcg in ((LABEL, 0.9, 0.05), (EASE.label, 1.0, 0.2), (POPULARITY.label, 1.1, 0.1)):
        result = make_result(DATASET, val_rmse=val_rmse, ndcg=ndcg)
        store_result(engine, sweep.sweep_id, label, DATASET, result)
    return sweep


@pytest.fixture
def refit(engine: Engine, sweep: Sweep) -> Trial:
    """The refit of the tower, queued."""
    return store.queue_refit(engine, find(engine, sweep, LABEL))


def find(engine: Engine, sweep: Sweep, label: str) -> Trial:
    trial = store.find_trial(engine, sweep.sweep_id, label)
    assert trial is not None
    return trial


def refit_result(seed: int = 7) -> TrialResult:
    """What a worker leaves of a refit: lists and a model, no metrics, nothing of validation."""
    result = make_result(DATASET, seed=seed, n_epochs=0)
    return TrialResult(
        **{
            **vars(result),
            "metrics": {},
            "val_rmse": None,
            "best_epoch": 3,
            "model_url": "file:///models/refit.keras",
        }
    )


def succeed(engine: Engine, sweep: Sweep) -> None:
    """Run the queued refit to its end in no time."""
    claim = store.claim_trial(engine, find(engine, sweep, REFIT).trial_id, "worker-1", 60, "test")
    assert store.finish_trial(engine, claim, refit_result(), DATASET)
    store.mark_ended_sweeps(engine)


def rows(engine: Engine, statement: str) -> list[tuple[object, ...]]:
    with engine.begin() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def test_a_refit_has_the_configuration_of_its_chosen_trial_and_its_best_epochs(engine, sweep, refit):
    chosen = find(engine, sweep, LABEL)
    assert (refit.label, refit.refit_of, refit.status) == (REFIT, chosen.trial_id, "queued")
    assert (refit.config, refit.config_hash) == (chosen.config, chosen.config_hash)
    # make_result: the last of three epochs was the best, where the configuration allows 30.
    assert (refit.n_epochs, chosen.n_epochs) == (3, 30)
    claim = store.claim_trial(engine, refit.trial_id, "worker-1", 60, "test")
    assert (claim.refit_of, claim.n_epochs) == (chosen.trial_id, 3)


def test_a_refit_of_a_family_without_epochs_has_none(engine, sweep):
    with engine.begin() as connection:
        connection.execute(text("update trials set best_epoch = null where label = 'ease'"))
    refit = store.queue_refit(engine, find(engine, sweep, EASE.label))
    claim = store.claim_trial(engine, refit.trial_id, "worker-1", 60, "test")
    assert (refit.n_epochs, claim.n_epochs) == (None, None)


def test_a_trial_of_a_sweep_is_claimed_as_no_refit(engine):
    later = store_sweep(engine, DATASET, [make_config()])
    claim = claim_label(engine, later.sweep_id, LABEL)
    assert (claim.refit_of, claim.n_epochs) == (None, None)


def test_a_trial_has_one_refit_which_goes_on_as_it_is(engine, sweep, refit):
    claim = store.claim_trial(engine, refit.trial_id, "worker-1", 60, "test")
    again = store.queue_refit(engine, find(engine, sweep, LABEL))
    assert (again.trial_id, again.status, again.attempt) == (refit.trial_id, "running", claim.attempt)
    assert [one.trial_id for one in store.open_refits(engine)] == [refit.trial_id]


def test_a_refit_that_failed_is_queued_again_with_all_its_attempts(engine, sweep, refit):
    store.claim_trial(engine, refit.trial_id, "worker-1", 60, "test")
    store.fail_trial(engine, refit.trial_id, 1, "disk_full", "no space left")
    before = store.queue_refit(engine, find(engine, sweep, LABEL))
    now = store.get_trial(engine, refit.trial_id)
    assert (before.status, now.status, now.attempts_allowed) == ("failed", "queued", 4)


def test_the_sweep_does_not_see_its_refits(engine, sweep, refit):
    succeed(engine, sweep)
    labels = [LABEL, EASE.label, POPULARITY.label]
    assert sorted(trial.label for trial in store.sweep_trials(engine, sweep.sweep_id)) == sorted(labels)
    assert sorted(row.label for row in store.leaderboard(engine, sweep.sweep_id)) == sorted(labels)
    assert rows(engine, f"select count(*) from ranked_trials where trial_id = {refit.trial_id}") == [(0,)]
    (progress,) = store.sweep_progress(engine)
    assert (progress.n_trials, progress.n_succeeded) == (3, 3)
    plan = make_plan([make_config(), EASE, POPULARITY], store.sweep_trials(engine, sweep.sweep_id))
    assert (plan.n_done, plan.to_run) == (3, ())
    assert [one.label for one in store.refits_of_sweep(engine, sweep.sweep_id)] == [REFIT]


def test_a_sweep_file_that_asks_again_adds_nothing_beside_a_refit(engine, sweep, refit):
    store.add_trials(engine, sweep.sweep_id, [make_config(), EASE])
    assert rows(engine, "select count(*) from trials") == [(4,)]


def test_an_open_refit_keeps_no_sweep_from_ending_and_a_done_one_ends_none(engine):
    first = store_sweep(engine, DATASET, [make_config(), EASE])
    store_result(engine, first.sweep_id, LABEL, DATASET, make_result(DATASET))
    store.queue_refit(engine, find(engine, first, LABEL))
    succeed(engine, first)
    ended = f"select ended_at is not null from sweeps where sweep_id = {first.sweep_id}"
    assert rows(engine, ended) == [(False,)]
    store_result(engine, first.sweep_id, EASE.label, DATASET, make_result(DATASET))
    store.queue_refit(engine, find(engine, first, EASE.label))
    assert rows(engine, ended) == [(True,)]


def test_an_open_refit_holds_no_verdicts_up_and_outdates_none(engine, sweep, refit):
    assert store.sweeps_to_judge(engine) == [sweep.sweep_id]
    with engine.begin() as connection:
        connection.execute(text("update sweeps set judged_at = now()"))
    store.claim_trial(engine, refit.trial_id, "worker-1", 60, "test")
    store.fail_trial(engine, refit.trial_id, 1, "disk_full", "no space left")
    store.queue_refit(engine, find(engine, sweep, LABEL))
    assert store.judged_state(engine, sweep.sweep_id) == "judged"


def test_a_refit_is_served_by_promotion_alone(engine, sweep, refit):
    succeed(engine, sweep)
    served = store.served_trial(engine, DATASET.name)
    assert (served.label, served.is_refit) == (LABEL, False)


def test_a_promoted_refit_is_served_with_its_chosen_trial_and_version(engine, sweep, refit):
    succeed(engine, sweep)
    store.promote_trial(engine, refit.trial_id, sweep.sweep_id)
    served = store.served_trial(engine, DATASET.name)
    assert (served.label, served.is_refit, served.chosen_label) == (REFIT, True, LABEL)
    assert (served.fingerprint, served.n_ratings) == (DATASET.fingerprint, DATASET.n_ratings)
    # How good its lists are is known of the chosen trial.
    assert (served.ndcg, served.popularity_ndcg) == (0.05, 0.1)
    (row,) = rows(
        engine,
        "select distinct label, is_refit, chosen_label, fingerprint, min(predicted_rating) > 0"
        " from best_recommendations group by 1, 2, 3, 4",
    )
    assert row == (REFIT, True, LABEL, DATASET.fingerprint, True)


def test_scores_of_a_refit_are_ratings_where_those_of_its_chosen_trial_are(engine, sweep, refit):
    succeed(engine, sweep)
    statement = "select count(*), count(predicted_rating) from recommendations_titled where label = '{}'"
    n_rows, n_predicted = rows(engine, statement.format(REFIT))[0]
    assert n_rows == n_predicted > 0


def test_a_rollback_of_a_refit_serves_what_was_served_before(engine, sweep, refit):
    succeed(engine, sweep)
    store.promote_trial(engine, EASE.label, sweep.sweep_id)
    store.promote_trial(engine, refit.trial_id, sweep.sweep_id)
    # A second promotion of what is in force would make the rollback lead nowhere.
    store.promote_trial(engine, refit.trial_id, sweep.sweep_id)
    store.rollback_promotion(engine, DATASET.name)
    assert store.served_trial(engine, DATASET.name).label == EASE.label


def test_an_unfinished_refit_cannot_be_promoted(engine, sweep, refit):
    with pytest.raises(StoreError, match="its state is queued"):
        store.promote_trial(engine, REFIT, sweep.sweep_id)


def test_a_sweep_is_kept_by_its_refit_and_takes_it_along_when_it_goes(engine, sweep, refit):
    later = store_sweep(engine, DATASET, [make_config()])
    store_result(engine, later.sweep_id, LABEL, DATASET, make_result(DATASET))
    with pytest.raises(StoreError, match="1 of its trials are queued or running"):
        store.prune_sweeps(engine, [sweep.sweep_id])
    succeed(engine, sweep)
    store.promote_trial(engine, refit.trial_id, sweep.sweep_id)
    with pytest.raises(StoreError, match=f"its trial {REFIT} is served for tiny"):
        store.prune_sweeps(engine, [sweep.sweep_id])
    store.rollback_promotion(engine, DATASET.name)
    store.prune_sweeps(engine, [sweep.sweep_id])
    assert rows(engine, "select label from trials") == [(LABEL,)]


def test_the_lists_of_a_refit_are_checked_by_all_ratings(engine):
    protocol = Protocol(k=2, validation_fraction=0.5)
    sweep = store_sweep(engine, DATASET, [make_config()], protocol=protocol)
    store_result(engine, sweep.sweep_id, LABEL, DATASET, make_result(DATASET))
    refit = store.queue_refit(engine, find(engine, sweep, LABEL))
    succeed(engine, sweep)
    listed = refit_result().recommendations.item_index

    def n_unsupported(split: Split) -> int:
        found = store.verify_recommendations(engine, sweep.sweep_id, DATASET, split, [refit.trial_id])
        assert {one.label for one in found} <= {REFIT}
        return sum(one.n_rows for one in found if one.check == "candidates")

    # Nobody rated the items in rows 6 and 7. Those that lost their ratings to validation are no candidates
    # for the trials of the sweep, and are for a refit.
    half = split_ratings(DATASET, protocol)
    supported = set(DATASET.item_index[half.train].tolist())
    assert n_unsupported(refit_split(DATASET)) == sum(item in (6, 7) for item in listed)
    assert n_unsupported(half) == sum(item not in supported for item in listed)
    assert n_unsupported(half) > n_unsupported(refit_split(DATASET))


@pytest.mark.parametrize(
    "name",
    [
        "axis_effects",
        "changed_users",
        "coverage_and_popularity",
        "never_recommended",
        "overlap_between_trials",
        "user_across_merges",
        "user_across_trials",
    ],
)
def test_questions_that_compare_trials_leave_refits_out(engine, sweep, refit, name):
    earlier = store.run_query(engine, name)
    succeed(engine, sweep)
    assert store.run_query(engine, name) == earlier


def test_the_origin_of_a_refit_leads_back_to_its_chosen_trial(engine, sweep, refit):
    succeed(engine, sweep)
    columns, answers = store.run_query(engine, "origin_of_trial", {"label": REFIT})
    (row,) = [dict(zip(columns, answer, strict=True)) for answer in answers]
    assert (row["chosen_label"], row["learned_from"]) == (LABEL, "all ratings")
    assert (row["fingerprint"], row["code_version"]) == (DATASET.fingerprint, "test")
    columns, answers = store.run_query(engine, "origin_of_trial", {"label": LABEL})
    (row,) = [dict(zip(columns, answer, strict=True)) for answer in answers]
    assert (row["chosen_label"], row["learned_from"]) == (LABEL, "the training part")


def test_cancelling_a_sweep_stops_its_refits(engine, sweep, refit):
    assert store.cancel_sweep(engine, sweep.sweep_id) == (1, 0)
    assert store.get_trial(engine, refit.trial_id).status == "cancelled"


def test_a_refit_names_its_chosen_trial_to_who_wants_to_promote_it(engine, sweep, refit):
    assert find_chosen(engine, sweep, REFIT).label == LABEL


@pytest.mark.parametrize(
    ("name", "message"),
    [("nobody", "no such trial; see `make leaderboard`"), ("dot_4_2_1", "its state is queued")],
)
def test_only_a_succeeded_trial_can_be_refitted(engine, sweep, name, message):
    store.add_trials(engine, sweep.sweep_id, [make_config("dot")])
    with pytest.raises(SpecError, match=message):
        find_chosen(engine, sweep, name)


def test_another_data_set_is_no_newer_version(engine, sweep):
    store_sweep(engine, make_dataset(n_users=6, name="other"), [make_config()])
    assert find_chosen(engine, sweep, LABEL).label == LABEL


def test_a_refit_on_ratings_that_newer_ones_have_replaced_is_refused(engine, sweep):
    repaired = make_dataset(n_users=5)
    store_sweep(engine, repaired, [make_config()])
    message = (
        f"version {repaired.fingerprint}; sweep {sweep.sweep_id} was run on version {DATASET.fingerprint}"
    )
    with pytest.raises(SpecError, match=message) as error:
        find_chosen(engine, sweep, LABEL)
    assert "REFIT=0" in str(error.value)


def test_a_promotion_made_before_there_were_refits_stays_in_force(empty_database_url):
    engine = create_engine(empty_database_url)
    config = Config()
    config.set_main_option("script_location", str(SQL_FOLDER / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "0004")
        for statement in (
            "insert into datasets (name, fingerprint, is_synthetic, n_users, n_items, n_ratings, rating_min,"
            " rating_max) values ('tiny', 'f', true, 1, 1, 1, 1, 5)",
            "insert into sweeps (name, dataset_id, spec, spec_hash, protocol, protocol_hash, code_version)"
            " values ('small', 1, '{}', 'a', '{\"k\": 2}', 'b', 'test')",
            "insert into trials (sweep_id, label, family, config, config_hash, is_baseline, status,"
            " max_attempts, attempts_allowed, n_parameters) values"
            " (1, 'ease', 'ease', '{\"family\": \"ease\"}', 'c', false, 'succeeded', 3, 3, 1)",
            "insert into promotions (dataset_id, trial_id, note) values (1, 1, 'ease of sweep 1')",
        ):
            connection.execute(text(statement))
    upgrade_schema(engine)
    served = store.served_trial(engine, "tiny")
    assert (served.label, served.chosen_label) == ("ease", "ease")
    assert (served.is_promoted, served.is_refit) == (True, False)
    chosen = store.find_trial(engine, 1, "ease")
    assert store.queue_refit(engine, chosen).refit_of == chosen.trial_id
    engine.dispose()
