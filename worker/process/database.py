"""The database of this process, a task process or the parent of some."""

from functools import cache

from sqlalchemy import Engine

from shared.errors import StoreError
from shared.settings import load_settings
from shared.store.database import create_engine


@cache
def database_engine() -> Engine:
    """One for each process; raises StoreError where DATABASE_URL is missing."""
    url = load_settings().database_url
    if url is None:
        raise StoreError("a worker needs DATABASE_URL in its environment")
    return create_engine(url)
