"""Stopping early, with the commands a person runs."""

import pytest

SWEEP = """
[[models]]
family = "matrix_factorization"
loss = "squared_error"
size = 4
learning_rate = [0.05, 0.00001, 0.00002]

[training]
max_epochs = 12
batch_size = 1024
"""
N_TRIALS = 5  # Three and the two baselines.


@pytest.fixture
def sweep_file(tmp_path):
    path = tmp_path / "hopeless.toml"
    path.write_text(SWEEP)
    return path


def test_hopeless_trials_are_stopped_and_go_on_once_the_rule_is_removed(make, select, sweep_file):
    options = (f"SWEEP={sweep_file}", "DATASET=sample", "WORKERS=1")
    bad = make("sweep", *options, "STOPPING=early")
    assert bad.returncode == 2
    assert "STOPPING must be one of successive_halving, median, none; got 'early'" in bad.stderr + bad.stdout

    swept = make("sweep", *options, "STOPPING=successive_halving")
    assert swept.returncode == 0, swept.stdout + swept.stderr
    assert f"3 of {N_TRIALS} trials succeeded, 2 stopped early, they could not win" in swept.stdout
    assert "Stopped early, they could not win (rmse):" in swept.stdout
    stopped = select(
        "select label, stopped_epoch from trials where status = 'stopped'"
        " and sweep_id = (select max(sweep_id) from sweeps) order by label"
    )
    assert [row["stopped_epoch"] for row in stopped] == ["2", "2"]
    assert "saved_by_all" in make("query", "Q=stopped_trials").stdout

    again = make("sweep", *options, "STOPPING=successive_halving", "DRY_RUN=1")
    assert "to run 0, done 3, running 0, stopped 2, failed 0" in again.stdout

    continued = make("sweep", *options)
    assert "to run 2, done 3, running 0, failed 0" in continued.stdout, continued.stdout
    assert f"{N_TRIALS} of {N_TRIALS} trials succeeded" in continued.stdout
    # Each went on where it had been stopped.
    epochs = select(
        "select trials.label, epochs.attempt, min(epochs.epoch) as first, max(epochs.epoch) as last"
        " from epochs join trials using (trial_id)"
        f" where label in ({', '.join(repr(row['label']) for row in stopped)})"
        " and trials.sweep_id = (select max(sweep_id) from sweeps) group by 1, 2 order by 1, 2"
    )
    assert [(row["attempt"], row["first"], row["last"]) for row in epochs] == [
        ("1", "1", "2"),
        ("2", "3", "12"),
    ] * 2
