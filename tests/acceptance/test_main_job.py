"""The main job, run with the commands a person runs: from ratings to recommendations in Postgres."""

import json
import time
import urllib.parse
import urllib.request

import pytest

from tests.acceptance.conftest import Make

N_TRIALS = 14  # smoke.toml: four towers, one model of each other family, the two baselines.
LEADER = "bayesian_mf_size-8_sweeps-20"


@pytest.fixture(scope="module", autouse=True)
def swept(make: Make):
    """Output of the first `make sweep` of the smoke sweep on the sample data."""
    result = make("sweep", "SWEEP=smoke", "DATASET=sample", "WORKERS=2")
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_sweep_says_its_data_plan_progress_and_leaderboard(swept):
    assert "sample (synthetic data, not real ratings)" in swept
    assert f"{N_TRIALS} trials: to run {N_TRIALS}, done 0, running 0, failed 0" in swept
    assert f"[{N_TRIALS}/{N_TRIALS}]" in swept
    assert f"{N_TRIALS} of {N_TRIALS} trials succeeded" in swept
    for label in ("concatenate_8_4_1_epochs1", "dot_8_4_1_epochs1", "baseline_user_item_bias"):
        assert label in swept
    for hint in ("Flower:", "Page:", "make psql", "Models:"):
        assert hint in swept


def test_every_user_has_twenty_recommendations_of_every_trial(select):
    rows = select(
        "select trial_id, user_id, count(*) as n, min(rank) as low, max(rank) as high,"
        " count(distinct item_id) as n_items from recommendations group by 1, 2"
    )
    n_users = int(select("select n_users from datasets")[0]["n_users"])
    assert len(rows) == N_TRIALS * n_users
    assert {(row["n"], row["low"], row["high"], row["n_items"]) for row in rows} == {("20", "1", "20", "20")}


def test_metrics_models_and_epochs_are_stored(select):
    trials = select("select label, family, status, model_url, best_epoch, is_baseline from trials")
    assert {row["status"] for row in trials} == {"succeeded"}
    suffix = {"tower": ".keras"}
    assert all(
        row["model_url"].endswith(row["label"] + suffix.get(row["family"], ".npz"))
        for row in trials
        if row["is_baseline"] == "f"
    )
    metrics = {row["name"] for row in select("select distinct name from metrics where split = 'validation'")}
    assert {"rmse", "mae", "ndcg@20", "recall@20", "coverage@20"} <= metrics
    # One epoch of each of the four towers and of the four other families that are trained in epochs.
    assert len(select("select * from epochs")) == 8


def test_the_second_sweep_finds_everything_done(make, swept):
    result = make("sweep", "SWEEP=smoke", "DATASET=sample", timeout_seconds=60)
    assert result.returncode == 0
    assert f"to run 0, done {N_TRIALS}, running 0, failed 0" in result.stdout


def test_dry_run_shows_the_plan_and_stores_nothing(make, select):
    result = make("sweep", "SWEEP=smoke", "DATASET=sample", "FRESH=1", "DRY_RUN=1")
    assert result.returncode == 0
    assert f"to run {N_TRIALS}" in result.stdout
    assert "to run: dot_8_4_1_epochs1" in result.stdout
    assert len(select("select * from sweeps")) == 1


def test_recommend_shows_both_tables_of_a_user(make, select):
    user = select("select user_id from recommendations limit 1")[0]["user_id"]
    result = make("recommend", f"USER={user}", "TRIAL=concatenate_8_4_1_epochs1")
    assert result.returncode == 0, result.stderr
    assert f"User {user}, concatenate_8_4_1_epochs1" in result.stdout
    assert "Top-rated by the user" in result.stdout
    assert "Recommended" in result.stdout
    listed = select(
        "select item_id from recommendations join trials using (trial_id)"
        f" where user_id = '{user}' and label = 'concatenate_8_4_1_epochs1' order by rank"
    )
    recommended = result.stdout.split("Recommended")[1]
    assert [row["item_id"] in recommended for row in listed] == [True] * 20


def test_status_shows_services_and_progress(make, swept):
    result = make("status")
    assert result.returncode == 0
    for word in ("postgres", "redis", "worker", "flower", "dashboard", "watcher", "smoke", "succeeded"):
        assert word in result.stdout


def test_flower_shows_every_task_with_its_label(make, swept):
    url = make("flower").stdout.strip()
    query = (
        "draw=1&start=0&length=100&search%5Bvalue%5D=&order%5B0%5D%5Bcolumn%5D=0&order%5B0%5D%5Bdir%5D=asc"
    )
    query += "&columns%5B0%5D%5Bdata%5D=name"
    with urllib.request.urlopen(f"{url}/tasks/datatable?{query}", timeout=20) as response:
        tasks = json.load(response)["data"]
    assert len(tasks) >= N_TRIALS
    assert {task["name"] for task in tasks} == {"train_architecture"}
    shown = " ".join(task["args"] for task in tasks)
    assert "concatenate_8_4_1_epochs1" in shown
    assert {task["state"] for task in tasks} == {"SUCCESS"}


def test_logs_show_services_and_a_trial(make, swept):
    assert "worker" in make("logs").stdout
    log = make("logs", "TRIAL=concatenate_8_4_1_epochs1").stdout
    assert "user_embedding" in log
    assert "epoch 1/1" in log


def test_leaderboard_is_shown_again(make, swept):
    result = make("leaderboard")
    assert result.returncode == 0
    assert "concatenate_8_4_1_epochs1" in result.stdout


def test_the_end_says_who_wins_and_whom_the_objective_does_not_judge(swept):
    assert f"Winner: {LEADER}; every other trial that is judged is worse" in swept
    assert "No verdict on autoencoder_size-8_epochs1, baseline_item_popularity, ease" in swept


def test_verdicts_of_a_sweep_whose_terminal_has_gone_are_written_by_the_watcher(make, select):
    make("psql", "C=begin; delete from verdicts; update sweeps set judged_at = null; commit")
    deadline = time.monotonic() + 60
    while not select("select 1 from verdicts") and time.monotonic() < deadline:
        time.sleep(1)
    verdicts = {row["label"]: row["verdict"] for row in select("select label, verdict from trial_verdicts")}
    assert len(verdicts) == N_TRIALS
    assert verdicts[LEADER] == "winner"


def test_compare_tells_for_whom_one_trial_is_better(make, swept):
    result = make("compare", "A=concatenate_8_4_1_epochs1", "B=smoke:dot_8_4_1_epochs1")
    assert result.returncode == 0, result.stderr
    assert "By rmse A, concatenate_8_4_1_epochs1, is better than B by" in result.stdout
    for users in ("light", "medium", "heavy"):
        assert f"{users} (" in result.stdout
    result = make("compare", "A=concatenate_8_4_1_epochs1", "B=nothing")
    assert result.returncode == 2
    assert "B must be a succeeded trial of sweep 1 smoke; got 'nothing'" in result.stderr


# Last: it leaves a second sweep, and the other tests look at the only one.
def test_exactly_the_failed_trials_run_again(make, select, tmp_path):
    path = tmp_path / "diverging.toml"
    # Gradient descent with such steps overflows in the first epoch.
    path.write_text(
        'name = "diverging"\n[grid]\nmerge = ["dot"]\nembedding_size = [4]\ndense_layers = [[1]]\n'
        'learning_rate = [0.001, 1e30]\n[training]\noptimizer = "sgd"\nmax_epochs = 1\n'
    )
    first = make("sweep", f"SWEEP={path}", "DATASET=sample")
    assert first.returncode != 0
    assert "3 of 4 trials succeeded" in first.stdout
    assert "failed: dot_4_1_sgd_lr1e+30_epochs1: not_finite_loss" in first.stdout
    again = make("sweep", f"SWEEP={path}", "DATASET=sample")
    assert "to run 1, done 3, running 0, failed 1 (to run again)" in again.stdout
    attempts = select(
        "select label, attempt, status from trials join sweeps using (sweep_id) where name = 'diverging'"
    )
    assert {row["attempt"] for row in attempts if row["status"] == "failed"} == {"2"}
    assert {row["attempt"] for row in attempts if row["status"] == "succeeded"} == {"1"}
    lists = select(
        "select status, count(*) as n from recommendations join trials using (trial_id)"
        " join sweeps on sweeps.sweep_id = trials.sweep_id where name = 'diverging' group by 1"
    )
    assert [row["status"] for row in lists] == ["succeeded"]
