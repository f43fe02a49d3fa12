"""Where `python -m scheduler COMMAND` begins; the Makefile calls it."""

from shared.ending import end_at_once_when_interrupted

if __name__ == "__main__":
    with end_at_once_when_interrupted():
        from scheduler.command_line import recsweep
        from shared.command_line import run_command
    run_command(recsweep, "recsweep")
