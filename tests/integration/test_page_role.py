"""The role that the page reads by: it reads the results, and nothing else."""

import pytest
from sqlalchemy import Engine, text

from shared.errors import StoreError
from shared.store import grant_analyst
from shared.store.access import PAGE_READER, ensure_page_reader
from shared.store.database import create_engine, transaction
from tests.page_client import PageClient
from tests.page_samples import sample_dataset, store_ended_sweep

VIEWS = ["/", "/sweeps/1"]


def _reader(engine: Engine) -> Engine:
    return create_engine(ensure_page_reader(engine).render_as_string(hide_password=False))


@pytest.mark.parametrize("path", VIEWS)
def test_every_view_is_shown_by_the_role_that_may_only_read(engine: Engine, path: str) -> None:
    store_ended_sweep(engine, sample_dataset())
    reader = _reader(engine)
    assert PageClient(reader).get(path).status_code == 200
    with transaction(reader) as connection:
        assert connection.scalar(text("select current_user")) == PAGE_READER
    reader.dispose()


@pytest.mark.parametrize(
    "statement",
    [
        "delete from trials",
        "set transaction read write; update sweeps set name = 'x'",
        "select user_salt from installation",
        "select * from forgotten_users",
        "create table mine (n integer)",
    ],
)
def test_the_role_can_neither_write_nor_read_what_is_no_result(engine: Engine, statement: str) -> None:
    reader = _reader(engine)
    with pytest.raises(StoreError), transaction(reader) as connection:
        connection.execute(text(statement))
    reader.dispose()


def test_asking_again_gives_the_same_password_and_leaves_the_analyst_alone(engine: Engine) -> None:
    grant_analyst(engine, "secret of the analyst")
    first = ensure_page_reader(engine)
    assert ensure_page_reader(engine) == first
    assert first.password != engine.url.password
    analyst = create_engine(
        engine.url.set(username="recsweep_analyst", password="secret of the analyst").render_as_string(
            hide_password=False
        )
    )
    with transaction(analyst) as connection:
        assert connection.scalar(text("select count(*) from trials")) == 0
    analyst.dispose()
