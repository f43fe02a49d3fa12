"""Where commands find what is stored, and the option that names a stored sweep."""

import click
from sqlalchemy import Engine

from scheduler.machine import Endpoints, find_endpoints
from shared.errors import SpecError
from shared.settings import Settings, load_settings
from shared.store import Sweep, latest_sweep
from shared.store.database import create_engine

SWEEP_OPTION = click.option(
    "--sweep", "sweep_name", envvar="SWEEP", default=None, help="Name of a stored sweep."
)


def open_store(settings: Settings | None = None) -> tuple[Engine, Endpoints]:
    """Connect to what runs; raises ServiceError with the remedy when nothing does."""
    endpoints = find_endpoints(settings or load_settings())
    return create_engine(endpoints.database_url), endpoints


def require_sweep(engine: Engine, name: str | None) -> Sweep:
    """The latest sweep, of this name if one is given; raises SpecError when there is none."""
    sweep = latest_sweep(engine, name)
    if sweep is None:
        which = f"no sweep named {name!r}" if name else "no sweep"
        raise SpecError(f"there is {which} in the database yet: run `make sweep`")
    return sweep
