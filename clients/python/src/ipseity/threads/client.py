"""The client for threads."""

from __future__ import annotations

import operator
import ssl
from types import TracebackType
from typing import Iterable, Optional, Union

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
    """Asks a server for each call. All threads of a process may share one.

    What it returns is greater than all that this client had seen when the call began, whichever server answers.
    In a forked child it begins with a new connection.

    >>> with Client(["127.0.0.1:3264"]) as client:  # doctest: +SKIP
    ...     identity = client.next()
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
        """Nothing is looked up or connected before the first call. All times are seconds, and more than 0.

        servers: `HOST`, `HOST:PORT` or `[IPV6]:PORT`, each perhaps with `tls://` before it; or one of them alone.
        cluster: the name of the cluster. Each new connection checks it, in the same round trip as its first request.
        connect_timeout: for one server: looking up its name, connecting over all its addresses, and the TLS handshake.
        reply_timeout: for one reply.
        call_timeout: for a whole call, over all servers and all tries.
        idle_max: a connection that was not used for so long is not used again.
        tls: which CAs are believed and which certificate is shown, see `tls_context`. Without it, the CAs of the system.
        first: the place in the list of the server to try first, from 0. It is for tests: without it, it is a random one.
        on_connect: called with the server when a connection is there.
        on_failover: called with the server and the reason when a server has failed.

        Raises ConfigurationError if one of these is wrong.
        """
        hooks = Hooks(on_connect, on_failover)
        options = Options(
            parse_servers(servers), cluster, connect_timeout, reply_timeout, call_timeout, idle_max, tls, first, hooks
        )
        self._exchange = Exchange(options)

    def next(self) -> Identity:
        """One identity.

        Raises UnavailableError, RefusedError, WrongClusterError, ProtocolError or ClosedError.
        """
        return Identity(self._take(1)[0])

    def block(self, count: int) -> Block:
        """`count` identities with one request, all of one server, in a row.

        A server gives 1 to its --max-count, which is 1000 by default; it refuses more than that, and 0. Raises what `next`
        raises, and ConfigurationError if the count is below 0 or above 2^32 - 1.
        """
        count = operator.index(count)
        if not 0 <= count <= COUNT_MAX:
            raise ConfigurationError(f"count={count!r}: a request is for 0 to {COUNT_MAX} identities")
        first, count = self._take(count)
        return Block(Identity(first), count)

    def observe(self, identity: int) -> None:
        """Makes an identity known that came another way: what calls that begin from now on return is greater.

        Raises ConfigurationError if the number is no identity.
        """
        self._exchange.observe(Identity(identity))

    def newest(self) -> Optional[Identity]:
        """The newest identity that it has seen, received or observed; None before the first."""
        return self._exchange.newest()

    def counters(self) -> Counters:
        """How often things have happened so far."""
        exchange = self._exchange
        return Counters(exchange.seen.requests, exchange.identities, exchange.events.connects, exchange.events.failures)

    def close(self) -> None:
        """Ends it, at once. Calls that are under way, and all later ones, raise ClosedError."""
        self._exchange.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        exc_type: Optional[type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def _take(self, count: int) -> tuple[int, int]:
        job = BlockJob(count)
        self._exchange.run(job, given=count)
        assert job.taken is not None
        return job.taken
