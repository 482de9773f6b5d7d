"""Free ports on this machine."""

from __future__ import annotations

import errno
import socket

_TRIED = 200


def bind_first_free(host: str, port: int) -> socket.socket:
    """A socket bound to ``port``, or to the first free one above it; 0 is any free port.

    Raises:
        OSError: None is free, or the address is not this machine's.
    """
    last = port + _TRIED if port else port
    for candidate in range(port, last + 1):
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((host, candidate))
            bound.listen(128)
        except OSError as error:
            bound.close()
            if error.errno != errno.EADDRINUSE or candidate == last:
                raise
        else:
            return bound
    raise AssertionError("unreachable: the last candidate returns or raises")


def first_free(port: int, host: str = "127.0.0.1") -> int:
    """The number of a port that is free now: ``port``, or the first above it; 0 for any."""
    with bind_first_free(host, port) as bound:
        return int(bound.getsockname()[1])
