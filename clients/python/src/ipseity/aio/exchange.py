"""The one connection that all tasks of a client share. It belongs to one event loop at a time."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from time import monotonic
from typing import Callable, Optional, Union

from .. import fork, tls
from ..address import is_ip
from ..calls import Call, Wait, settle
from ..errors import ClosedError, IpseityError
from ..identity import Identity
from ..jobs import Job
from ..link import Ask, Failure, Link, Lost, Outcome, Seen
from ..options import Options
from ..servers import Servers
from ..text import seconds
from ..watching import Events
from .alarm import Alarm
from .dial import Unreachable, connect
from .line import Line


class Exchange:
    """Runs jobs for any number of tasks over one connection at a time."""

    def __init__(self, options: Options, on_doubt: Optional[Callable[[int], None]] = None) -> None:
        """`on_doubt` is told a pid whose identities may not be unique any more."""
        self._options = options
        self._on_doubt = on_doubt
        self.events = Events(options.hooks)
        self._servers = Servers(options.servers, self.events, options.first)
        self.seen = Seen()
        self._closed: Optional[asyncio.Event] = None
        self._is_closed = False
        #: Identities that were handed out to callers.
        self.identities = 0
        self._begin()
        fork.register(self)

    def _begin(self) -> None:
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._line: Optional[Line] = None
        # An attempt to connect that is under way: its server, and its task.
        self._dial: Optional[tuple[int, asyncio.Task[Optional[Failure]]]] = None

    def _after_in_child(self) -> None:
        # The connection is the parent's, and so is the loop: nothing of it is touched, not even to close it.
        self._begin()
        self.events.reset()
        self.seen.requests = 0
        self.identities = 0

    def use_running_loop(self) -> bool:
        """Goes over to the loop that runs. Whether another one had been used before."""
        loop = asyncio.get_running_loop()
        if loop is self._loop:
            return False
        had_one = self._loop is not None
        # What belongs to another loop cannot be used in this one.
        self._begin()
        self._loop = loop
        self._closed = asyncio.Event()
        return had_one

    async def run(self, job: Job, deadline: Optional[float] = None, given: int = 0) -> None:
        """Runs a job to its end, or raises its error, before the deadline, which is call_timeout from now unless given.

        `given` is how many identities callers have then been handed out.
        """
        self.use_running_loop()
        now = monotonic()
        call = Call(self._servers, job, now, now + self._options.call_timeout if deadline is None else deadline)
        try:
            await self._run(call)
            self.identities += given
        finally:
            self.events.tell()

    def newest(self) -> Optional[Identity]:
        """The newest identity that was seen."""
        newest = self.seen.newest
        return Identity(newest) if newest else None

    async def close(self) -> None:
        """Ends all calls with ClosedError, and the connection."""
        self._is_closed = True
        self.use_running_loop()
        assert self._closed is not None
        self._closed.set()
        if self._dial is not None:
            self._dial[1].cancel()
        if self._line is not None:
            line = self._line
            line.link.die(ClosedError())
            line.write()
            await line.gone

    async def _run(self, call: Call) -> None:
        goes_on = True
        while goes_on:
            if self._is_closed:
                raise ClosedError()
            line = self._usable_line()
            step = call.next(monotonic())
            if isinstance(step, Wait):
                await self._pause(step.seconds)
                continue
            if line is None:
                line = await self._connect(step, call)
            if line is not None:
                goes_on = call.goes_on(line.place, await self._ask(line, call), monotonic())

    async def _ask(self, line: Line, call: Call) -> Union[Failure, Lost, IpseityError, None]:
        """Asks for what the job wants until it wants nothing. Returns what has stopped it, if anything has."""
        link = line.link
        while counts := call.job.wants(link.count_max):
            asks = [Ask(count) for count in counts]
            link.ask(asks, monotonic())
            try:
                line.write()
                for ask in asks:
                    settled = settle(call.job, await self._wait(ask, call), ask.count, link.count_max)
                    if settled is False:
                        break
                    if settled is not True:
                        # What came together with a doubt is in the job only now.
                        self._tell_doubt(link)
                        return settled
            finally:
                # Whatever ends this call, the replies of others stay where they are.
                for ask in asks:
                    ask.forgotten = True
        return None

    async def _wait(self, ask: Ask, call: Call) -> Outcome:
        if ask.outcome is not None:
            return ask.outcome
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def finish() -> None:
            if not done.done():
                done.set_result(None)

        ask.when_done = finish
        alarm = Alarm(call.deadline - monotonic(), finish)
        try:
            await done
        finally:
            alarm.cancel()
            ask.when_done = None
        # mypy thinks that it is still None.
        outcome: Optional[Outcome] = ask.outcome
        return call.late("reply") if outcome is None else outcome

    def _usable_line(self) -> Optional[Line]:
        """The open connection, if it can be used."""
        line = self._line
        if line is not None and line.link.dead is not None:
            self._line = None
            if line.link.untold is not None:
                raise line.link.untold
        return self._line

    def _line_is_dead(self, line: Line) -> None:
        if self._line is line and line.link.untold is None:
            self._line = None
        outcome = line.link.dead
        if isinstance(outcome, Failure):
            self._servers.failed(line.place, outcome, monotonic())
        self._tell_doubt(line.link)
        # If no call waits, nobody else tells it.
        asyncio.get_running_loop().call_soon(self.events.tell)

    def _tell_doubt(self, link: Link) -> None:
        doubted = link.doubted_pid()
        if doubted is not None and self._on_doubt is not None:
            self._on_doubt(doubted)

    async def _connect(self, place: int, call: Call) -> Optional[Line]:
        """Connects to this server, or waits for the attempt that is under way. None: look again what there is."""
        if self._dial is None:
            # It has its own time, because others wait for it too, and this call may end before.
            task = asyncio.get_running_loop().create_task(self._dial_out(place, self._options.connect_timeout))
            self._dial = (place, task)
        place, task = self._dial
        # If this call ends or is cancelled, the attempt goes on for the others.
        await asyncio.wait({task}, timeout=max(call.deadline - monotonic(), 0))
        if not task.done():
            call.failed(place, call.late("connection"), monotonic())
        elif not task.cancelled() and (failure := task.result()) is not None:
            call.failed(place, failure, monotonic())
        return self._line

    async def _dial_out(self, place: int, timeout: float) -> Optional[Failure]:
        """Connects, and puts the connection in its place. Returns why there is none."""
        task = asyncio.current_task()
        try:
            line = await asyncio.wait_for(self._open(place, monotonic() + timeout), timeout)
        except asyncio.TimeoutError:
            failure = Failure(f"cannot connect: no answer within {seconds(timeout)}")
        except Unreachable as error:
            failure = error.failure
        except ssl.SSLError as error:
            failure = tls.handshake_failure(error)
        except socket.gaierror as error:
            failure = Failure(f"cannot look up the name: {error.strerror}")
        except ConnectionAbortedError:
            # What asyncio says when the handshake has taken too long, or was given up.
            failure = Failure(f"the TLS handshake was not complete within {seconds(timeout)}")
        except ConnectionResetError as error:
            failure = tls.handshake_failure(error) if self._options.servers[place].tls else _cannot(error)
        except OSError as error:
            failure = _cannot(error)
        except ValueError as error:
            failure = Failure(f"there can be no connection to this name: {error}", lasting=True)
        else:
            self._line = line
            self.events.connected(str(self._options.servers[place]))
            if self._is_closed:
                line.link.die(ClosedError())
                line.write()
            return None
        finally:
            if self._dial is not None and self._dial[1] is task:
                self._dial = None
            # If no call waits, nobody else tells it.
            asyncio.get_running_loop().call_soon(self.events.tell)
        self._servers.failed(place, failure, monotonic())
        return failure

    async def _open(self, place: int, deadline: float) -> Line:
        options, server = self._options, self._options.servers[place]
        loop = asyncio.get_running_loop()
        link = Link(str(server), self.seen, options.reply_timeout, options.cluster, options.hello)
        context = options.tls if server.tls else None
        name = tls.server_name(server.host) if server.tls else None

        def begin() -> Line:
            return Line(link, place, options.idle_max, self._line_is_dead)

        if is_ip(server.host):
            # It needs no lookup, and so no thread.
            transport, line = await loop.create_connection(
                begin, server.host, server.port, ssl=context, server_hostname=name
            )
        else:
            sock = await connect(server.host, server.port, deadline)
            transport, line = await loop.create_connection(begin, sock=sock, ssl=context, server_hostname=name)
        # If nobody listens there, the kernel may choose the dialed port for our own end. Then it leads to ourselves.
        if transport.get_extra_info("sockname") == transport.get_extra_info("peername"):
            transport.abort()
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        return line

    async def _pause(self, duration: float) -> None:
        """Waits so long, or until it is closed."""
        assert self._closed is not None
        closed = asyncio.ensure_future(self._closed.wait())
        try:
            await asyncio.wait({closed}, timeout=duration)
        finally:
            closed.cancel()


def _cannot(error: OSError) -> Failure:
    # asyncio puts the errors of several addresses into one text.
    return Failure(f"cannot connect: {os.strerror(error.errno) if error.errno else error}")
