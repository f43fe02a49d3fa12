"""Where `python -m worker.verify SWEEP_ID` begins; `make verify` calls it."""

from shared.interrupts import end_at_once_when_interrupted, raise_when_interrupted

if __name__ == "__main__":
    end_at_once_when_interrupted()
    from shared.command_line import run_command
    from worker.verify.command import main

    raise_when_interrupted()
    run_command(main, "verify")
