"""Where `python -m worker.recommend TRIAL_ID HISTORY` begins; `make recommend HISTORY=…` calls it."""

from shared.interrupts import end_at_once_when_interrupted, raise_when_interrupted

if __name__ == "__main__":
    end_at_once_when_interrupted()
    from shared.command_line import run_command
    from worker.recommend.command import main

    raise_when_interrupted()
    run_command(main, "recommend")
