"""`make refresh` on a source that grows or shrinks, a worker that trains, and what is served after it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, text

from scheduler.commands import refresh as refreshing
from scheduler.commands.refresh import refresh
from scheduler.commands.results import recommend
from scheduler.commands.services import status
from scheduler.commands.sweeps import cancel
from shared import store
from shared.console import console
from shared.datasets import load_dataset, load_prepared, store_prepared
from shared.domain.families.blend import Blend, BlendPart
from shared.domain.families.ease import Ease
from shared.domain.families.item_knn import ItemKnn
from shared.domain.families.item_popularity import ItemPopularity
from shared.domain.families.tower import Tower
from shared.domain.protocol import Protocol
from shared.domain.training import TrainingConfig
from shared.domain.trial import TrialConfig
from shared.ending import INTERRUPTED
from shared.errors import SpecError, StoreError
from shared.settings import load_settings
from shared.store import Claim
from tests.factories import claim_label, make_config, make_dataset, store_sweep
from tests.growing_source import N_USERS, NAME, GrowingSource, first_ratings, later_ratings
from worker.trial import run_trial

KNN = TrialConfig(ItemKnn(neighbours=5))
EASE, POPULARITY = TrialConfig(Ease()), TrialConfig(ItemPopularity())
REFIT = "ease_refit"
Run = Callable[..., Result]


@pytest.fixture
def source(tmp_path: Path) -> GrowingSource:
    source = GrowingSource(tmp_path / "data")
    source.write(first_ratings())
    return source


@pytest.fixture
def run(
    source: GrowingSource,
    database_url: str,
    broker_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """A command with these variables, on this database and source, where nothing else is started."""
    places = {
        "DATABASE_URL": database_url,
        "BROKER_URL": broker_url,
        "ARTIFACT_URL": (tmp_path / "artifacts").as_uri(),
        "STATE_DIR": str(tmp_path / "state"),
        "DATA_DIR": str(source.data_dir),
        "START_SERVICES": "false",
        # Five of forty items are listed, and a third of the ratings are new.
        "MAX_CHANGED": "0.9",
    }
    for name, value in places.items():
        monkeypatch.setenv(name, value)
    # So wide that no line is broken.
    monkeypatch.setattr(console, "_width", 1000)

    def call(command=refresh, **variables: str) -> Result:
        return CliRunner(env=variables).invoke(command, [], catch_exceptions=False)

    return call


@pytest.fixture(autouse=True)
def verification(request: pytest.FixtureRequest) -> Iterator[None]:
    """Only some tests verify in a process of its own, which takes seconds: to the others it says yes."""
    if "capfd" in request.fixturenames:
        yield
        return
    with patch.object(refreshing, "run_in_foreground", return_value=0):
        yield


@contextmanager
def working(engine: Engine, handle: Callable[[Claim], None] | None = None) -> Iterator[list[str]]:
    """A worker that trains what is queued, or does as told; gives the labels that it took."""
    is_over, taken = threading.Event(), []

    def work() -> None:
        while not is_over.wait(0.05):
            for trial in store.queued_trials(engine):
                claim = store.claim_trial(engine, trial.trial_id, "worker-1", 60, "test")
                assert claim is not None
                taken.append(claim.label)
                (handle or (lambda claim: train(engine, claim)))(claim)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield taken
    finally:
        is_over.set()
        thread.join()


def train(engine: Engine, claim: Claim) -> None:
    settings = load_settings()
    root = store.artifact_root(engine, settings.artifacts)
    dataset = load_prepared(root, claim.fingerprint, settings.cache_dir)
    result = run_trial(claim, dataset, root, lambda _epoch: None, lambda: None)
    assert store.finish_trial(engine, claim, result, dataset)


def sweep_and_promote(engine: Engine, *configs: TrialConfig, is_refitted: bool = True) -> int:
    """A sweep on what the source gives now, whose first configuration is promoted; gives its id."""
    dataset = load_dataset(NAME, load_settings())
    root = store.artifact_root(engine, load_settings().artifacts)
    store_prepared(root, dataset)
    store.save_dataset(engine, dataset, NAME)
    sweep = store_sweep(engine, dataset, [*configs, POPULARITY], protocol=Protocol(k=5))
    for config in (*configs, POPULARITY):
        train(engine, claim_label(engine, sweep.sweep_id, config.label))
    store.mark_ended_sweeps(engine)
    chosen = store.find_trial(engine, sweep.sweep_id, configs[0].label)
    if is_refitted:
        chosen = store.queue_refit(engine, chosen)
        train(engine, store.claim_trial(engine, chosen.trial_id, "worker-1", 60, "test"))
    store.promote_trial(engine, chosen.trial_id, sweep.sweep_id)
    return sweep.sweep_id


@pytest.fixture
def promoted(engine: Engine, run: Run) -> int:
    """The id of a sweep whose EASE is promoted as a refit."""
    return sweep_and_promote(engine, EASE)


def answer(engine: Engine, statement: str) -> list[dict[str, object]]:
    with engine.connect() as connection:
        return [dict(row._mapping) for row in connection.execute(text(statement))]


def served_lists(engine: Engine) -> list[dict[str, object]]:
    return answer(
        engine, "select user_id, rank, item_id, trial_id from best_recommendations order by user_id, rank"
    )


def test_a_source_that_gives_the_same_changes_nothing(engine, promoted, run):
    (before,) = store.dataset_versions(engine, NAME)
    done = run()
    assert done.exit_code == 0
    assert f"Nothing changed: {NAME} gives the 400 ratings that {REFIT} of sweep {promoted}" in done.stdout
    (after,) = store.dataset_versions(engine, NAME)
    assert after.source_read_at > before.source_read_at
    assert len(store.list_sweeps(engine)) == 1


def test_a_source_that_grew_is_learned_checked_and_served(engine, promoted, source, run, capfd):
    source.write(first_ratings(N_USERS + 2) | later_ratings())
    with working(engine) as taken:
        done = run()
    assert done.exit_code == 0, done.stdout
    assert taken == ["ease", REFIT]
    for line in (
        f"{NAME} has changed: its source {NAME} gave 400 ratings of 40 users",
        "and gives 540 ratings of 42 users",
        "users still there: 40 of 40 (100.0%); at least 90.0%: passed",
        "what is new: ndcg@5 ",
        "of the lists served, difference ",
        "at most 10.0% worse: passed",
        "lists follow from the model: computed again: passed",
        "users with a list: 42; exactly 42: passed",
        "for 40 users in both versions; at most 90.0%: passed",
        f"refresh of {REFIT} of sweep {promoted}, version ",
        "It learned from all 540 ratings of version",
    ):
        assert line in done.stdout
    # What the worker's command says goes to the screen itself.
    assert f"{REFIT}: as stored" in capfd.readouterr().out
    served = store.served_trial(engine, NAME)
    newest, _ = store.dataset_versions(engine, NAME)
    assert (served.label, served.fingerprint, served.is_promoted) == (REFIT, newest.fingerprint, True)
    assert newest.source == NAME
    assert len({row["user_id"] for row in served_lists(engine)}) == N_USERS + 2
    # The refresh is no sweep of the person's, and takes nothing over by itself.
    assert store.latest_sweep(engine).sweep_id == promoted
    assert [row.sweep_id for row in store.sweep_progress(engine)] == [promoted]
    again = run()
    assert (again.exit_code, "Nothing changed" in again.stdout) == (0, True)
    assert len(store.list_promotions(engine, NAME)) == 2
    # Who came after the sweep is shown what is served.
    assert f", sweep {promoted} on {NAME}" in run(recommend, RECSWEEP_USER="1").stdout
    assert (
        f"User 42, {REFIT} (served), sweep {served.sweep_id} on" in run(recommend, RECSWEEP_USER="42").stdout
    )


def test_a_rehearsal_knows_nothing_of_what_judges_it(engine, promoted, source, run):
    """54 = the newest tenth of 540 ratings is held out, less than half of the 140 that were added."""
    source.write(first_ratings(N_USERS + 2) | later_ratings())
    with working(engine):
        assert run().exit_code == 0
    sweep = next(one for one in store.list_sweeps(engine) if one.is_refresh)
    (rehearsal,) = store.sweep_trials(engine, sweep.sweep_id)
    assert (sweep.protocol.split, sweep.protocol.validation_fraction) == ("temporal", 0.1)
    users = store.stored_user_results(engine, rehearsal.trial_id, "validation")
    assert users.n_ratings.sum() == 54
    assert rehearsal.config == EASE


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_rehearsal_has_the_epochs_of_what_is_served(engine, source, run):
    """The best epoch of the chosen trial, however many more the settings allow."""
    tower = TrialConfig(Tower("dot", 4, (1,)), TrainingConfig(max_epochs=4, batch_size=64))
    sweep_id = sweep_and_promote(engine, tower)
    with engine.begin() as connection:
        # As if the second epoch had been best.
        connection.execute(text("update trials set best_epoch = 2 where merge = 'dot'"))
    source.write(first_ratings() | later_ratings())
    with working(engine):
        run(MARGIN="1", MAX_CHANGED="1")
    rows = answer(
        engine,
        f"select label, best_epoch, val_loss from trials where sweep_id > {sweep_id} order by trial_id",
    )
    assert [(row["best_epoch"], row["val_loss"]) for row in rows] == [(2, None), (2, None)]


def test_a_source_that_was_cut_short_changes_nothing(engine, promoted, source, run):
    before = served_lists(engine)
    source.write({key: value for key, value in first_ratings().items() if key[0] <= 30})
    done = run()
    assert done.exit_code == 1
    assert "users still there: 30 of 40 (75.0%); at least 90.0%: failed" in done.stdout
    assert "The new lists are not served: users still there." in done.stdout
    assert "10 users who are gone from the source are still served" in done.stdout
    assert f"make forget USER=… DATASET={NAME}" in done.stdout
    assert served_lists(engine) == before
    # It was not even stored.
    assert len(store.dataset_versions(engine, NAME)) == 1
    with working(engine):
        assert run(COVERAGE="0.7").exit_code == 0
    assert len({row["user_id"] for row in served_lists(engine)}) == 30


def test_lists_that_find_less_of_what_is_new_are_not_served(engine, promoted, source, run):
    """The new version says that everybody likes what they disliked before, but for what is new."""
    turned = {key: (1 if rating == 5 else 5, time) for key, (rating, time) in first_ratings().items()}
    source.write(turned | later_ratings())
    before = served_lists(engine)
    with (
        working(engine) as taken,
        patch.object(
            refreshing, "ndcg_of_users", side_effect=lambda _, judging, *__: judging.users * 0 + 1.0
        ),
    ):
        done = run()
    assert done.exit_code == 1
    assert taken == ["ease"]
    assert "at most 10.0% worse: failed" in done.stdout
    assert "The new lists are not served: what is new." in done.stdout
    assert served_lists(engine) == before


def test_lists_that_change_too_much_are_not_served(engine, promoted, source, run):
    source.write(first_ratings() | later_ratings())
    with working(engine):
        done = run(MAX_CHANGED="0.01")
        assert done.exit_code == 1
        assert "at most 1.0%: failed" in done.stdout
        assert store.served_trial(engine, NAME).sweep_id == promoted
    # With another bound the same trials pass: nothing is trained again.
    with working(engine) as taken:
        assert run().exit_code == 0
    assert taken == []


def test_lists_that_do_not_follow_from_the_model_are_not_served(engine, promoted, source, run, capfd):
    source.write(first_ratings() | later_ratings())

    def train_and_spoil(claim: Claim) -> None:
        train(engine, claim)
        with engine.begin() as connection:
            connection.execute(
                text("update recommendations set score = score + 1 where trial_id = :trial_id and rank = 1"),
                {"trial_id": claim.trial_id},
            )

    with working(engine, train_and_spoil):
        done = run()
    assert done.exit_code == 1
    assert f"{REFIT}: stored recommendations differ from the model's" in capfd.readouterr().out
    assert "The new lists are not served: lists follow from the model." in done.stdout
    assert store.served_trial(engine, NAME).sweep_id == promoted


def test_a_few_new_ratings_judge_nothing_and_that_is_said(engine, promoted, source, run):
    source.write(first_ratings() | later_ratings(range(1, 4)))
    with working(engine):
        done = run()
    assert done.exit_code == 0
    assert "what is new: 9 ratings were added, and 3 users have relevant ones among the newest" in done.stdout
    assert "not made" in done.stdout


def test_without_times_nothing_is_new_and_that_is_said(engine, source, run):
    source.write({key: (rating, 7) for key, (rating, _) in first_ratings().items()})
    sweep_and_promote(engine, EASE)
    source.write({key: (rating, 7) for key, (rating, _) in (first_ratings() | later_ratings()).items()})
    with working(engine):
        done = run()
    assert done.exit_code == 0
    assert "what is new: the ratings have no times: not made" in done.stdout


@pytest.mark.parametrize("label", ["ease", REFIT])
def test_training_that_fails_keeps_what_is_served_and_is_tried_again(engine, promoted, source, run, label):
    source.write(first_ratings() | later_ratings())

    def fail(claim: Claim) -> None:
        if claim.label != label:
            train(engine, claim)
            return
        assert store.fail_trial(engine, claim.trial_id, claim.attempt, "disk_full", "no space left")

    with working(engine, fail):
        failed = run()
    assert failed.exit_code == 1
    assert f"failed: {label}: disk_full: no space left" in failed.stdout
    assert f"To run it again: make refresh DATASET={NAME}" in failed.stdout
    assert store.served_trial(engine, NAME).sweep_id == promoted
    with working(engine):
        assert run().exit_code == 0
    assert len(store.list_sweeps(engine)) == 2


def test_an_interrupted_refresh_goes_on_where_it_was(engine, promoted, source, run):
    source.write(first_ratings() | later_ratings())
    with patch.object(refreshing, "watch_trial", side_effect=KeyboardInterrupt):
        left = [run() for _ in range(2)]
    for result in left:
        assert result.exit_code == INTERRUPTED
        assert f"The same command goes on from there: make refresh DATASET={NAME}" in result.stdout
    with working(engine) as taken, patch.object(refreshing, "run_in_foreground", return_value=INTERRUPTED):
        assert run().exit_code == INTERRUPTED
    assert taken == ["ease", REFIT]
    assert store.served_trial(engine, NAME).sweep_id == promoted
    with working(engine) as taken:
        done = run()
    assert (done.exit_code, taken) == (0, [])
    assert f"{REFIT} of sweep 2 is trained already." in done.stdout


def test_two_refreshes_at_once_do_the_work_once(engine, promoted, source, run, database_url):
    source.write(first_ratings() | later_ratings())
    with store.refresh_lock(database_url, NAME) as is_ours:
        assert is_ours
        with store.refresh_lock(database_url, "another") as is_ours_too:
            assert is_ours_too
        second = run()
    assert second.exit_code == 0
    assert f"{NAME} is being refreshed by somebody else already" in second.stdout
    assert len(store.list_sweeps(engine)) == 1
    with working(engine):
        assert run().exit_code == 0


def test_a_promotion_made_meanwhile_stays(engine, promoted, source, run):
    source.write(first_ratings() | later_ratings())

    def promote_another(*_: object) -> int:
        store.promote_trial(engine, POPULARITY.label, promoted)
        return 0

    with (
        working(engine),
        patch.object(refreshing, "run_in_foreground", side_effect=promote_another),
        pytest.raises(StoreError, match="somebody has promoted another one"),
    ):
        run()
    assert store.served_trial(engine, NAME).label == POPULARITY.label


def test_a_trial_that_was_promoted_as_it_is_gets_a_refit(engine, source, run):
    sweep_and_promote(engine, EASE, is_refitted=False)
    source.write(first_ratings() | later_ratings())
    with working(engine):
        assert run().exit_code == 0
    assert store.served_trial(engine, NAME).label == REFIT


@pytest.fixture
def blended(engine: Engine, run: Run) -> str:
    """The label of a blend that is promoted as the refit of its refitted parts."""
    sweep_id = sweep_and_promote(engine, EASE, KNN, is_refitted=False)
    parts = [store.find_trial(engine, sweep_id, config.label) for config in (EASE, KNN)]
    blend = TrialConfig(
        Blend(tuple(BlendPart(one.config_hash, one.label, one.config.canonical) for one in parts))
    )
    store.add_trials(engine, sweep_id, [blend])
    train(engine, claim_label(engine, sweep_id, blend.label))
    chosen = store.find_trial(engine, sweep_id, blend.label)
    for one in (*parts, chosen):
        refit = store.queue_refit(engine, one)
        train(engine, store.claim_trial(engine, refit.trial_id, "worker-1", 60, "test"))
    store.promote_trial(engine, refit.trial_id, sweep_id)
    return blend.label


def test_a_blend_is_refreshed_with_its_parts_again_and_again(engine, blended, source, run):
    parts = ["ease", KNN.label]
    ratings = first_ratings()
    for users in (range(1, 21), range(21, 41)):
        ratings |= later_ratings(users)
        source.write(ratings)
        with patch.object(refreshing, "watch_trial", side_effect=KeyboardInterrupt):
            assert run().exit_code == INTERRUPTED
        with working(engine) as taken:
            done = run()
        assert done.exit_code == 0, done.stdout
        refits = [f"{label}_refit" for label in (*parts, blended)]
        assert taken == [*parts, blended, *refits]
        served = store.served_trial(engine, NAME)
        assert served.label == f"{blended}_refit"
        told = store.parts_of(engine, served.trial_id)
        assert [(one.label, one.weight) for one in told] == [(label, 0.5) for label in refits[:2]]
        assert {store.get_trial(engine, one.trial_id).sweep_id for one in told} == {served.sweep_id}
    assert len(store.run_query(engine, "lineage", {"dataset": NAME})[1]) == 3


def test_refreshes_follow_each_other_and_their_lineage_leads_back(engine, promoted, source, run):
    versions = [first_ratings()]
    for users in (range(1, 21), range(21, 41)):
        versions.append(versions[-1] | later_ratings(users))
        source.write(versions[-1])
        with working(engine):
            assert run(MARGIN="1").exit_code == 0
    columns, rows = store.run_query(engine, "lineage", {"dataset": NAME})
    steps = [dict(zip(columns, row, strict=True)) for row in rows]
    assert [(one["step"], one["sweep_id"], one["n_ratings"]) for one in steps] == [
        (0, 3, 520),
        (1, 2, 460),
        (2, promoted, 400),
    ]
    assert {one["label"] for one in steps} == {REFIT}
    assert {one["chosen_label"] for one in steps} == {"ease"}
    assert {one["source"] for one in steps} == {NAME}
    assert all(one["source_read_at"] and one["code_version"] for one in steps)
    store.rollback_promotion(engine, NAME)
    assert store.served_trial(engine, NAME).sweep_id == 2


def test_pruning_counts_refreshes_apart_from_sweeps(engine, promoted, source, run):
    for users in (range(1, 21), range(1, 41)):
        source.write(first_ratings() | later_ratings(users))
        with working(engine):
            assert run(MARGIN="1").exit_code == 0
    assert [(one.sweep_id, one.kept_because) for one in store.old_sweeps(engine, keep=1)] == [(2, None)]
    store.prune_sweeps(engine, [2])
    # What it was refreshed from is gone, and what is served is not.
    assert store.served_trial(engine, NAME).sweep_id == 3
    assert len(store.run_query(engine, "lineage", {"dataset": NAME})[1]) == 1


def test_what_runs_for_a_refresh_is_shown_and_cancelled(engine, promoted, source, run):
    source.write(first_ratings() | later_ratings())
    with patch.object(refreshing, "watch_trial", side_effect=KeyboardInterrupt):
        run()
    assert "Refresh of ml-100k, ease of sweep 2: queued" in run(status).stdout
    cancelled = run(cancel)
    assert (
        "A refresh of ml-100k was stopped too (sweep 2); `make refresh` takes it up again."
        in cancelled.stdout
    )
    assert store.open_rehearsals(engine) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nobody", "nothing is promoted for 'nobody'"),
        (None, "nothing is promoted yet: make promote TRIAL=label"),
    ],
)
def test_nothing_promoted_is_a_mistake(engine, run, name, message):
    with pytest.raises(SpecError, match=message):
        run(**({"DATASET": name} if name else {}))


def test_of_several_promoted_one_has_to_be_named(engine, promoted, run):
    other = store_sweep(engine, make_dataset(name="other"), [make_config()])
    with engine.begin() as connection:
        connection.execute(
            text(
                f"update trials set status = 'succeeded', n_parameters = 1 where sweep_id = {other.sweep_id}"
            )
        )
    store.promote_trial(engine, make_config().label, other.sweep_id)
    with pytest.raises(SpecError, match="name one with DATASET=; promoted are trials for ml-100k, other"):
        run()


def test_ratings_that_another_name_has_are_refused(engine, promoted, source, run):
    source.write(first_ratings() | later_ratings())
    dataset = load_dataset(NAME, load_settings())
    with engine.begin() as connection:
        store.save_dataset(engine, dataset)
        connection.execute(
            text("update datasets set name = 'other' where fingerprint = :one"), {"one": dataset.fingerprint}
        )
    done = CliRunner().invoke(refresh, [])
    assert "ratings have one name, and those of" in str(done.exception)
