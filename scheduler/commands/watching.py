"""The command of the watcher, which looks after the sweeps of a machine or of a stack."""

import logging
import signal
import threading
from functools import partial

import click

from scheduler.commands.connection import open_store
from scheduler.kept_lists import remove_surplus_lists
from scheduler.machine import ensure_services
from scheduler.monitoring import serve_metrics
from scheduler.rounds import Rounds
from scheduler.sweep.growth import Grower
from scheduler.verdicts.writing import judge_ended
from scheduler.watcher import Watcher
from shared.settings import load_settings
from shared.stop_signal import StopSignal
from shared.store.database import create_engine


@click.command()
@click.option("--upgrade-schema", is_flag=True, help="First bring the tables to the version of this code.")
def watch(upgrade_schema: bool) -> None:
    """Bring back lost trials until stopped (a service; `make sweep` starts it)."""
    settings = load_settings()
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    if upgrade_schema:
        ensure_services(settings, n_workers=0)
    engine, endpoints = open_store(settings)
    stopped = StopSignal()
    stopped.listen(signal.SIGTERM, signal.SIGINT)
    if settings.metrics_port is not None:
        serve_metrics(engine, endpoints.broker_url, settings.metrics_address, settings.metrics_port)
    # Beside the watcher and on connections of their own: they may take longer than a look.
    beside = create_engine(endpoints.database_url)
    judging = Rounds("judging", partial(judge_ended, beside, stopped), stopped)
    threading.Thread(target=judging.run, name="judge", daemon=True).start()
    removing = Rounds("removing lists", partial(remove_surplus_lists, beside), stopped)
    threading.Thread(target=removing.run, name="lists", daemon=True).start()
    grower = Grower(create_engine(endpoints.database_url), endpoints.broker_url, stopped)
    threading.Thread(target=grower.run, name="growth", daemon=True).start()
    Watcher(engine, endpoints.broker_url, stopped).run()
