"""What a program can see of a client: hooks, which are called when something happens, and counters."""

from __future__ import annotations

import contextlib
import functools
from collections import deque
from dataclasses import dataclass
from typing import Callable, NamedTuple, Optional

#: Called with the server when a connection is there.
OnConnect = Callable[[str], None]
#: Called with the server and the reason when a server has failed.
OnFailover = Callable[[str, str], None]
#: Called with the number of identities when a source has taken a block.
OnRefill = Callable[[int], None]


class Counters(NamedTuple):
    """How often things have happened since the client or source was made. In a forked child they begin at 0."""

    #: identityRequests that were written.
    requests: int = 0
    #: Identities that were handed out to callers.
    identities: int = 0
    #: Connections that were made.
    connects: int = 0
    #: Servers that have failed, each time.
    failures: int = 0
    #: Blocks that a source has taken.
    refills: int = 0
    #: Calls of a source that had to wait for a refill.
    waits: int = 0
    #: Identities that a source has dropped.
    dropped: int = 0


@dataclass
class Hooks:
    """The functions to call. They are called by whoever does the work, and what they raise is ignored."""

    on_connect: Optional[OnConnect] = None
    on_failover: Optional[OnFailover] = None
    on_refill: Optional[OnRefill] = None

    def connect(self, server: str) -> None:
        """A connection is there."""
        if self.on_connect is not None:
            with contextlib.suppress(Exception):
                self.on_connect(server)

    def failover(self, server: str, reason: str) -> None:
        """A server has failed."""
        if self.on_failover is not None:
            with contextlib.suppress(Exception):
                self.on_failover(server, reason)

    def refill(self, identities: int) -> None:
        """A source has taken a block."""
        if self.on_refill is not None:
            with contextlib.suppress(Exception):
                self.on_refill(identities)


class Events:
    """What has happened: counted, and kept until there is a good moment to call the hooks. A hook may call the client, so
    whoever holds its lock must not call a hook.
    """

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks
        self.reset()

    def reset(self) -> None:
        """Begins anew, in a forked child."""
        self.connects = 0
        self.failures = 0
        self._calls: deque[Callable[[], None]] = deque()

    def connected(self, server: str) -> None:
        """A connection is there."""
        self.connects += 1
        self._calls.append(functools.partial(self._hooks.connect, server))

    def failed(self, server: str, reason: str) -> None:
        """A server has failed."""
        self.failures += 1
        self._calls.append(functools.partial(self._hooks.failover, server, reason))

    def tell(self) -> None:
        """Calls the hooks for what has happened since. Many threads may do that at once: each call is made by one."""
        while self._calls:
            try:
                call = self._calls.popleft()
            except IndexError:
                return
            call()
