"""The command line behind the Makefile: `python -m scheduler COMMAND`."""

import click

from scheduler.commands.queries import analyst, promote, prune, queries, query, rollback
from scheduler.commands.results import leaderboard, recommend
from scheduler.commands.services import clean, down, flower, logs, psql, status, watch
from scheduler.commands.sweeps import cancel, sweep
from scheduler.commands.verify import verify


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Train many recommender architectures in parallel and query their recommendations with SQL."""


for command in (
    *(sweep, status, cancel, leaderboard, recommend),
    *(queries, query, verify, promote, rollback, prune, analyst),
    *(psql, flower, logs, watch, down, clean),
):
    main.add_command(command)

if __name__ == "__main__":
    main(prog_name="recsweep")
