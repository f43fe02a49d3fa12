"""Where `python -m scheduler COMMAND` begins; the Makefile calls it."""

from shared.interrupts import end_at_once_when_interrupted, raise_when_interrupted

if __name__ == "__main__":
    end_at_once_when_interrupted()
    from scheduler.command_line import recsweep
    from shared.command_line import run_command

    raise_when_interrupted()
    run_command(recsweep, "recsweep")
