"""Free ports on this machine."""

from __future__ import annotations

import errno
import random
import socket

_TRIED = 200
#: Ports that systems give to no outgoing connection by themselves: Linux begins at 32768, others above.
#: https://docs.kernel.org/networking/ip-sysctl.html, ip_local_port_range
_QUIET = range(15_000, 30_000)


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
    """The number of a port that is free now: ``port``, or the first above it.

    With 0 any one that no outgoing connection will take before it is bound, which may be seconds later.
    """
    with bind_first_free(host, port or random.choice(_QUIET)) as bound:
        return int(bound.getsockname()[1])
