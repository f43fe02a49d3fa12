"""How a command ends before its time: Ctrl-C, or a reader that has gone; standard library only."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

INTERRUPTED = 130


@contextmanager
def end_at_once_when_interrupted() -> Iterator[None]:
    """For the imports of a command: Ctrl-C ends it without a word, which the shell sees as code 130.

    Nothing has begun yet. A process that ignores Ctrl-C, as one started in the background does, goes on
    ignoring it.
    """
    handler = signal.getsignal(signal.SIGINT)
    if handler is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def discard_output() -> bool:
    """Let what waits for a reader that has gone go nowhere; returns whether one has gone.

    Otherwise the interpreter would try again at its end, and complain.
    """
    has_gone = False
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            has_gone = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return has_gone


def run_in_foreground(
    command: Sequence[str], environment: Mapping[str, str], folder: Path | None = None
) -> int:
    """Give the screen and the keys to a program; returns its exit code, 0 where its reader has gone."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # Ctrl-C reaches the program too, and means what the program says; it would inherit "ignore".
    signal.signal(signal.SIGINT, lambda *_: None)
    try:
        process = subprocess.Popen(command, env=environment, cwd=folder)
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        code = process.wait()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if code == -signal.SIGPIPE:
        return 0
    return 128 - code if code < 0 else code
