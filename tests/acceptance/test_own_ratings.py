"""A person's own ratings, with the commands a person runs: from their file to lists, or one line."""

import random

import pytest

from tests.acceptance.conftest import Make, ask_all
from tests.sources import write_file

_SWEEP = '[[models]]\nfamily = "ease"\n[protocol]\nobjective = "ndcg@20"\nmin_support = 1\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("my data")


@pytest.fixture(scope="module")
def sweep_file(folder):
    return write_file(folder / "small.toml", _SWEEP)


@pytest.fixture(scope="module")
def fifty(folder):
    """Fifty ratings from -10 to 10, as a spreadsheet writes them, by people with names of every kind."""
    chance = random.Random(1)  # noqa: S311  A test.
    people = ["Zoë", "O'Brien; drop table trials", 'Li "李" Wei', "🦉", "x" * 300]
    pairs = chance.sample([(one, item) for one in people for item in range(1, 16)], 50)
    lines = ["Customer ID;Product;Score"]
    lines += [
        '"{}";A-{};{}'.format(one.replace('"', '""'), item, chance.randint(-20, 20) / 2)
        for one, item in pairs
    ]
    content = "\r\n".join(lines).replace(".", ",") + "\r\n"
    return write_file(folder / "fifty.csv", content.encode("utf-8-sig"))


@pytest.fixture(scope="module")
def swept(make: Make, fifty, sweep_file):
    result = make("sweep", f"DATASET={fifty}", f"SWEEP={sweep_file}", "WORKERS=2")
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_a_spreadsheet_becomes_lists_in_postgres(swept, select, fifty):
    assert f"Columns of {fifty}" in swept
    assert "user: Customer ID" in swept
    assert "Data fifty: 5 users, 15 items, 50 ratings" in swept
    assert "3 of 3 trials succeeded" in swept
    (row,) = select("select n_users, n_items, rating_min, rating_max from datasets where name = 'fifty'")
    assert (row["n_users"], row["n_items"]) == ("5", "15")
    lists = select("select distinct user_id from best_recommendations where dataset_name = 'fifty'")
    assert {row["user_id"] for row in lists} == {
        "Zoë",
        "O'Brien; drop table trials",
        'Li "李" Wei',
        "🦉",
        "x" * 300,
    }
    titles = select("select distinct title from best_recommendations where dataset_name = 'fifty'")
    assert all(row["title"].startswith("A-") for row in titles)


def test_the_same_file_again_finds_everything_done(make: Make, swept, fifty, sweep_file):
    again = make("sweep", f"DATASET={fifty}", f"SWEEP={sweep_file}")
    assert again.returncode == 0, again.stderr
    assert "3 trials: to run 0, done 3" in again.stdout


def test_views_without_ratings_run_with_families_that_rank(make: Make, swept, folder, select, sweep_file):
    chance = random.Random(2)  # noqa: S311  A test.
    views = [f"u{chance.randint(1, 30)},p{chance.randint(1, 20)}" for _ in range(400)]
    path = write_file(folder / "views.csv", "\n".join(["visitor,sku", *views]) + "\n")
    refused = make("sweep", f"DATASET={path}", "SWEEP=smoke")
    assert refused.returncode == 2
    assert "sweep smoke: views holds no ratings, and its objective rmse judges" in refused.stderr
    done = make("sweep", f"DATASET={path}", f"SWEEP={sweep_file}", "NAME=shop views")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No column holds ratings" in done.stdout
    assert "rows are repeated pairs of a user and an item count once" in done.stdout
    names = {row["name"] for row in select("select name from datasets")}
    assert "shop views" in names
    assert "RMSE" not in done.stdout
    # The baseline that predicts ratings has nothing to predict.
    assert "2 of 2 trials succeeded" in done.stdout


def test_a_bad_line_is_one_line_and_nothing_stored_is_touched(  # noqa: PLR0917
    make: Make, swept, fifty, folder, select, sweep_file
):
    before = select("select sweep_id, name from sweeps order by sweep_id")
    bad = write_file(folder / "bad" / "fifty.csv", fifty.read_bytes() + b'"Zo";A-1;many\r\n')
    refused = make("sweep", f"DATASET={bad}", f"SWEEP={sweep_file}")
    assert refused.returncode == 2
    lines = [line for line in refused.stderr.splitlines() if not line.startswith("make")]
    assert lines == [
        f"recsweep: {bad}, line 52: a rating is a finite number; got 'many'. Correct or remove it."
    ]
    assert select("select sweep_id, name from sweeps order by sweep_id") == before
    described = make("data", f"DATASET={bad}", "ON_ERROR=skip", "MAX_SKIPPED=1")
    assert described.returncode == 0
    assert "Left out 1 row: a rating is a finite number; the first is" in described.stdout
    assert "50 ratings without times" in described.stdout


def test_two_sweeps_at_once_on_a_new_file_prepare_it_once(make: Make, swept, folder, select, sweep_file):
    lines = [
        "user,item,rating",
        *(f"{user},{item},{user * item % 5}" for user in range(40) for item in range(9)),
    ]
    path = write_file(folder / "twice.csv", "\n".join(lines) + "\n")
    answers = ask_all(make, [("sweep", f"DATASET={path}", f"SWEEP={sweep_file}")] * 2)
    assert [answer.returncode for answer in answers] == [0, 0], [answer.stderr for answer in answers]
    path.unlink()
    assert len(select("select dataset_id from datasets where name = 'twice'")) == 1
    trials = select(
        "select label, status from trials join sweeps using (sweep_id) join datasets using (dataset_id)"
        " where datasets.name = 'twice' order by label"
    )
    assert [row["status"] for row in trials] == ["succeeded"] * 3
    assert len({row["label"] for row in trials}) == 3
    # Whoever trains, ranks or verifies needs the prepared data alone: the file is gone.
    verified = make("verify", "SWEEP=small")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_lists_of_a_file_are_kept_fresh_when_the_file_grows(make: Make, swept, folder, select, sweep_file):
    lines = [f"{user},{item},{(user + item) % 5 + 1}" for user in range(30) for item in range(user % 7, 12)]
    path = write_file(folder / "growing.csv", "\n".join(["user,item,rating", *lines]) + "\n")
    sweep = (f"DATASET={path}", f"SWEEP={sweep_file}", "NAME=shop")
    assert make("sweep", *sweep).returncode == 0
    promoted = make("promote", "TRIAL=ease", "SWEEP=small")
    assert promoted.returncode == 0, promoted.stdout + promoted.stderr
    unchanged = make("refresh", "DATASET=shop")
    assert unchanged.returncode == 0, unchanged.stdout + unchanged.stderr
    assert "Nothing changed" in unchanged.stdout
    with path.open("a") as file:
        file.write("newcomer,3,5\nnewcomer,4,4\n")
    fresh = make("refresh", "DATASET=shop", "MAX_CHANGED=1")
    assert fresh.returncode == 0, fresh.stdout + fresh.stderr
    served = select("select distinct user_id from best_recommendations where dataset_name = 'shop'")
    assert "newcomer" in {row["user_id"] for row in served}
    (row,) = select("select distinct source from datasets where name = 'shop'")
    assert row["source"] == str(path)


def test_what_is_not_clear_is_asked_for_with_the_file_to_write(make: Make, folder):
    path = write_file(folder / "unclear.csv", "kunde,sku,rating\n1,2,3\n2,3,4\n")
    asked = make("data", f"DATASET={path}")
    assert asked.returncode == 2
    assert "which column is the user?" in asked.stderr
    lines = [line for line in asked.stderr.splitlines() if line.startswith("  ")]
    answer = "\n".join(lines).replace("…", "kunde")
    described = make("data", f"DATASET={write_file(folder / 'clear.toml', answer)}")
    assert described.returncode == 0, described.stderr
    assert "Data clear" in described.stdout
