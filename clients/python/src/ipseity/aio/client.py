"""The client for asyncio."""

from __future__ import annotations

import operator
import ssl
from collections.abc import Iterable
from types import TracebackType
from typing import Optional, Union

from ..errors import ConfigurationError
from ..identity import Block, Identity
from ..jobs import BlockJob
from ..limits import (
    CALL_TIMEOUT_DEFAULT,
    CONNECT_TIMEOUT_DEFAULT,
    COUNT_MAX,
    IDLE_MAX_DEFAULT,
    REPLY_TIMEOUT_DEFAULT,
)
from ..options import Options, parse_servers
from ..watching import Counters, Hooks, OnConnect, OnFailover
from .exchange import Exchange


class Client:
    """Asks a server for each call. All tasks of an event loop may share one.

    What it returns is greater than all that this client had seen when the call began, whichever server answers.
    A call that is cancelled changes nothing for the others. In a forked child, and in another loop, it begins with a new
    connection.
    """

    def __init__(
        self,
        servers: Union[str, Iterable[str]],
        *,
        cluster: Optional[str] = None,
        connect_timeout: float = CONNECT_TIMEOUT_DEFAULT,
        reply_timeout: float = REPLY_TIMEOUT_DEFAULT,
        call_timeout: float = CALL_TIMEOUT_DEFAULT,
        idle_max: float = IDLE_MAX_DEFAULT,
        tls: Optional[ssl.SSLContext] = None,
        first: Optional[int] = None,
        on_connect: Optional[OnConnect] = None,
        on_failover: Optional[OnFailover] = None,
    ) -> None:
        """As `ipseity.Client`, with the same options. No event loop needs to run yet.

        Raises ConfigurationError if one of them is wrong.
        """
        hooks = Hooks(on_connect, on_failover)
        options = Options(
            parse_servers(servers), cluster, connect_timeout, reply_timeout, call_timeout, idle_max, tls, first, hooks
        )
        self._exchange = Exchange(options)

    async def next(self) -> Identity:
        """One identity.

        Raises UnavailableError, RefusedError, WrongClusterError, ProtocolError or ClosedError.
        """
        return Identity((await self._take(1))[0])

    async def block(self, count: int) -> Block:
        """`count` identities with one request, all of one server, in a row. See `ipseity.Client.block`."""
        count = operator.index(count)
        if not 0 <= count <= COUNT_MAX:
            raise ConfigurationError(f"count={count!r}: a request is for 0 to {COUNT_MAX} identities")
        first, count = await self._take(count)
        return Block(Identity(first), count)

    def observe(self, identity: int) -> None:
        """Makes an identity known that came another way: what calls that begin from now on return is greater.

        Raises ConfigurationError if the number is no identity.
        """
        self._exchange.seen.observe(Identity(identity))

    def newest(self) -> Optional[Identity]:
        """The newest identity that it has seen, received or observed; None before the first."""
        return self._exchange.newest()

    def counters(self) -> Counters:
        """How often things have happened so far."""
        exchange = self._exchange
        return Counters(exchange.seen.requests, exchange.identities, exchange.events.connects, exchange.events.failures)

    async def close(self) -> None:
        """Ends it, at once. Calls that are under way, and all later ones, raise ClosedError."""
        await self._exchange.close()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self,
        exc_type: Optional[type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        await self.close()

    async def _take(self, count: int) -> tuple[int, int]:
        job = BlockJob(count)
        await self._exchange.run(job, given=count)
        assert job.taken is not None
        return job.taken
