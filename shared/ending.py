"""How a command ends before its time: Ctrl-C, or a reader that has gone; standard library only."""

import io
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

INTERRUPTED = 130


def discard_output() -> bool:
    """Let what is written to a reader that has gone go nowhere; returns whether one has gone.

    Otherwise the interpreter would write the rest at its end, and complain.
    """
    gone = [stream for stream in (sys.stdout, sys.stderr) if _has_no_reader(stream)]
    for stream in gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return bool(gone)


def _has_no_reader(stream: TextIO) -> bool:
    try:
        descriptor = stream.fileno()
    except io.UnsupportedOperation:
        return False
    poll = select.poll()
    poll.register(descriptor, 0)
    # Linux reports an error, macOS a hang-up.
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def run_in_foreground(
    command: Sequence[str], environment: Mapping[str, str], folder: Path | None = None
) -> int:
    """Give the screen and the keys to a program; returns its exit code, 0 where its reader has gone."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # Ctrl-C reaches the program too, and means what the program says; it would inherit "ignore".
    signal.signal(signal.SIGINT, lambda *_: None)
    is_told = False
    process: subprocess.Popen[bytes] | None = None

    def pass_on(*_: object) -> None:
        nonlocal is_told
        is_told = True
        if process is not None:
            process.terminate()

    signal.signal(signal.SIGTERM, pass_on)
    try:
        process = subprocess.Popen(command, env=environment, cwd=folder)
        if is_told:
            # It came while the program started.
            process.terminate()
        code = process.wait()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if code == -signal.SIGPIPE:
        return 0
    return 128 - code if code < 0 else code
