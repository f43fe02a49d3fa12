"""The command line behind the Makefile: `python -m scheduler COMMAND`."""

import click

from scheduler.query_commands import analyst, promote, prune, queries, query, rollback
from scheduler.result_commands import leaderboard, recommend
from scheduler.service_commands import clean, down, flower, logs, psql, status, watch
from scheduler.sweep_commands import cancel, sweep


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Train many recommender architectures in parallel and query their recommendations with SQL."""


for command in (
    *(sweep, status, cancel, leaderboard, recommend),
    *(queries, query, promote, rollback, prune, analyst),
    *(psql, flower, logs, watch, down, clean),
):
    main.add_command(command)

if __name__ == "__main__":
    main(prog_name="recsweep")
