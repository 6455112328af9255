"""Looking up names within a time. The system's resolver cannot be cancelled, so it has threads of its own."""

from __future__ import annotations

import socket
import threading
from time import monotonic
from typing import Callable, Optional

from .. import fork
from ..address import is_ip
from ..limits import CLOSE_NOTICED, LOOKUPS_MAX
from ..race import Address


class LookupLate(Exception):
    """The resolver has not answered in time."""


def resolve(host: str, port: int) -> list[Address]:
    """The addresses of a host, as the system says, each once. Raises OSError."""
    flags = socket.AI_NUMERICHOST if is_ip(host) else 0
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except UnicodeError as error:
        # A name that has no form in DNS.
        raise OSError(f"it is no name: {error}") from None
    return list(dict.fromkeys((info[0], info[4]) for info in infos))


class _Lookup:
    """One lookup that is under way."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.addresses: list[Address] = []
        self.error: Optional[OSError] = None


class _Lookups:
    """All lookups of this process that are under way. Calls for the same name share one."""

    def __init__(self) -> None:
        self._after_in_child()
        fork.register(self)

    def _after_in_child(self) -> None:
        # The threads were those of the parent.
        self._lock = threading.Lock()
        self._places = threading.Semaphore(LOOKUPS_MAX)
        self._running: dict[tuple[str, int], _Lookup] = {}

    def look_up(self, host: str, port: int, deadline: float, given_up: Callable[[], bool]) -> list[Address]:
        key = (host, port)
        with self._lock:
            lookup = self._running.get(key)
        if lookup is None:
            if not self._places.acquire(timeout=max(deadline - monotonic(), 0)):
                raise LookupLate
            with self._lock:
                lookup = self._running.setdefault(key, _Lookup())
            # A thread that loses the race for the same name asks again, which does no harm.
            try:
                threading.Thread(target=self._ask, args=(key, lookup), name="ipseity-lookup", daemon=True).start()
            except RuntimeError as error:
                # The interpreter ends, or there are too many threads. Others who ask for this name must not wait for it.
                lookup.error = OSError(str(error))
                self._end(key, lookup)
        while not lookup.ended.wait(min(CLOSE_NOTICED, max(deadline - monotonic(), 0))):
            if monotonic() >= deadline or given_up():
                raise LookupLate
        if lookup.error is not None:
            raise lookup.error
        return lookup.addresses

    def _ask(self, key: tuple[str, int], lookup: _Lookup) -> None:
        try:
            lookup.addresses = resolve(*key)
        except OSError as error:
            lookup.error = error
        finally:
            self._end(key, lookup)

    def _end(self, key: tuple[str, int], lookup: _Lookup) -> None:
        with self._lock:
            self._running.pop(key, None)
        lookup.ended.set()
        self._places.release()


_lookups = _Lookups()


def look_up(host: str, port: int, deadline: float, given_up: Callable[[], bool]) -> list[Address]:
    """The addresses of a host before the deadline. Raises LookupLate, or the OSError of the resolver."""
    if is_ip(host):
        return resolve(host, port)
    return _lookups.look_up(host, port, deadline, given_up)
