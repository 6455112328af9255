"""Connecting to the first of all addresses of a name that accepts.

asyncio has this too, but its attempts are always as far apart: where a name has many addresses and the time is short, those
behind would never be tried.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from time import monotonic
from typing import Optional

from ..link import Failure
from ..race import Address, delay, fault_of, interleaved, lost


class Unreachable(Exception):
    """There is no connection to any of the addresses. `failure` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.cause)
        self.failure = failure


async def connect(host: str, port: int, deadline: float) -> socket.socket:
    """A connected socket that does not block. Raises Unreachable, or socket.gaierror if the lookup fails."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return await _race(interleaved([(family, place) for family, _, _, _, place in found]), deadline)


async def _race(addresses: list[Address], deadline: float) -> socket.socket:
    """The next attempt begins when the last one has failed or has taken its time, and the earlier ones go on meanwhile."""
    loop = asyncio.get_running_loop()
    waiting = list(addresses)
    failures: dict[Address, str] = {}
    attempts: dict[asyncio.Task[Optional[socket.socket]], Address] = {}
    try:
        while waiting or attempts:
            if waiting:
                address = waiting.pop(0)
                attempts[loop.create_task(_attempt(address, failures))] = address
            patience = delay(max(deadline - monotonic(), 0), len(waiting))
            done, _ = await asyncio.wait(attempts, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                del attempts[task]
                if (kept := task.result()) is not None:
                    return kept
            if monotonic() >= deadline:
                break
    finally:
        for loser in attempts:
            loser.cancel()
            loser.add_done_callback(_close)
    for late in attempts.values():
        failures[late] = "no answer in time"
    raise Unreachable(lost(failures))


async def _attempt(address: Address, failures: dict[Address, str]) -> Optional[socket.socket]:
    """A connection to this address. Without one, the reason is among the failures."""
    family, place = address
    sock = None
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, place)
        fault = fault_of(sock)
    except OSError as error:
        # asyncio puts a text of its own into strerror.
        fault = os.strerror(error.errno) if error.errno else str(error)
    except BaseException:
        if sock is not None:
            sock.close()
        raise
    if not fault:
        return sock
    failures[address] = fault
    if sock is not None:
        sock.close()
    return None


def _close(loser: asyncio.Task[Optional[socket.socket]]) -> None:
    """An attempt was too late. It may have ended well all the same."""
    with contextlib.suppress(asyncio.CancelledError):
        late = loser.result()
        if late is not None:
            late.close()
