"""The source for threads."""

from __future__ import annotations

import ssl
import threading
from time import monotonic
from types import TracebackType
from typing import Iterable, Optional, Union

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
    """A refill that is under way, or has ended."""

    __slots__ = ("deadline", "error", "has_ended", "job")

    def __init__(self, wanted: int, deadline: float) -> None:
        self.job = RefillJob(wanted)
        self.deadline = deadline
        self.has_ended = False
        self.error: Optional[IpseityError] = None


class Source:
    """Keeps a block of identities and takes the next one ahead of need. All threads of a process may share one.

    Most calls take a fraction of a microsecond and no network. What it returns increases strictly, over all threads. There
    is no order between two sources, and what one holds when the program ends is never used.
    In a forked child it begins with a new connection and an empty block.

    >>> with Source(["127.0.0.1:3264"]) as source:  # doctest: +SKIP
    ...     identity = source.next()
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
        """As `Client`, and:

        block_max: the most identities that one refill brings, 1 to 2^20. A refill is as large as the demand.
        block_age_max: what it still holds of a block so many seconds after it came is dropped.
        on_refill: called with the number of identities when it has taken a block.
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
        self._begin(0)
        fork.register(self)

    def _begin(self, newest: int) -> None:
        # A condition gets this kind back even if a signal handler raises meanwhile.
        self._lock = threading.RLock()
        # Told when a refill has ended, and when the source is closed.
        self._refilled = threading.Condition(self._lock)
        # Told when a refill is wanted, and when the source is closed.
        self._wanted = threading.Condition(self._lock)
        self._thread: Optional[threading.Thread] = None
        self._refill: Optional[_Refill] = None
        self._stock = Stock()
        self._stock.observe(newest)
        self._demand = Demand(self._source_options.block_max)
        self._refills = 0
        self._waits = 0

    def _after_in_child(self) -> None:
        self._begin(self._stock.newest())

    def next(self) -> Identity:
        """One identity, greater than all that this source has returned and all that it was told of before.

        Only a call that finds nothing waits, for call_timeout at most. Raises UnavailableError, RefusedError,
        WrongClusterError, ProtocolError or ClosedError.
        """
        stock = self._stock
        with self._lock:
            taken = stock.next
            if taken < stock.mark and monotonic() < stock.fresh_until:
                stock.next = taken + STRIDE
                return _new(Identity, taken)
        return self._next_slowly()

    def observe(self, identity: int) -> None:
        """Makes an identity known that came another way: what calls that begin from now on return is greater.

        If it is greater than the next one, what the source holds is dropped. Raises ConfigurationError if the number is no
        identity.
        """
        self._exchange.observe(Identity(identity))
        with self._lock:
            self._stock.observe(identity)

    def newest(self) -> Optional[Identity]:
        """The newest identity that it has returned or was told of; None before the first."""
        with self._lock:
            newest = self._stock.newest()
        return Identity(newest) if newest else None

    def counters(self) -> Counters:
        """How often things have happened so far."""
        exchange = self._exchange
        with self._lock:
            given, dropped = self._stock.given(), self._stock.dropped()
            refills, waits = self._refills, self._waits
        return Counters(
            exchange.seen.requests, given, exchange.events.connects, exchange.events.failures, refills, waits, dropped
        )

    def close(self) -> None:
        """Ends it, at once. Calls that wait, and all later ones, raise ClosedError. What it holds is never used."""
        with self._lock:
            self._closed = True
            self._stock.drop_all()
            self._refilled.notify_all()
            self._wanted.notify_all()
        self._exchange.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self,
        exc_type: Optional[type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def _next_slowly(self) -> Identity:
        """The way for the call that finds nothing, or leaves so little that a refill is due."""
        deadline: Optional[float] = None
        inline: Optional[_Refill] = None
        while True:
            if inline is not None:
                self._run_refill(inline)
                inline = None
            with self._lock:
                if self._closed:
                    raise ClosedError()
                now = monotonic()
                taken = self._stock.take(now)
                if taken is None and deadline is None:
                    deadline = now + self._options.call_timeout
                    self._waits += 1
                if self._stock.refill_is_due():
                    inline = self._begin_refill(now, deadline)
                if taken is not None and inline is None:
                    return _new(Identity, taken)
                if taken is None and inline is None:
                    assert deadline is not None
                    self._wait(deadline)
            if taken is not None and inline is not None:
                self._run_refill(inline)
                return _new(Identity, taken)

    def _wait(self, deadline: float) -> None:
        """Waits for the refill that is under way, with the lock. Raises its error."""
        refill = self._refill
        assert refill is not None
        while not refill.has_ended and not self._closed:
            left = deadline - monotonic()
            if left + REFILL_GRACE <= 0:
                break
            self._refilled.wait(left + REFILL_GRACE)
        if refill.error is not None:
            raise refill.error.again()
        is_late = not refill.has_ended or (self._stock.left() == 0 and monotonic() >= deadline)
        if is_late and not self._closed:
            raise self._late()

    def _late(self) -> UnavailableError:
        cause = f"no identities came within the time of the call, {seconds(self._options.call_timeout)}"
        return UnavailableError(tuple(ServerFailure(str(server), cause) for server in self._options.servers))

    def _begin_refill(self, now: float, deadline: Optional[float]) -> Optional[_Refill]:
        """Begins a refill, with the lock: another thread runs it. If there can be none, the caller has to."""
        until = now + self._options.call_timeout if deadline is None else deadline
        refill = self._refill = _Refill(self._demand.next_size(now, self._stock.dropped()), until)
        try:
            self._stock.refill_begins()
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._refill_when_wanted, name="ipseity-refill", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    # The interpreter ends, or there are too many threads.
                    return refill
                self._thread = thread
            self._wanted.notify()
        except BaseException:
            # A signal handler has raised. If the thread was told already, it finds nothing to do. The next call begins
            # another one.
            self._refill = None
            self._stock.refill_failed()
            raise
        return None

    def _refill_when_wanted(self) -> None:
        """What the thread does that refills. It ends when it was not needed for idle_max; the next refill begins another."""
        try:
            while True:
                with self._lock:
                    if self._refill is None and not self._closed:
                        self._wanted.wait(self._options.idle_max)
                    refill = self._refill
                    if refill is None:
                        self._thread = None
                        break
                self._run_refill(refill)
        except BaseException:
            with self._lock:
                self._thread = None
            raise
        self._exchange.close_idle()

    def _run_refill(self, refill: _Refill) -> None:
        added = 0
        try:
            self._exchange.run(refill.job, refill.deadline)
        except IpseityError as error:
            refill.error = error
        finally:
            # Whatever happens, those who wait go on.
            with self._lock:
                if refill.job.blocks:
                    # Some is better than an error. If there was one, the next refill meets it again.
                    refill.error = None
                    self._refills += 1
                    self._demand.succeeded()
                    added = self._stock.add(refill.job.blocks, monotonic() + self._source_options.block_age_max)
                    if self._closed:
                        self._stock.drop_all()
                else:
                    self._stock.refill_failed()
                refill.has_ended = True
                self._refill = None
                self._refilled.notify_all()
        if added:
            self._options.hooks.refill(added)

    def _doubt(self, pid: int) -> None:
        """Drops what it has of a pid whose server does not know any more whether its identities are unique."""
        with self._lock:
            self._stock.drop_pid(pid)
            if self._refill is not None:
                self._stock.note_dropped(self._refill.job.drop(pid))
