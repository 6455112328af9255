"""A connection of asyncio: the transport's side of a Link, and the one alarm that finds late replies and idle times."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from time import monotonic
from typing import Callable, Optional, cast

from .. import tls
from ..link import Failure, Link, Lost
from .alarm import Alarm


class Line(asyncio.Protocol):
    """Brings what arrives to the link, and writes what the link has to write.

    Replies are read here, whether a task waits for them or not. So a task that is cancelled changes nothing for others.
    """

    def __init__(self, link: Link, place: int, idle_max: float, when_dead: Callable[[Line], None]) -> None:
        self.link = link
        #: Of its server, in the list.
        self.place = place
        self._idle_max = idle_max
        self._when_dead = when_dead
        self._transport: Optional[asyncio.Transport] = None
        self._alarm: Optional[Alarm] = None
        self._alarm_at = 0.0
        self._has_told = False
        #: Done when the transport is gone.
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def write(self) -> None:
        """Writes what the link has to write, and sees to its alarm and its end."""
        link, transport = self.link, self._transport
        if link.out and transport is not None:
            # One that is closing would only write a line to the log of asyncio. Why it closes is told by connection_lost.
            if not transport.is_closing():
                transport.write(bytes(link.out))
            link.out.clear()
        if link.dead is None:
            self._set_alarm()
        elif not self._has_told:
            self._has_told = True
            self._hang_up()
            self._when_dead(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self.link.received(data, monotonic())
        self.write()

    def eof_received(self) -> None:
        """See asyncio.Protocol."""
        self.link.ended()
        self.write()

    def connection_lost(self, exc: Optional[Exception]) -> None:
        """See asyncio.Protocol."""
        if isinstance(exc, ssl.SSLError):
            self.link.die(tls.failure(exc))
        elif exc is None or isinstance(exc, ConnectionError):
            self.link.ended(reset=exc is not None)
        else:
            self.link.die(Failure(f"the connection failed: {exc}"))
        self.write()
        if not self.gone.done():
            self.gone.set_result(None)

    def _set_alarm(self) -> None:
        deadline = self.link.deadline()
        at = self.link.last_used + self._idle_max if deadline is None else deadline
        # One that comes too early looks again. So a request needs a new alarm only if the old one comes too late.
        if self._alarm is not None and self._alarm_at <= at:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = at
        self._alarm = Alarm(at - monotonic(), self._time_is_over)

    def _time_is_over(self) -> None:
        self._alarm = None
        now = monotonic()
        self.link.check(now)
        if self.link.is_idle() and now - self.link.last_used >= self._idle_max:
            self.link.die(Lost.LOST)
        self.write()

    def _hang_up(self) -> None:
        """Shuts the sending side, after close_notify where there is TLS, and closes without waiting for the other side."""
        if self._alarm is not None:
            self._alarm.cancel()
        transport = self._transport
        if transport is None:
            return
        if transport.can_write_eof():
            with contextlib.suppress(OSError):
                transport.write_eof()
        else:
            # TLS: this sends close_notify.
            transport.close()
        transport.abort()
