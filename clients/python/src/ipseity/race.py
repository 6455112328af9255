"""In which order the addresses of a name are tried, and how far apart (RFC 8305, "Happy Eyeballs").

It connects nothing and waits for nothing.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Mapping, Sequence

from .limits import ATTEMPT_DELAY, ATTEMPT_DELAY_MIN
from .link import Failure

#: The family of an address, and the address as the socket module has it.
Address = tuple[socket.AddressFamily, tuple[object, ...]]


def interleaved(addresses: Sequence[Address]) -> list[Address]:
    """The two families in turn. That of the first address begins."""
    first = [address for address in addresses if address[0] == addresses[0][0]]
    other = [address for address in addresses if address[0] != addresses[0][0]]
    order = []
    for turn in range(max(len(first), len(other))):
        order += first[turn : turn + 1] + other[turn : turn + 1]
    return order


def delay(left: float, others: int) -> float:
    """How long to wait for an attempt while so many have not begun. They share what is left, so that all begin in time."""
    if others == 0:
        return left
    return min(max(left / (others + 1), ATTEMPT_DELAY_MIN), ATTEMPT_DELAY)


def fault_of(attempt: socket.socket) -> str:
    """Why there is no connection, on a socket whose attempt is over; empty if there is one."""
    code = attempt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        return os.strerror(code)
    try:
        # If nobody listens there, the kernel may choose the dialed port for our own end. Then it leads to ourselves.
        is_oneself = attempt.getsockname() == attempt.getpeername()
    except OSError as error:
        return error.strerror or str(error)
    return os.strerror(errno.ECONNREFUSED) if is_oneself else ""


def lost(failures: Mapping[Address, str]) -> Failure:
    """What has failed if there is a connection to none of the addresses, each with its reason."""
    if len(failures) == 1:
        return Failure(f"cannot connect: {next(iter(failures.values()))}")
    listed = ", or to ".join(f"{shown(address)}: {fault}" for address, fault in failures.items())
    return Failure(f"cannot connect to {listed}" if listed else "the name has no address")


def shown(address: Address) -> str:
    """An address for people."""
    host, port = address[1][:2]
    return f"[{host}]:{port}" if address[0] == socket.AF_INET6 else f"{host}:{port}"
