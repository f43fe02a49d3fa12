"""Stopping early, with the commands a person runs."""

import pytest

SWEEP = """
[[models]]
family = "matrix_factorization"
loss = "squared_error"
size = 4
learning_rate = [0.05, 0.00001]

[training]
max_epochs = 6
batch_size = 1024
"""
N_TRIALS = 4  # Two and the two baselines.


@pytest.fixture
def sweep_file(tmp_path):
    path = tmp_path / "hopeless.toml"
    path.write_text(SWEEP)
    return path


@pytest.mark.timeout(600)
def test_hopeless_trials_are_stopped_and_go_on_once_the_rule_is_removed(make, select, sweep_file):
    options = (f"SWEEP={sweep_file}", "DATASET=sample", "WORKERS=1")
    swept = make("sweep", *options, "STOPPING=successive_halving")
    assert swept.returncode == 0, swept.stdout + swept.stderr
    assert f"3 of {N_TRIALS} trials succeeded, 1 stopped early, they could not win" in swept.stdout
    assert "Stopped early, they could not win (rmse):" in swept.stdout
    assert "1 rows" in make("query", "Q=stopped_trials").stdout

    again = make("sweep", *options, "STOPPING=successive_halving", "DRY_RUN=1")
    assert "to run 0, done 3, running 0, stopped 1, failed 0" in again.stdout

    continued = make("sweep", *options)
    assert "to run 1, done 3, running 0, failed 0" in continued.stdout, continued.stdout
    assert f"{N_TRIALS} of {N_TRIALS} trials succeeded" in continued.stdout
    # It went on where it had been stopped.
    epochs = select(
        "select epochs.attempt, min(epochs.epoch) as first, max(epochs.epoch) as last"
        " from epochs join trials using (trial_id) where trials.attempt = 2"
        " and trials.sweep_id = (select max(sweep_id) from sweeps) group by 1 order by 1"
    )
    assert [(row["attempt"], row["first"], row["last"]) for row in epochs] == [
        ("1", "1", "2"),
        ("2", "3", "6"),
    ]
