"""Whether anything has changed that the page shows: one cheap question for all its views."""

from sqlalchemy import Engine

from shared.store.page.statements import reading


def database_state(engine: Engine) -> tuple[str, bool]:
    """A text that differs whenever a view may differ, and whether trials are open, whose times run on."""
    with reading(engine) as database:
        (row,) = database.rows("state", "state")
    return repr(tuple(row)), bool(row.n_queued or row.n_running)
