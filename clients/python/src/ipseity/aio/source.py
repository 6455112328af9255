"""The source for asyncio."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from time import monotonic
from types import TracebackType
from typing import Optional, Union

from .. import fork
from ..errors import ClosedError, IpseityError, ServerFailure, UnavailableError
from ..identity import STRIDE, Identity
from ..jobs import RefillJob
from ..limits import (
    BLOCK_AGE_MAX_DEFAULT,
    BLOCK_MAX_DEFAULT,
    CALL_TIMEOUT_DEFAULT,
    CONNECT_TIMEOUT_DEFAULT,
    IDLE_MAX_DEFAULT,
    REFILL_GRACE,
    REPLY_TIMEOUT_DEFAULT,
)
from ..options import Options, SourceOptions, parse_servers
from ..stock import Demand, Stock
from ..text import seconds
from ..watching import Counters, Hooks, OnConnect, OnFailover, OnRefill
from .exchange import Exchange

# Identity(number) would check the number again, which takes as long as all the rest.
_new = int.__new__


class _Refill:
    """A refill that is under way: what it brings, and the task that runs it, which ends with its error or None."""

    __slots__ = ("job", "task")

    def __init__(self, job: RefillJob, task: asyncio.Task[Optional[IpseityError]]) -> None:
        self.job = job
        self.task = task


class Source:
    """Keeps a block of identities and takes the next one ahead of need. All tasks of an event loop may share one.

    Most calls take about a microsecond and no network. What it returns increases strictly, over all tasks. There is no
    order between two sources, and what one holds when the program ends is never used.
    A call that is cancelled changes nothing for the others. In a forked child, and in another loop, it begins with a new
    connection and an empty block.
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
        block_max: int = BLOCK_MAX_DEFAULT,
        block_age_max: float = BLOCK_AGE_MAX_DEFAULT,
        tls: Optional[ssl.SSLContext] = None,
        first: Optional[int] = None,
        on_connect: Optional[OnConnect] = None,
        on_failover: Optional[OnFailover] = None,
        on_refill: Optional[OnRefill] = None,
    ) -> None:
        """As `ipseity.Source`, with the same options. No event loop needs to run yet.

        Raises ConfigurationError if one of them is wrong.
        """
        hooks = Hooks(on_connect, on_failover, on_refill)
        self._options = Options(
            parse_servers(servers),
            cluster,
            connect_timeout,
            reply_timeout,
            call_timeout,
            idle_max,
            tls,
            first,
            hooks,
            always_hello=True,
        )
        self._source_options = SourceOptions(block_max, block_age_max)
        self._exchange = Exchange(self._options, self._doubt)
        self._closed = False
        self._refill: Optional[_Refill] = None
        self._stock = Stock()
        self._demand = Demand(block_max)
        self._refills = 0
        self._waits = 0
        fork.register(self)

    def _after_in_child(self) -> None:
        newest = self._stock.newest()
        self._refill = None
        self._stock = Stock()
        self._stock.observe(newest)
        self._refills = 0
        self._waits = 0

    async def next(self) -> Identity:
        """One identity, greater than all that this source has returned and all that it was told of before.

        Only a call that finds nothing waits, for call_timeout at most. Raises UnavailableError, RefusedError,
        WrongClusterError, ProtocolError or ClosedError.
        """
        stock = self._stock
        taken = stock.next
        if taken < stock.mark and monotonic() < stock.fresh_until:
            stock.next = taken + STRIDE
            return _new(Identity, taken)
        return await self._next_slowly()

    def observe(self, identity: int) -> None:
        """Makes an identity known that came another way: what calls that begin from now on return is greater.

        If it is greater than the next one, what the source holds is dropped. Raises ConfigurationError if the number is no
        identity.
        """
        self._exchange.seen.observe(Identity(identity))
        self._stock.observe(identity)

    def newest(self) -> Optional[Identity]:
        """The newest identity that it has returned or was told of; None before the first."""
        newest = self._stock.newest()
        return Identity(newest) if newest else None

    def counters(self) -> Counters:
        """How often things have happened so far."""
        exchange, stock = self._exchange, self._stock
        return Counters(
            exchange.seen.requests,
            stock.given(),
            exchange.events.connects,
            exchange.events.failures,
            self._refills,
            self._waits,
            stock.dropped(),
        )

    async def close(self) -> None:
        """Ends it, at once. Calls that wait, and all later ones, raise ClosedError. What it holds is never used."""
        self._use_running_loop()
        self._closed = True
        self._stock.drop_all()
        await self._exchange.close()
        if self._refill is not None:
            await asyncio.wait({self._refill.task})

    async def __aenter__(self) -> Source:
        return self

    async def __aexit__(
        self,
        exc_type: Optional[type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        await self.close()

    async def _next_slowly(self) -> Identity:
        """The way for the call that finds nothing, or leaves so little that a refill is due."""
        self._use_running_loop()
        deadline: Optional[float] = None
        while True:
            if self._closed:
                raise ClosedError()
            now = monotonic()
            taken = self._stock.take(now)
            if taken is None and deadline is None:
                deadline = now + self._options.call_timeout
                self._waits += 1
            if self._stock.refill_is_due():
                self._begin_refill(now, deadline)
            if taken is not None:
                return _new(Identity, taken)
            assert deadline is not None
            await self._wait(deadline)

    def _use_running_loop(self) -> None:
        if self._exchange.use_running_loop() and self._refill is not None:
            # Its task belongs to a loop that does not run any more.
            self._refill = None
            self._stock.refill_failed()

    async def _wait(self, deadline: float) -> None:
        """Waits for the refill that is under way. Raises its error."""
        refill = self._refill
        assert refill is not None
        # If this call is cancelled, the refill goes on.
        await asyncio.wait({refill.task}, timeout=max(deadline + REFILL_GRACE - monotonic(), 0))
        if self._closed:
            return
        error = refill.task.result() if refill.task.done() and not refill.task.cancelled() else None
        if error is not None:
            raise error.again()
        if not refill.task.done() or (self._stock.left() == 0 and monotonic() >= deadline):
            raise self._late()

    def _late(self) -> UnavailableError:
        cause = f"no identities came within the time of the call, {seconds(self._options.call_timeout)}"
        return UnavailableError(tuple(ServerFailure(str(server), cause) for server in self._options.servers))

    def _begin_refill(self, now: float, deadline: Optional[float]) -> None:
        job = RefillJob(self._demand.next_size(now, self._stock.dropped()))
        until = now + self._options.call_timeout if deadline is None else deadline
        self._stock.refill_begins()
        self._refill = _Refill(job, asyncio.get_running_loop().create_task(self._run_refill(job, until)))

    async def _run_refill(self, job: RefillJob, deadline: float) -> Optional[IpseityError]:
        """Runs a refill. Returns why it has brought nothing."""
        failed: Optional[IpseityError] = None
        added = 0
        try:
            await self._exchange.run(job, deadline)
        except IpseityError as error:
            failed = error
        finally:
            # Whatever happens, those who wait go on.
            self._refill = None
            if job.blocks:
                # Some is better than an error. If there was one, the next refill meets it again.
                failed = None
                self._refills += 1
                self._demand.succeeded()
                added = self._stock.add(job.blocks, monotonic() + self._source_options.block_age_max)
                if self._closed:
                    self._stock.drop_all()
            else:
                self._stock.refill_failed()
        if added:
            self._options.hooks.refill(added)
        return failed

    def _doubt(self, pid: int) -> None:
        """Drops what it has of a pid whose server does not know any more whether its identities are unique."""
        self._stock.drop_pid(pid)
        if self._refill is not None:
            self._stock.note_dropped(self._refill.job.drop(pid))
