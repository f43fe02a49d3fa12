"""`python -m worker.verify` on a stored sweep: as it was made, and after each stored thing was changed."""

import os
import subprocess
import sys

import pytest
from sqlalchemy import text

from shared import store
from shared.datasets import store_prepared
from shared.datasets.sources.sample import generate_sample
from shared.domain.families.ease import Ease
from shared.domain.families.item_popularity import ItemPopularity
from shared.domain.families.neural_mf import NeuralMf
from shared.domain.families.tower import Tower
from shared.domain.families.user_item_bias import UserItemBias
from shared.domain.protocol import Protocol
from shared.domain.training import TrainingConfig
from shared.domain.trial import TrialConfig
from shared.settings import PROJECT_ROOT
from tests.factories import claim_label, store_sweep
from worker.trial import run_trial

# Keras 3 under NumPy 2, when it saves a model.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

# More models than TensorFlow lets pass without advice about retracing: it gives it from the fifth.
MERGES = ("concatenate", "multiply", "average", "dot")
TRAINING = TrainingConfig(max_epochs=1, batch_size=4096)
TOWERS = [
    *(TrialConfig(Tower(merge, 4, (1,)), TRAINING) for merge in MERGES),
    *(TrialConfig(Tower(merge, 4, (3, 1), "relu"), TRAINING) for merge in ("concatenate", "dot")),
    TrialConfig(Tower("multiply", 4, (3, 1), "relu", biases=True, dropout=0.1, loss="bpr"), TRAINING),
    TrialConfig(NeuralMf(size=4, input_size=3, dense_layers=(3, 1)), TRAINING),
]
BASELINES = [TrialConfig(ItemPopularity()), TrialConfig(UserItemBias()), TrialConfig(Ease())]
FEW = [TOWERS[0], TOWERS[-1], *BASELINES]
TOWER, BASELINE = TOWERS[0].label, BASELINES[1].label


@pytest.fixture(scope="module")
def made(postgres_server, template_database, tmp_path_factory):
    """Results of a small sweep, computed once, with the folder of their models."""
    artifacts = tmp_path_factory.mktemp("artifacts")
    dataset = generate_sample()
    # Beside the folders of databases, where version 0.1 put it: each test has a database of its own.
    store_prepared(artifacts.as_uri(), dataset)
    return artifacts, dataset, {}


@pytest.fixture
def sweep_id(engine, made):
    return stored(engine, made, [*TOWERS, *BASELINES])


@pytest.fixture
def small_sweep_id(engine, made):
    return stored(engine, made, FEW)


def stored(engine, made, configs):
    artifacts, dataset, results = made
    sweep = store_sweep(engine, dataset, configs, protocol=Protocol(k=5))
    for config in configs:
        claim = claim_label(engine, sweep.sweep_id, config.label)
        if config.label not in results:
            results[config.label] = run_trial(
                claim, dataset, artifacts.as_uri(), lambda _epoch: None, lambda: None
            )
        assert store.finish_trial(engine, claim, results[config.label], dataset)
    return sweep.sweep_id


def verify(made, database_url, sweep_id):
    artifacts, _, _ = made
    # Nor what other tests of this process set for workers.
    left_out = ("TF_CPP_MIN_LOG_LEVEL", "TF_XLA_FLAGS")
    environment = {name: value for name, value in os.environ.items() if name not in left_out} | {
        "DATABASE_URL": database_url,
        "ARTIFACT_URL": artifacts.as_uri(),
        "STATE_DIR": str(artifacts / "state"),
    }
    return subprocess.run(
        [sys.executable, "-m", "worker.verify", str(sweep_id)],
        cwd=PROJECT_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def test_a_sweep_as_it_was_made_passes_and_tensorflow_says_nothing(made, database_url, sweep_id):
    done = verify(made, database_url, sweep_id)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count(": as stored") == len(TOWERS) + len(BASELINES)
    assert "metrics, lists, rating predictions and results of users follow from the saved models" in " ".join(
        done.stdout.split()
    )


def test_of_trials_whose_lists_were_removed_all_else_is_verified(made, engine, database_url, small_sweep_id):
    with engine.begin() as connection:
        connection.execute(text("update sweeps set lists_kept = 2"))
    n_removed = len(store.remove_surplus_lists(engine))
    assert n_removed == len(FEW) - 2
    done = verify(made, database_url, small_sweep_id)
    assert (done.returncode, done.stderr) == (0, "")
    words = ": as stored (its lists were removed, as [lists] keep keeps those of better trials)\n"
    assert done.stdout.count(words) == n_removed
    assert done.stdout.count(": as stored\n") == 2


def test_each_change_of_what_is_stored_is_named(made, engine, database_url, sweep_id):
    """Every change is of another trial, so that one run shows that each is found by itself."""
    labels = [*(tower.label for tower in TOWERS), BASELINE]
    changes = {
        "val_rmse, by which it is ranked, is stored as": "update trials"
        " set val_rmse = val_rmse - 0.001 where",
        "rmse is stored as": "update metrics set value = value - 0.001 where name = 'rmse' and",
        "ndcg@5 is stored as": "update metrics set value = value + 0.5 where name = 'ndcg@5' and",
        "stored recommendations differ": "update recommendations set score = score + 0.001"
        " where rank = 1 and",
        "stored rating predictions differ": "update rating_predictions set prediction = prediction + 0.001"
        " where rank = 1 and",
        "mae is stored as None": "delete from metrics where name = 'mae' and",
        "stored results of users on validation differ in n_train_ratings": "update user_results"
        " set n_train_ratings = n_train_ratings + 1 where user_id = '1' and",
    }
    assert len(labels) > len(changes)
    expected = dict(zip(labels, changes, strict=False))
    # A baseline is ranked by the very number of its metric.
    expected[BASELINE] = "val_rmse, by which it is ranked, is stored as"
    with engine.begin() as connection:
        for label, words in expected.items():
            change = f"{changes[words]} trial_id = (select trial_id from trials where label = :label)"
            assert connection.execute(text(change), {"label": label}).rowcount > 0
    done = verify(made, database_url, sweep_id)
    assert done.returncode == 1
    # What the models give comes first; the checks of the stored rows, which may find the same, come after.
    lines = [line.split(": ", 1) for line in reversed(done.stdout.splitlines()) if ": " in line]
    found = {label: words for label, words in lines if label in labels}
    for label in labels:
        assert expected.get(label, "as stored") in found[label], found
        assert ";" not in found[label]


def test_results_of_users_that_are_gone_or_do_not_add_up_are_found(
    made, engine, database_url, small_sweep_id
):
    with engine.begin() as connection:
        for label, change in (
            (TOWER, "update user_results set recall = recall + 0.5 where user_id = '1' and"),
            (BASELINE, "delete from user_results where"),
        ):
            statement = f"{change} trial_id = (select trial_id from trials where label = :label)"
            assert connection.execute(text(statement), {"label": label}).rowcount > 0
    done = verify(made, database_url, small_sweep_id)
    assert done.returncode == 1
    assert f"{TOWER}: stored results of users on validation differ in recall\n" in done.stdout
    assert f"{TOWER}: user_results: 1 rows, such as recall@5 on validation: users add up to" in done.stdout
    assert f"{BASELINE}: stored results of users on validation are not those of its users\n" in done.stdout


def test_hits_that_were_changed_are_found(made, engine, database_url, small_sweep_id):
    changes = {
        TOWER: "hit_items[1] = (select item_id from items where item_id <> hit_items[1] order by 1 limit 1)",
        BASELINE: "hit_items = '{}', hit_ranks = '{}'",
    }
    with engine.begin() as connection:
        for label, change in changes.items():
            statement = f"""
                update user_results set {change}
                where cardinality(hit_items) > 0 and split = 'validation'
                    and trial_id = (select trial_id from trials where label = :label)
            """
            assert connection.execute(text(statement), {"label": label}).rowcount > 0
    done = verify(made, database_url, small_sweep_id)
    assert done.returncode == 1
    for label in changes:
        assert f"{label}: stored hits of users on validation differ from the model's\n" in done.stdout
    # The other item is one of the catalogue, so that no rule is broken.
    assert f"{TOWER}: hits:" not in done.stdout
    assert f"{BASELINE}: hits: " in done.stdout


def test_hits_that_an_older_version_did_not_store_are_no_difference(
    made, engine, database_url, small_sweep_id
):
    with engine.begin() as connection:
        connection.execute(text("update user_results set hit_items = null, hit_ranks = null"))
    done = verify(made, database_url, small_sweep_id)
    assert done.returncode == 0
    words = "as stored (version test did not store which held out items lists found)\n"
    assert done.stdout.count(words) == len(FEW)


def test_what_an_older_version_did_not_store_is_said_and_no_difference(
    made, engine, database_url, small_sweep_id
):
    with engine.begin() as connection:
        connection.execute(text("delete from user_results"))
        connection.execute(text("delete from metrics where name = 'personalisation@5'"))
    done = verify(made, database_url, small_sweep_id)
    assert done.returncode == 0
    words = "as stored (version test did not store personalisation@5, results of users)\n"
    assert done.stdout.count(words) == len(FEW)


def test_predictions_of_another_rating_or_item_are_found(made, engine, database_url, small_sweep_id):
    change = "where rank = 1 and trial_id = (select trial_id from trials where label = :label)"
    with engine.begin() as connection:
        connection.execute(
            text(f"update rating_predictions set rating = rating + 0.5 {change}"), {"label": TOWER}
        )
        connection.execute(
            text(f"update rating_predictions set item_id = 'no such' {change} and user_id = '1'"),
            {"label": BASELINE},
        )
    done = verify(made, database_url, small_sweep_id)
    assert done.returncode == 1
    assert done.stderr == ""
    for label in (TOWER, BASELINE):
        assert f"{label}: stored rating predictions differ from the model's\n" in done.stdout
