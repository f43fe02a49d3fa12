"""Ctrl-C while a command still imports. It is imported first and imports next to nothing itself."""

import signal


def end_at_once_when_interrupted() -> None:
    """From now on Ctrl-C ends the process without a word, which the shell sees as code 130.

    For the imports of a command, when nothing has begun. A process that ignores Ctrl-C, as one that was
    started in the background does, goes on ignoring it.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def raise_when_interrupted() -> None:
    """From now on Ctrl-C is a KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
