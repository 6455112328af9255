"""Waiting for a socket, and for a lock."""

from __future__ import annotations

import math
import select
import socket
import threading

if hasattr(select, "poll"):

    def wait_for(sock: socket.socket, to_write: bool, seconds: float) -> None:
        """Waits until the socket has something to read, or has room to write if that is wanted too, or the time is over."""
        poller = select.poll()
        poller.register(sock, select.POLLIN | (select.POLLOUT if to_write else 0))
        # Rounded up: a wait that ends a little early would be made again and again.
        poller.poll(math.ceil(max(seconds, 0) * 1000))

else:  # Windows, where select takes sockets of any number.

    def wait_for(sock: socket.socket, to_write: bool, seconds: float) -> None:
        """Waits until the socket has something to read, or has room to write if that is wanted too, or the time is over."""
        select.select([sock], [sock] if to_write else [], [sock], max(seconds, 0))


def come_back(lock: threading.RLock) -> None:
    """Takes a lock that was left for a while, unless this thread has it. A signal handler that raises cannot prevent
    that: its exception comes afterwards.
    """
    interrupted = None
    while not lock._is_owned():  # type: ignore[attr-defined]
        try:
            lock.acquire()
        except BaseException as error:
            interrupted = error
    if interrupted is not None:
        raise interrupted
