"""Free TCP ports on the loopback interface, and why one cannot be had.

Standard library alone: the commands of the containers use it without a `.venv`.
"""

import errno
import os
import socket
from collections.abc import Collection, Iterable
from pathlib import Path

LOOPBACK = "127.0.0.1"
# Linux lets everybody listen from the port in this file on; elsewhere it is 1024.
_FIRST_FOR_EVERYBODY = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


class PortError(Exception):
    """No port can be had, with the reason."""


def find_free_port(candidates: Iterable[int], taken: Collection[int] = ()) -> int:
    """The first candidate that is not among `taken` and on which a server could listen now.

    Raises PortError with the cause when there is none.
    """
    problem = "none was asked for"
    for port in candidates:
        if port in taken:
            problem = f"port {port}: chosen for another service"
            continue
        found = why_not(port)
        if found is None:
            return port
        problem = f"port {port}: {found}"
    raise PortError(problem)


def why_not(port: int, *, is_ordinary_account: bool = False) -> str | None:
    """Why no server could listen on the loopback port now; None when one could.

    `is_ordinary_account` asks for a server that runs as an ordinary account although the caller is root.
    """
    if is_ordinary_account and port < first_port_for_everybody():
        return _not_permitted(port)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the servers do: connections that are closing do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"another program listens on {LOOPBACK}:{port}"
            if error.errno in (errno.EACCES, errno.EPERM):
                return _not_permitted(port)
            return f"the system refuses {LOOPBACK}:{port}: {error.strerror or os.strerror(error.errno or 0)}"
    return None


def first_port_for_everybody() -> int:
    """The lowest port on which an ordinary account may listen."""
    try:
        return int(_FIRST_FOR_EVERYBODY.read_text())
    except (OSError, ValueError):
        return 1024


def _not_permitted(port: int) -> str:
    first = first_port_for_everybody()
    if port < first:
        return f"an ordinary account may listen on ports from {first} only"
    return f"this account may not listen on {LOOPBACK}:{port}"
