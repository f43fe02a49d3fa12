"""The commands of the scheduler as one: `recsweep COMMAND`."""

from importlib import import_module

import click

# A command imports what it needs when it is asked for: all of them together take a second to load.
_MODULES = {
    "data": "data",
    "sweep": "sweeps",
    "status": "services",
    "cancel": "sweeps",
    "leaderboard": "results",
    "compare": "comparison",
    "recommend": "results",
    "report": "report",
    "queries": "questions",
    "query": "questions",
    "verify": "verification",
    "promote": "promotion",
    "refresh": "refresh",
    "rollback": "serving",
    "forget": "forgetting",
    "prune": "housekeeping",
    "analyst": "access",
    "psql": "access",
    "flower": "services",
    "dashboard": "page",
    "logs": "services",
    "watch": "watching",
    "down": "services",
    "clean": "housekeeping",
}


class _Commands(click.Group):
    """Knows its commands by name, and loads the one that is asked for."""

    def list_commands(self, _context: click.Context) -> list[str]:
        return sorted(_MODULES)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in _MODULES:
            return None
        module = import_module(f"scheduler.commands.{_MODULES[name]}")
        return next(
            one for one in vars(module).values() if isinstance(one, click.Command) and one.name == name
        )


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def recsweep() -> None:
    """Train many recommender architectures in parallel and query their recommendations with SQL."""
