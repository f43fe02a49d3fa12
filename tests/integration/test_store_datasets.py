"""Versions of the ratings: from where each was read, and which was stored before it."""

import alembic.command
import pytest
from alembic.config import Config
from sqlalchemy import text

from shared import store
from shared.errors import DatasetError
from shared.store.database import SQL_FOLDER, create_engine
from shared.store.schema import upgrade_schema
from tests.factories import make_config, make_dataset, store_sweep


def test_a_version_knows_its_source_and_the_version_before(engine):
    first = store.save_dataset(engine, make_dataset(n_users=4), "/data/ratings.csv")
    store.save_dataset(engine, make_dataset(n_users=5, name="other"), "other")
    second = store.save_dataset(engine, make_dataset(n_users=6), "/data/ratings.csv")
    newest, oldest = store.dataset_versions(engine, "tiny")
    assert (newest.dataset_id, oldest.dataset_id) == (second, first)
    assert (newest.source, newest.n_forgotten) == ("/data/ratings.csv", 0)
    with engine.connect() as connection:
        previous = connection.execute(text("select dataset_id, previous_id from datasets order by 1")).all()
    assert previous == [(first, None), (first + 1, None), (second, first)]


def test_a_version_that_is_read_again_has_a_new_time_and_its_newest_source(engine):
    store.save_dataset(engine, make_dataset(), "before")
    (before,) = store.dataset_versions(engine, "tiny")
    store.save_dataset(engine, make_dataset(), "after")
    store.save_dataset(engine, make_dataset())
    (after,) = store.dataset_versions(engine, "tiny")
    assert after.source == "after"
    assert after.source_read_at > before.source_read_at


def test_the_same_ratings_under_another_name_are_refused_with_the_name_that_they_have(engine):
    store.save_dataset(engine, make_dataset(name="my shop"))
    with pytest.raises(
        DatasetError, match=r"those of twice are stored as my shop\. Take that name, NAME='my shop'"
    ):
        store.save_dataset(engine, make_dataset(name="twice"), "twice.csv")
    assert store.dataset_names(engine) == ["my shop"]
    (version,) = store.dataset_versions(engine, "my shop")
    assert version.source is None


def test_a_version_that_was_stored_without_a_source_has_none(engine):
    store.save_dataset(engine, make_dataset())
    (version,) = store.dataset_versions(engine, "tiny")
    assert (version.source, version.source_read_at) == (None, None)
    assert store.dataset_names(engine) == ["tiny"]
    assert store.dataset_versions(engine, "nothing") == []


def test_what_was_stored_before_sources_were_known_stays_and_gets_one_when_it_is_read(empty_database_url):
    engine = create_engine(empty_database_url)
    config = Config()
    config.set_main_option("script_location", str(SQL_FOLDER / "migrations"))
    dataset = make_dataset()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "0006")
        for statement in (
            "insert into datasets (name, fingerprint, is_synthetic, n_users, n_items, n_ratings, rating_min,"
            f" rating_max) values ('tiny', '{dataset.fingerprint}', true, 4, 8, 12, 1, 3)",
            "insert into sweeps (name, dataset_id, spec, spec_hash, protocol, protocol_hash, code_version)"
            " values ('small', 1, '{}', 'a', '{\"k\": 2}', 'b', 'test')",
            "insert into trials (sweep_id, label, family, config, config_hash, is_baseline, status,"
            " max_attempts, attempts_allowed, n_parameters) values"
            " (1, 'ease', 'ease', '{\"family\": \"ease\"}', 'c', false, 'succeeded', 3, 3, 1)",
            "insert into promotions (dataset_id, trial_id, note) values (1, 1, 'ease of sweep 1')",
        ):
            connection.execute(text(statement))
    upgrade_schema(engine)
    (version,) = store.dataset_versions(engine, "tiny")
    assert (version.source, version.source_read_at) == (None, None)
    assert store.served_trial(engine, "tiny").label == "ease"
    assert not store.latest_sweep(engine).is_refresh
    assert store.save_dataset(engine, dataset, "tiny") == 1
    (version,) = store.dataset_versions(engine, "tiny")
    assert version.source == "tiny"
    # The salt of this database was made with the column.
    assert len(store.forgotten_users(engine, "tiny").salt) == 36
    store_sweep(engine, make_dataset(n_users=5), [make_config()])
    engine.dispose()
