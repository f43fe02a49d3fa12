"""The Celery task where a trial is stopped: what stays, and that it goes on to the same result."""

from dataclasses import replace

import pytest
from sqlalchemy import text

from shared import store
from shared.datasets import store_prepared
from shared.domain.families.matrix_factorization import MatrixFactorization
from shared.domain.trial import TrialConfig
from shared.errors import StoreUnavailable
from tests.factories import make_dataset, store_sweep
from tests.integration.test_task import artifacts, run  # noqa: F401  A fixture.

# Keras 3.15 reads variables in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)

ARCHITECTURE = MatrixFactorization(loss="squared_error", size=2)
TRAINING = replace(ARCHITECTURE.default_training, max_epochs=5, batch_size=64)
GOOD, POOR = (TrialConfig(ARCHITECTURE, replace(TRAINING, learning_rate=rate)) for rate in (0.05, 1e-6))
RULE = '{"stopping": {"rule": "successive_halving", "min_epochs": 2, "reduction": 3}}'
RESULT = (
    "select best_epoch, val_loss, val_rmse, n_parameters from trials where trial_id = :id",
    "select epoch, loss, val_loss, val_rmse from epochs where trial_id = :id order by epoch",
    "select split, name, value from metrics where trial_id = :id order by split, name",
    "select user_id, rank, item_id, score from recommendations where trial_id = :id order by 1, 2",
    "select user_id, rank, item_id, prediction from rating_predictions where trial_id = :id order by 1, 2",
)


@pytest.fixture
def dataset(artifacts):  # noqa: F811  A fixture.
    dataset = make_dataset(n_users=30, n_items=20, n_rated=10)
    store_prepared(artifacts.as_uri(), dataset)
    return dataset


@pytest.fixture
def sweep(engine, dataset):
    sweep = store_sweep(engine, dataset, [GOOD, POOR])
    set_spec(engine, RULE)
    return sweep


def set_spec(engine, spec):
    with engine.begin() as connection:
        connection.execute(text("update sweeps set spec = cast(:spec as jsonb)"), {"spec": spec})


def trial_of(engine, sweep, config):
    (found,) = [one for one in store.sweep_trials(engine, sweep.sweep_id) if one.config == config]
    return found


def run_unbeatable(engine, sweep):
    """The first trial succeeds, and has been better than any other can be: these ratings hold no pattern."""
    trial_id = trial_of(engine, sweep, GOOD).trial_id
    assert "rmse" in run(trial_id)
    with engine.begin() as connection:
        connection.execute(text("update epochs set val_rmse = 0.01 where trial_id = :id"), {"id": trial_id})


def result_of(engine, trial_id):
    with engine.connect() as connection:
        return [connection.execute(text(query), {"id": trial_id}).all() for query in RESULT]


@pytest.mark.parametrize("is_checkpoint_there", [True, False])
def test_a_stopped_trial_goes_on_to_the_result_that_it_would_have_had(
    engine,
    sweep,
    dataset,
    artifacts,  # noqa: F811  A fixture.
    is_checkpoint_there,
):
    run_unbeatable(engine, sweep)
    poor = trial_of(engine, sweep, POOR).trial_id
    told = run(poor)
    assert ": stopped after epoch 2: rmse " in told
    assert told.endswith(" was needed")
    stopped = store.get_trial(engine, poor)
    assert (stopped.status, stopped.epoch, stopped.error_reason) == ("stopped", 2, None)
    assert result_of(engine, poor)[2:] == [[], [], []]
    folder = artifacts / f"sweep-{sweep.sweep_id}" / stopped.label
    checkpoint = folder / "checkpoint.npz"
    assert checkpoint.exists()
    assert "stopped after epoch 2: rmse" in (folder / "attempt-1" / "trial.log").read_text()
    # A message that is delivered again changes nothing.
    assert run(poor).endswith("nothing to do, it is done or runs elsewhere")

    set_spec(engine, "{}")
    store.requeue_trials(engine, [poor])
    if not is_checkpoint_there:
        checkpoint.unlink()
    assert "rmse" in run(poor)
    assert not checkpoint.exists()
    with engine.connect() as connection:
        by_second = "select min(epoch) from epochs where trial_id = :id and attempt = 2"
        first = connection.execute(text(by_second), {"id": poor}).scalar_one()
    assert first == (3 if is_checkpoint_there else 1)

    never_stopped = store_sweep(engine, dataset, [POOR], name="never stopped")
    set_spec(engine, "{}")
    other = trial_of(engine, never_stopped, POOR).trial_id
    run(other)
    assert result_of(engine, poor) == result_of(engine, other)


def test_while_the_database_is_away_nobody_is_stopped(engine, sweep, monkeypatch, caplog):
    def away(*_: object) -> None:
        raise StoreUnavailable("Postgres is away")

    run_unbeatable(engine, sweep)
    monkeypatch.setattr(store, "stop_hopeless", away)
    poor = trial_of(engine, sweep, POOR).trial_id
    assert "rmse" in run(poor)
    assert store.get_trial(engine, poor).status == "succeeded"
    assert "nobody says whether to stop after epoch 2" in caplog.text
