"""The main job on the real MovieLens 1M, where it is at hand; small models and large steps: it is quick."""

import re

import pytest

from shared.store import list_queries, run_query
from shared.store.database import create_engine
from tests.acceptance.conftest import Make
from tests.real_data import data_dir_with

N_USERS = 6040
LABELS = ["concatenate_8_4_1_batch4096_epochs2", "dot_8_4_1_batch4096_epochs2"]
_SWEEP = """
[grid]
merge = {merges}
embedding_size = [8]
dense_layers = [[4, 1]]
[training]
batch_size = 4096
max_epochs = {max_epochs}
[protocol]
embedding_rows = "max_id"
"""

pytestmark = [pytest.mark.needs_data("ml-1m"), pytest.mark.usefixtures("two_sweeps")]


@pytest.fixture(scope="module")
def two_sweeps(make: Make, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Output by name of `earlier`, a sweep of one small model, and `real`, one of LABELS."""
    folder = tmp_path_factory.mktemp("sweeps")
    (folder / "earlier.toml").write_text(_SWEEP.format(merges=["average"], max_epochs=1))
    (folder / "real.toml").write_text(_SWEEP.format(merges=["concatenate", "dot"], max_epochs=2))
    outputs = {}
    for name in ("earlier", "real"):
        result = make(
            "sweep", f"SWEEP={folder / name}.toml", "DATASET=ml-1m", f"DATA_DIR={data_dir_with('ml-1m')}"
        )
        assert result.returncode == 0, result.stdout + result.stderr
        outputs[name] = result.stdout
    return outputs


def test_the_sweep_says_that_it_has_the_published_data(two_sweeps):
    for output in two_sweeps.values():
        assert "Data ml-1m: 6,040 users, 3,883 items, 1,000,209 ratings" in output
        assert "published" not in output


@pytest.mark.parametrize("query", list_queries(), ids=lambda query: query.name)
def test_every_stored_query_answers(embedded_database, query):
    engine = create_engine(embedded_database)
    given = {"user_id": "200", "label": LABELS[0]}
    arguments = {name: value for name, value in given.items() if name in query.parameters}
    _, rows = run_query(engine, query.name, arguments)
    engine.dispose()
    assert rows or query.name in ("failures_by_reason", "stopped_trials", "search_history")


def test_every_user_gets_twenty_rated_items_that_are_new_to_them(make, select):
    counts = select(
        "select label, count(*) as n_rows, count(distinct user_id) as n_users from recommendations"
        " join trials using (trial_id) join sweeps on sweeps.sweep_id = trials.sweep_id"
        " where sweeps.name = 'real' and not is_baseline group by label"
    )
    assert {row["label"] for row in counts} == set(LABELS)
    assert {(int(row["n_rows"]), int(row["n_users"])) for row in counts} == {(20 * N_USERS, N_USERS)}
    # Seen items, gaps, ties, counts; RMSE, metrics and lists from the saved models.
    result = make("verify", "SWEEP=real")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "every list keeps the contract" in result.stdout
    assert "seen_items" in result.stdout


def test_verify_names_what_was_tampered_with(make):
    change = (
        "update {} where {} = (select min(trial_id) from trials where label = 'dot_8_4_1_batch4096_epochs2')"
    )
    make("psql", "C=" + change.format("metrics set value = value + 0.5", "name = 'ndcg@20' and trial_id"))
    swap = "recommendations set item_id = '1' || item_id"
    make("psql", "C=" + change.format(swap, "user_id = '2000' and rank = 1 and trial_id"))
    result = make("verify", "SWEEP=real")
    assert result.returncode != 0
    line = next(line for line in result.stdout.splitlines() if line.startswith(f"{LABELS[1]}: "))
    assert "ndcg@20 is stored as" in line
    assert "stored recommendations differ from the model's" in line


def test_item_catalogue_keeps_titles_genres_and_gaps(select):
    of_ml_1m = "select items.* from items join datasets using (dataset_id) where datasets.name = 'ml-1m'"
    items = {row["item_id"]: row for row in select(f"{of_ml_1m} and title ~ '^(Star W|Mis.rab)'")}
    assert items["260"]["title"] == "Star Wars: Episode IV - A New Hope (1977)"
    assert items["73"]["title"] == "Misérables, Les (1995)"
    facts = select(
        f"select count(*) as n, count(*) filter (where n_ratings = 0) as unrated from ({of_ml_1m}) as items"
    )
    assert facts == [{"n": "3883", "unrated": "177"}]


def test_one_users_list_is_an_index_scan(make):
    statement = "explain (analyze) select * from best_recommendations where user_id = '2000' and dataset_name"
    plan = make("psql", f"C={statement} = 'ml-1m'").stdout
    assert re.search(r"Index (Only )?Scan .* on recommendations_sweep_\d+", plan), plan
    assert not re.search(r"Seq Scan on recommendations_sweep_\d+ .*actual", plan), plan


def test_promotion_and_rollback_change_what_is_served(make, select):
    served = "select distinct label from best_recommendations where dataset_name = 'ml-1m'"
    before = select(served)
    other = next(label for label in LABELS if [{"label": label}] != before)
    promoted = make("promote", f"TRIAL={other}", "SWEEP=real", "NOTE=a test")
    assert promoted.returncode == 0, promoted.stdout + promoted.stderr
    assert select(served) == [{"label": f"{other}_refit"}]
    assert make("rollback", "SWEEP=real").returncode == 0
    assert select(served) == before
    of_ml_1m = "from promotions join datasets using (dataset_id) where name = 'ml-1m'"
    notes = [row["note"] for row in select(f"select note {of_ml_1m} order by promotion_id")]
    assert len(notes) == 2
    assert "a test" in notes[0]


def test_the_analyst_reads_results_and_cannot_write(make):
    url = make("analyst").stdout.strip().splitlines()[-1]
    reading = make("psql", "C=select count(*) from leaderboard", f"DATABASE_URL={url}")
    assert reading.returncode == 0, reading.stderr
    writing = make("psql", "C=delete from trials", f"DATABASE_URL={url}")
    assert writing.returncode != 0
    assert "permission denied" in writing.stderr or "read-only" in writing.stderr
