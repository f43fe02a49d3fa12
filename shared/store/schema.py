"""Brings the schema to the version of this code: tables by migrations, views from their files."""

import hashlib

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import InternalError

from shared.errors import StoreError
from shared.store.database import SQL_FOLDER, transaction
from shared.store.grants import held_grants, renew_reading

# What a person reads. The other tables, installed_views and alembic_version, are for upgrades alone.
RESULT_TABLES = (
    *("datasets", "items", "sweeps", "trials", "attempts", "epochs"),
    *("metrics", "recommendations", "rating_predictions", "promotions", "user_results", "verdicts"),
    "proposals",
    "blend_parts",
)
# In the order in which they build on each other.
VIEWS = (
    "ranked_trials",
    "leaderboard",
    "sweep_progress",
    "recommendations_titled",
    "serving_trials",
    "best_recommendations",
    "trial_verdicts",
    "forgotten_counts",
)

# Two commands that upgrade at once take turns. The number is our own choice, nothing else uses it.
_UPGRADE_LOCK = 7_032_020


def upgrade_schema(engine: Engine) -> None:
    """Bring tables and views to the version of this code; does nothing when they are.

    An analyst who could read the results can read those of the new version too.
    Raises StoreError when the database is of a newer version than this code.
    """
    import alembic.command  # noqa: PLC0415  Slow to load, and few commands need it.
    import alembic.util  # noqa: PLC0415  Slow to load, and few commands need it.
    from alembic.config import Config  # noqa: PLC0415  Slow to load, and few commands need it.

    with transaction(engine) as connection:
        connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _UPGRADE_LOCK})
        config = Config()
        config.set_main_option("script_location", str(SQL_FOLDER / "migrations").replace("%", "%%"))
        config.attributes["connection"] = connection
        held = held_grants(connection, (*RESULT_TABLES, *VIEWS))
        try:
            alembic.command.upgrade(config, "head")
        except alembic.util.CommandError as error:
            raise StoreError(
                f"the schema of database {engine.url.database} is not known to this code: {error};"
                " use the newest code, or another database"
            ) from error
        _install_views(connection)
        renew_reading(connection, held, (*RESULT_TABLES, *VIEWS))


def _install_views(connection: Connection) -> None:
    """Make the views anew when a file of sql/views has changed.

    A view whose columns changed cannot be replaced, so all are dropped and made; while nothing has
    changed they are left alone, because dropping waits for every query that reads them. Raises StoreError
    when a view of somebody else depends on one. A view that is no longer in VIEWS is dropped by a migration.
    """
    sources = [(SQL_FOLDER / "views" / f"{name}.sql").read_text("utf-8") for name in VIEWS]
    fingerprint = hashlib.sha256("\0".join(sources).encode()).hexdigest()[:32]
    if connection.scalar(text("select fingerprint from installed_views")) == fingerprint:
        return
    # Only our own: a shared database holds views of others, and an analyst may have built on ours.
    try:
        for name in reversed(VIEWS):
            connection.exec_driver_sql(f"drop view if exists {name}")
    except InternalError as error:
        reason = str(error.orig).partition("\n")[0]
        raise StoreError(f"{reason} (a view that is not ours): drop it, run again, make it anew") from error
    for source in sources:
        # Without parameters, so that a percent sign in a view means itself.
        connection.exec_driver_sql(source, execution_options={"no_parameters": True})
    connection.execute(text("delete from installed_views"))
    connection.execute(
        text("insert into installed_views (fingerprint) values (:fingerprint)"), {"fingerprint": fingerprint}
    )
