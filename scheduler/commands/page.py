"""The command of the page: where it is served, and what serves it."""

import logging
import socket
from urllib.parse import urlsplit

import click

from scheduler.commands.connection import open_store
from scheduler.machine import ensure_services
from scheduler.machine.patience import ask_until
from shared.console import console
from shared.errors import ServiceError, SpecError, StoreError, StoreUnavailable
from shared.settings import Settings, load_settings
from shared.store.access import ensure_page_reader
from shared.store.database import create_engine

# A service that was started a moment ago listens within seconds.
_START_SECONDS = 20.0


@click.command()
@click.option("--serve", is_flag=True, help="Serve it until stopped (a service; `make sweep` starts it).")
@click.option("--address", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", type=click.IntRange(1, 65535), default=5556, show_default=True)
@click.option(
    "--basic-auth", envvar="DASHBOARD_BASIC_AUTH", default=None, help="user:password for everybody."
)
@click.option("--hosts", envvar="DASHBOARD_HOSTS", default="", help="Further names of this machine: a,b.")
def dashboard(serve: bool, address: str, port: int, basic_auth: str | None, hosts: str) -> None:
    """Print the URL of the page, and start the services where they do not run."""
    settings = load_settings()
    if serve:
        _serve(settings, address, port, basic_auth, hosts)
        return
    console.print(_find_page(settings))


def _find_page(settings: Settings) -> str:
    try:
        _, endpoints = open_store(settings)
    except ServiceError:
        endpoints = None
    if endpoints is None or endpoints.dashboard_url is None:
        endpoints = ensure_services(settings)
    if endpoints.dashboard_url is None:
        raise ServiceError("the page does not run on this machine: `make logs` shows why, or where it does")
    ask_until(lambda: _answers(endpoints.dashboard_url), bool, _START_SECONDS)
    return endpoints.dashboard_url


def _answers(url: str | None) -> bool:
    parts = urlsplit(url or "")
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=1):
            return True
    except OSError:
        return False


def _serve(settings: Settings, address: str, port: int, basic_auth: str | None, hosts: str) -> None:
    import uvicorn  # noqa: PLC0415  Slow to load.

    from scheduler.page.application import create_application  # noqa: PLC0415

    if basic_auth is not None and not all(basic_auth.partition(":")):
        raise SpecError("DASHBOARD_BASIC_AUTH must have the form user:password; it does not")
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    names = [name.strip() for name in hosts.split(",") if name.strip()]
    application = create_application(create_engine(_reader_url(settings)), basic_auth, names)
    uvicorn.run(
        application,
        host=address,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=3,
    )


def _reader_url(settings: Settings) -> str:
    """Of a role that may only read: the one that was given, else one that is made; nobody else's."""
    if settings.dashboard_database_url:
        return settings.dashboard_database_url
    engine, _ = open_store(settings)
    try:
        return ensure_page_reader(engine).render_as_string(hide_password=False)
    except StoreUnavailable:
        raise
    except StoreError as error:
        raise StoreError(
            f"the page reads by a role of its own, which DATABASE_URL cannot make: {error}; let it create "
            "roles, or set DASHBOARD_DATABASE_URL to the URL of a role that may only read"
        ) from error
    finally:
        engine.dispose()
