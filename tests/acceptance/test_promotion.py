"""From a sweep to served lists of its best architecture, trained on all ratings, with real workers."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.conftest import ROOT, Make

LABEL = "concatenate_4_1_epochs2"
_SWEEP = """
[grid]
merge = ["concatenate"]
embedding_size = [4]
dense_layers = [[1]]
[training]
max_epochs = 2
[[models]]
family = "ease"
[protocol]
objective = "ndcg@20"
"""


@pytest.fixture(scope="module", autouse=True)
def sweep_file(make: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("promotion") / "promotion.toml"
    path.write_text(_SWEEP)
    result = make("sweep", f"SWEEP={path}", "DATASET=sample", "WORKERS=1")
    assert result.returncode == 0, result.stdout + result.stderr
    return path


def test_promote_trains_on_all_ratings_verifies_and_serves(make: Make, select) -> None:
    result = make("promote", f"TRIAL={LABEL}", "SWEEP=promotion", "NOTE=the newest ratings")
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{LABEL}_refit: {LABEL} of sweep" in result.stdout
    assert f"{LABEL}_refit: as stored" in result.stdout
    assert "It learned from all 100,000 ratings of version" in result.stdout
    users = select(
        "select user_id, count(*) as n from best_recommendations where dataset_name = 'sample'"
        f" and label = '{LABEL}_refit' and chosen_label = '{LABEL}' and is_refit group by 1"
    )
    assert {row["n"] for row in users} == {"20"}
    assert len(users) == int(select("select n_users from datasets where name = 'sample'")[0]["n_users"])
    (chosen,) = select(f"select best_epoch from trials where label = '{LABEL}'")
    (refit,) = select(f"select status, best_epoch, val_rmse from trials where label = '{LABEL}_refit'")
    assert refit == {"status": "succeeded", "best_epoch": chosen["best_epoch"], "val_rmse": ""}


def test_a_sweep_that_is_run_again_leaves_the_refit_alone(make: Make, sweep_file: Path) -> None:
    result = make("sweep", f"SWEEP={sweep_file}", "DATASET=sample")
    assert "4 trials: to run 0, done 4, running 0, failed 0" in result.stdout
    assert "4 of 4 trials succeeded" in result.stdout
    leaderboard = make("leaderboard", "SWEEP=promotion").stdout
    assert LABEL in leaderboard
    assert "_refit" not in leaderboard


def test_ctrl_c_leaves_the_refit_and_the_same_command_goes_on(make: Make, make_environment, select) -> None:
    command = ["make", "--no-print-directory", "promote", "TRIAL=ease", "SWEEP=promotion"]
    with subprocess.Popen(
        command, cwd=ROOT, env=make_environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        # Printed when it is queued, before it is watched.
        for line in process.stdout:
            if line.startswith("ease_refit: ease of sweep"):
                break
        os.killpg(process.pid, signal.SIGINT)
        rest = process.stdout.read()
    assert process.returncode != 0
    assert "What is served stays as it is until the same command has verified it" in rest
    assert select("select distinct label from best_recommendations where dataset_name = 'sample'") == [
        {"label": f"{LABEL}_refit"}
    ]
    again = make("promote", "TRIAL=ease", "SWEEP=promotion")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "best_recommendations serves sample with ease_refit of sweep" in again.stdout
    # Other modules may have refitted an EASE too.
    refits = "select trial_id from trials join sweeps using (sweep_id) where label = 'ease_refit'"
    assert len(select(f"{refits} and name = 'promotion'")) == 1


def test_a_history_gets_a_list_from_the_model_that_is_served(make: Make, select, tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    of_sample = "from items join datasets using (dataset_id) where name = 'sample'"
    rows = select(f"select item_id {of_sample} order by items.n_ratings desc limit 3")
    items = [row["item_id"] for row in rows]
    path.write_text("item_id,rating\n" + f"{items[0]},5\n{items[1]},4\n{items[2]},\nno such item,3\n")
    result = make("recommend", f"HISTORY={path}", "SWEEP=promotion")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "A history of 3 items, ease_refit" in result.stdout
    assert "Items without a rating (1) count as rated 5" in result.stdout
    assert "sample has no such item: no such item" in result.stdout
    lines = [line.split() for line in result.stdout.partition("Recommended")[2].splitlines()]
    recommended = [words[1] for words in lines if words and words[0].isdigit()]
    assert len(recommended) == 20
    assert not set(items) & set(recommended)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["promote", "TRIAL=nobody"], "got 'nobody': no such trial; see `make leaderboard`"),
        (["promote"], "which trial? make promote TRIAL=label"),
        (["promote", f"TRIAL={LABEL}", "REFIT=perhaps"], "Invalid value for REFIT"),
        (
            ["recommend", f"TRIAL={LABEL}", "HISTORY=1"],
            "families that score a history are autoencoder, blend, ease, item_knn",
        ),
        (["recommend", "USER=1", "HISTORY=1"], "give one of them"),
        (["recommend", "HISTORY=1,1"], "an item of a history is given once"),
        (["recommend", "HISTORY=1:6"], "a rating of sample is a number from 1 to 5; got '6' for item '1'"),
    ],
)
def test_a_mistake_is_one_line(make: Make, arguments, message) -> None:
    result = make(*arguments, "SWEEP=promotion")
    lines = [line for line in result.stderr.splitlines() if not line.startswith("make")]
    assert (result.returncode, len(lines)) == (2, 1), result.stdout + result.stderr
    assert message in lines[0]


# Last: it takes back what the other tests promoted.
def test_rollback_serves_what_was_served_before(make: Make, select) -> None:
    result = make("rollback", "DATASET=sample")
    assert f"best_recommendations serves sample with {LABEL}_refit" in result.stdout
    result = make("rollback", "DATASET=sample")
    assert "it leads the newest sweep that has ended" in result.stdout
