"""The command line behind `make up`, and behind every other target while the stack runs."""

import sys

from shared.ending import end_at_once_when_interrupted

if __name__ == "__main__":
    with end_at_once_when_interrupted():
        from scheduler.stack.command_line import main
    sys.exit(main(sys.argv[1:]))
