"""Every statement of the pages runs, answers, and keeps to the data set that it names."""

from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import Engine, text

from scheduler.verdicts.writing import write_verdicts
from shared.datasets import Dataset
from shared.domain.families.tower import Tower
from shared.domain.training import TrainingConfig
from shared.domain.trial import TrialConfig
from shared.store import promote_trial
from tests.documents import all_pages
from tests.factories import make_dataset, make_hits, make_result, make_user_results, store_result, store_sweep

# What the statements ask for.
USER_ID = "2000"
CONFIGS = [TrialConfig(Tower(merge, 50, (64, 32, 1)), TrainingConfig()) for merge in ("dot", "concatenate")]
STATEMENTS = [
    pytest.param(statement, id=f"{page.name}-{number}")
    for page in all_pages()
    for number, statement in enumerate(page.statements, start=1)
]


def make_named(name: str, n_items: int) -> Dataset:
    dataset = make_dataset(name=name, n_items=n_items)
    return replace(dataset, user_ids=np.array(["1", USER_ID, "3", "4"]))


def store_and_promote(engine: Engine, dataset: Dataset, seed: int) -> None:
    """A sweep whose two trials have succeeded; the second one, which does not lead, is promoted."""
    sweep = store_sweep(engine, dataset, CONFIGS, name="reference")
    for number, config in enumerate(CONFIGS):
        # The list of the second user, USER_ID, has a hit.
        hits = make_hits([(1, 2, 4 + seed // 5)])
        users = {"validation": make_user_results(dataset, seed=seed + number, hits=hits)}
        result = make_result(dataset, val_rmse=0.9 + number / 10, seed=seed + number, user_results=users)
        store_result(engine, sweep.sweep_id, config.label, dataset, result)
    write_verdicts(engine, sweep)
    promote_trial(engine, CONFIGS[1].label, sweep.sweep_id)


def answer(engine: Engine, statement: str) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def test_there_are_statements_to_check():
    assert {param.id.rpartition("-")[0] for param in STATEMENTS} >= {"README.md", "docs/sql.md"}


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_statement_answers_from_one_data_set_and_one_sweep(engine, statement):
    name = "ratings" if "dataset_name = 'ratings'" in statement else "ml-1m"
    store_and_promote(engine, make_named(name, n_items=8), seed=0)
    rows = answer(engine, statement)
    assert rows
    store_and_promote(engine, make_named("sample", n_items=9), seed=5)
    assert answer(engine, statement) == rows


@pytest.mark.parametrize(
    "statement", [param for param in STATEMENTS if str(param.values[0]).endswith("order by rank")]
)
def test_a_statement_in_order_of_rank_gives_each_rank_once(engine, statement):
    for seed in (0, 5):
        store_and_promote(engine, make_named("ml-1m", n_items=8), seed)
    ranks = [row[0] for row in answer(engine, statement)]
    assert ranks == [1, 2]


def test_every_table_and_view_is_on_the_page_of_sql(engine):
    (page,) = [page for page in all_pages() if page.name == "docs/sql.md"]
    with engine.connect() as connection:
        names = connection.scalars(
            text("""
                select relname from pg_class
                where relnamespace = current_schema()::regnamespace and relkind in ('r', 'p', 'v')
                    and not relispartition
            """)
        )
        stored = set(names)
    # How far the schema and the views have been brought concerns nobody who asks for results.
    assert stored - {"alembic_version", "installed_views"} - set(page.spans) == set()
