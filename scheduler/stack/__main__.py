"""Where `make up` begins, and every other target while the stack runs."""

from shared.interrupts import end_at_once_when_interrupted, raise_when_interrupted

if __name__ == "__main__":
    end_at_once_when_interrupted()
    import sys

    from scheduler.stack.command_line import main

    raise_when_interrupted()
    sys.exit(main(sys.argv[1:]))
