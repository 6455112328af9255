"""Connecting to a server: to the first of all its addresses that accepts, and the TLS handshake, before a deadline."""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
import ssl
from time import monotonic
from typing import Callable, Optional

from .. import tls
from ..address import ServerAddress
from ..limits import CLOSE_NOTICED
from ..link import Failure
from ..race import Address, delay, fault_of, interleaved, lost
from ..text import seconds
from .lookup import LookupLate, look_up
from .wait import wait_for

_UNDER_WAY = frozenset({0, errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY})


class Unreachable(Exception):
    """There is no connection to the server. `failure` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.cause)
        self.failure = failure


def dial(
    server: ServerAddress, context: Optional[ssl.SSLContext], timeout: float, given_up: Callable[[], bool]
) -> socket.socket:
    """A connected socket that does not block, by TLS where the server is spoken to by TLS. Raises Unreachable.

    `given_up` is asked now and then whether nobody wants the connection any more.
    """
    deadline = monotonic() + timeout
    try:
        addresses = look_up(server.host, server.port, deadline, given_up)
    except LookupLate:
        raise Unreachable(Failure(f"the name could not be looked up within {seconds(timeout)}")) from None
    except OSError as error:
        raise Unreachable(Failure(f"cannot look up the name: {error.strerror or error}")) from error
    sock = _race(interleaved(addresses), deadline, given_up)
    try:
        # A request that waits for the acknowledgment of the one before would wait up to 40 ms.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not server.tls:
            return sock
        assert context is not None
        return _shake_hands(sock, context, server, deadline, timeout, given_up)
    except BaseException:
        sock.close()
        raise


def _race(addresses: list[Address], deadline: float, given_up: Callable[[], bool]) -> socket.socket:
    """Connects to the first that accepts. The next attempt begins when the last one has failed or has taken its time, and
    the earlier ones go on meanwhile.
    """
    failures: dict[Address, str] = {}
    attempts: dict[socket.socket, Address] = {}
    waiting = list(addresses)
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as losers:
        while waiting or attempts:
            if waiting:
                address = waiting.pop(0)
                attempt, fault = _begin(address)
                if attempt is None:
                    failures[address] = fault
                    continue
                losers.callback(attempt.close)
                attempts[attempt] = address
                selector.register(attempt, selectors.EVENT_WRITE)
            turn_ends = monotonic() + delay(max(deadline - monotonic(), 0), len(waiting))
            while True:
                ready = selector.select(min(max(turn_ends - monotonic(), 0), CLOSE_NOTICED))
                if ready or given_up() or monotonic() >= turn_ends:
                    break
            for key, _ in ready:
                tried = key.fileobj
                assert isinstance(tried, socket.socket)
                fault = fault_of(tried)
                if not fault:
                    return _kept(tried)
                selector.unregister(tried)
                tried.close()
                failures[attempts.pop(tried)] = fault
            if given_up() or monotonic() >= deadline:
                break
        for late in attempts.values():
            failures[late] = "no answer in time"
    raise Unreachable(lost(failures))


def _kept(attempt: socket.socket) -> socket.socket:
    """The same connection in a socket of its own, since that of the attempt is closed with the losers."""
    kept = socket.socket(attempt.family, attempt.type, attempt.proto, attempt.detach())
    kept.setblocking(False)
    return kept


def _begin(address: Address) -> tuple[Optional[socket.socket], str]:
    """Begins an attempt. Without a socket, it has failed already, and the text says why."""
    family, place = address
    try:
        attempt = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        return None, error.strerror or str(error)
    attempt.setblocking(False)
    code = attempt.connect_ex(place)
    if code in _UNDER_WAY:
        return attempt, ""
    attempt.close()
    return None, os.strerror(code)


def _shake_hands(
    sock: socket.socket,
    context: ssl.SSLContext,
    server: ServerAddress,
    deadline: float,
    timeout: float,
    given_up: Callable[[], bool],
) -> ssl.SSLSocket:
    try:
        secure = context.wrap_socket(sock, server_hostname=tls.server_name(server.host), do_handshake_on_connect=False)
    except ValueError as error:
        raise Unreachable(Failure(f"no certificate can be for this name: {error}", lasting=True)) from error
    try:
        while True:
            to_write = False
            try:
                secure.do_handshake()
                return secure
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLWantWriteError:
                to_write = True
            left = deadline - monotonic()
            if left <= 0 or given_up():
                raise Unreachable(Failure(f"the TLS handshake was not complete within {seconds(timeout)}"))
            wait_for(secure, to_write, min(left, CLOSE_NOTICED))
    except BaseException as error:
        secure.close()
        if isinstance(error, OSError):
            raise Unreachable(tls.handshake_failure(error)) from error
        raise
