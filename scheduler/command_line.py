"""The commands of the scheduler as one: `recsweep COMMAND`."""

import click

from scheduler.commands.access import analyst, psql
from scheduler.commands.comparison import compare_trials
from scheduler.commands.data import data
from scheduler.commands.forgetting import forget
from scheduler.commands.housekeeping import clean, prune
from scheduler.commands.page import dashboard, report
from scheduler.commands.promotion import promote
from scheduler.commands.questions import queries, query
from scheduler.commands.refresh import refresh
from scheduler.commands.results import leaderboard, recommend
from scheduler.commands.services import down, flower, logs, status, watch
from scheduler.commands.serving import rollback
from scheduler.commands.sweeps import cancel, sweep
from scheduler.commands.verification import verify


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def recsweep() -> None:
    """Train many recommender architectures in parallel and query their recommendations with SQL."""


for command in (
    *(data, sweep, status, cancel, leaderboard, compare_trials, recommend, report),
    *(queries, query, verify, promote, refresh, rollback, forget, prune, analyst),
    *(psql, flower, dashboard, logs, watch, down, clean),
):
    recsweep.add_command(command)
