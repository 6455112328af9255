"""In which order the addresses of a name are tried, and how far apart (RFC 8305, "Happy Eyeballs"). No I/O."""

from __future__ import annotations

import socket
from typing import Sequence

from .limits import ATTEMPT_DELAY, ATTEMPT_DELAY_MIN

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


def shown(address: Address) -> str:
    """An address for people."""
    host, port = address[1][:2]
    return f"[{host}]:{port}" if address[0] == socket.AF_INET6 else f"{host}:{port}"
