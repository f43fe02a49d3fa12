"""The identity of a database, under which its artifacts lie."""

from sqlalchemy import Engine, text

from shared.store.database import transaction

_DATABASE_ID = text("select database_id from installation")


def artifact_root(engine: Engine, artifacts_url: str) -> str:
    """The folder below ARTIFACT_URL that belongs to this database: two of them may share one ARTIFACT_URL."""
    with transaction(engine) as connection:
        return f"{artifacts_url}/{connection.execute(_DATABASE_ID).scalar_one()}"
