"""The one connection that all threads of a client share: who writes, who reads, who connects, who waits.

Only connecting has a thread of its own, because it may outlive the call that began it. One of the calls that wait reads the
replies of all, and when it has its own, another one takes its place. The socket never blocks, and is touched only by who
holds the lock; without the lock a thread only waits.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import ssl
import threading
from collections import deque
from time import monotonic
from typing import Callable, Optional, Union

from .. import fork, tls
from ..calls import Call, Wait, settle
from ..errors import ClosedError, IpseityError
from ..identity import Identity
from ..jobs import Job
from ..limits import READ_BYTES
from ..link import Ask, Failure, Link, Lost, Outcome, Seen
from ..options import Options
from ..servers import Servers
from ..watching import Events
from .dial import Unreachable, dial
from .wait import come_back, wait_for


class _Line:
    """An open connection: its socket, and what is under way on it."""

    def __init__(self, sock: socket.socket, link: Link, place: int) -> None:
        self.sock = sock
        self.link = link
        #: Of its server, in the list.
        self.place = place
        #: The thread that waits for the socket, if one does. Only that thread may close it then.
        self.watcher: Optional[int] = None
        #: Those that wait for the thread that reads, each on a lock of its own.
        self.followers: deque[threading.Lock] = deque()
        self.is_retired = False
        #: A thread writes or reads here. If a signal handler interrupts that, nobody knows how far it came.
        self.is_in_hand = False

    @property
    def is_watched(self) -> bool:
        """Whether a thread waits for the socket."""
        return self.watcher is not None


class _Dial:
    """An attempt to connect; all calls that need the connection wait for its end. Then it has one of `line` and `failure`,
    or neither if it was given up.
    """

    def __init__(self, place: int) -> None:
        self.place = place
        #: The call that does it, or that has not begun it yet; None if it has a thread of its own.
        self.dialer: Optional[int] = threading.get_ident()
        self.has_ended = False
        self.line: Optional[_Line] = None
        self.failure: Optional[Failure] = None


class Exchange:
    """Runs jobs for any number of threads over one connection at a time."""

    def __init__(self, options: Options, on_doubt: Optional[Callable[[int], None]] = None) -> None:
        """`on_doubt` is told a pid whose identities may not be unique any more."""
        self._options = options
        self._on_doubt = on_doubt
        self.events = Events(options.hooks)
        self._servers = Servers(options.servers, self.events, options.first)
        self.seen = Seen()
        self._closed = False
        self._begin()
        fork.register(self)

    def _begin(self) -> None:
        # Only its owner can release it, whatever a signal handler has interrupted.
        self._lock = threading.RLock()
        # Told when an attempt to connect has ended, and when the client is closed.
        self._changed = threading.Condition(self._lock)
        self._line: Optional[_Line] = None
        self._dial: Optional[_Dial] = None
        self.events.reset()
        self.seen.requests = 0
        #: Identities that were handed out to callers.
        self.identities = 0

    def _after_in_child(self) -> None:
        line = self._line
        self._begin()
        if line is not None:
            # Only the child's copy: the connection is the parent's, so there is no goodbye.
            line.sock.close()

    def run(self, job: Job, deadline: Optional[float] = None, given: int = 0) -> None:
        """Runs a job to its end, or raises its error, before the deadline, which is call_timeout from now unless given.

        `given` is how many identities callers have then been handed out.
        """
        now = monotonic()
        call = Call(self._servers, job, now, now + self._options.call_timeout if deadline is None else deadline)
        try:
            with self._lock:
                try:
                    self._run(call)
                except IpseityError:
                    raise
                except BaseException:
                    come_back(self._lock)
                    self._interrupted()
                    raise
                self.identities += given
        finally:
            self.events.tell()

    def observe(self, identity: int) -> None:
        """Makes an identity known: what comes from now on is greater."""
        with self._lock:
            self.seen.observe(identity)

    def newest(self) -> Optional[Identity]:
        """The newest identity that was seen."""
        newest = self.seen.newest
        return Identity(newest) if newest else None

    def close(self) -> None:
        """Ends all calls with ClosedError, and the connection."""
        with self._lock:
            self._closed = True
            if self._line is not None:
                self._line.link.die(ClosedError())
                self._retire(self._line)
            self._changed.notify_all()

    def close_idle(self) -> None:
        """Closes the connection if it was not used for idle_max."""
        with self._lock:
            if self._line is not None and not self._line.is_watched:
                self._close_if_idle(self._line, monotonic())

    # From here on the lock is held.

    def _run(self, call: Call) -> None:
        goes_on = True
        while goes_on:
            if self._closed:
                raise ClosedError()
            line = self._usable_line()
            step = call.next(monotonic())
            if isinstance(step, Wait):
                self._pause(step.seconds)
                continue
            if line is None:
                line = self._connect(step, call)
            if line is not None:
                goes_on = call.goes_on(line.place, self._ask(line, call), monotonic())

    def _interrupted(self) -> None:
        """An exception that is not of this library came out of a call: that of a signal handler, such as KeyboardInterrupt.
        If nobody knows what was written and read, the others ask again on a new connection.
        """
        me = threading.get_ident()
        if self._dial is not None and self._dial.dialer == me:
            self._dial.has_ended = True
            self._dial = None
        line = self._line
        if line is not None:
            if line.watcher == me:
                line.watcher = None
            if line.is_in_hand:
                line.link.die(Lost.LOST)
                # Perhaps it came in the middle of that.
                line.is_retired = False
                self._retire(line)
                self._line = None
            for waiter in line.followers:
                _release(waiter)
        self._changed.notify_all()

    def _ask(self, line: _Line, call: Call) -> Union[Failure, Lost, IpseityError, None]:
        """Asks for what the job wants until it wants nothing. Returns what has stopped it, if anything has."""
        link = line.link
        while counts := call.job.wants(link.count_max):
            asks = [Ask(count) for count in counts]
            try:
                line.is_in_hand = True
                link.ask(asks, monotonic())
                self._write(line)
                self._look_after(line)
                line.is_in_hand = False
                for ask in asks:
                    settled = settle(call.job, self._wait(line, ask, call), ask.count, link.count_max)
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

    def _wait(self, line: _Line, ask: Ask, call: Call) -> Outcome:
        while ask.outcome is None:
            if line.is_retired:
                # A signal handler has interrupted the thread that should have said it.
                return Lost.LOST
            left = call.deadline - monotonic()
            if left <= 0:
                return call.late("reply")
            if line.is_watched:
                self._follow(line, ask, left)
            else:
                self._lead(line, call.deadline)
        # Others may still wait, and nobody reads for them.
        self._wake_follower(line)
        return ask.outcome

    def _lead(self, line: _Line, deadline: float) -> None:
        """Waits for the socket, and reads for all."""
        late = line.link.deadline()
        until = deadline if late is None else min(deadline, late)
        line.watcher = threading.get_ident()
        try:
            self._lock.release()
            wait_for(line.sock, bool(line.link.out), until - monotonic())
        finally:
            come_back(self._lock)
            line.watcher = None
            if line.is_retired:
                line.sock.close()
            self._wake_follower(line)
        if not line.is_retired:
            self._read(line)

    def _follow(self, line: _Line, ask: Ask, left: float) -> None:
        """Waits until the reply is there, or the place of the thread that reads is free, or the time is over."""
        waiter = threading.Lock()
        waiter.acquire()
        ask.when_done = functools.partial(_release, waiter)
        line.followers.append(waiter)
        try:
            self._lock.release()
            waiter.acquire(timeout=min(left, threading.TIMEOUT_MAX))
        finally:
            come_back(self._lock)
            ask.when_done = None
            with contextlib.suppress(ValueError):
                line.followers.remove(waiter)
            if not line.is_watched:
                self._wake_follower(line)

    def _wake_follower(self, line: _Line) -> None:
        """Lets one of those that follow take the place of the thread that reads."""
        if line.followers and not line.is_watched:
            _release(line.followers[0])

    def _usable_line(self) -> Optional[_Line]:
        """The open connection, if it can be used."""
        line = self._line
        if line is None:
            return None
        # If nobody reads, what has arrived is looked at first: perhaps the other side has closed.
        if not line.is_watched and not self._close_if_idle(line, monotonic()):
            self._read(line)
        if line.link.untold is not None:
            self._line = None
            raise line.link.untold
        return self._line

    def _close_if_idle(self, line: _Line, now: float) -> bool:
        is_over = line.link.is_idle() and now - line.link.last_used >= self._options.idle_max
        if is_over:
            line.link.die(Lost.LOST)
            self._retire(line)
        return is_over

    def _read(self, line: _Line) -> None:
        """Takes all that has arrived, and writes what may be written then."""
        line.is_in_hand = True
        self._pull(line)
        line.link.check(monotonic())
        self._write(line)
        self._look_after(line)
        line.is_in_hand = False

    def _pull(self, line: _Line) -> None:
        link, sock = line.link, line.sock
        is_tls = isinstance(sock, ssl.SSLSocket)
        try:
            while link.dead is None:
                data = sock.recv(READ_BYTES)
                if not data:
                    link.ended()
                    return
                link.received(data, monotonic())
                # TLS may hold more that is decrypted already, of which the socket knows nothing.
                if not is_tls and len(data) < READ_BYTES:
                    return
        except (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except ssl.SSLError as error:
            link.die(tls.failure(error))
        except ConnectionError:
            link.ended(reset=True)
        except OSError as error:
            link.die(Failure(f"the connection failed: {error.strerror or error}"))

    def _write(self, line: _Line) -> None:
        link, sock = line.link, line.sock
        try:
            while link.out:
                del link.out[: sock.send(link.out)]
        except (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError:
            # What the server said before may still be there to read, and is worth more than "broken pipe".
            self._pull(line)
            link.ended(reset=True)

    def _look_after(self, line: _Line) -> None:
        """Puts a connection away that has ended."""
        if line.link.dead is not None:
            self._retire(line)

    def _retire(self, line: _Line) -> None:
        if line.is_retired:
            return
        line.is_retired = True
        if self._line is line and line.link.untold is None:
            self._line = None
        outcome = line.link.dead
        if isinstance(outcome, Failure):
            self._servers.failed(line.place, outcome, monotonic())
        self._tell_doubt(line.link)
        self._hang_up(line)

    def _tell_doubt(self, link: Link) -> None:
        doubted = link.doubted_pid()
        if doubted is not None and self._on_doubt is not None:
            self._on_doubt(doubted)

    def _hang_up(self, line: _Line) -> None:
        """Shuts the sending side, after close_notify where there is TLS, and closes."""
        with contextlib.suppress(OSError, ValueError):
            if isinstance(line.sock, ssl.SSLSocket):
                with contextlib.suppress(OSError, ValueError):
                    line.sock.unwrap()
            # Both sides if a thread waits there: that wakes it, and it closes.
            line.sock.shutdown(socket.SHUT_RDWR if line.is_watched else socket.SHUT_WR)
        if not line.is_watched:
            line.sock.close()

    def _connect(self, place: int, call: Call) -> Optional[_Line]:
        """The connection to this server, or that of the attempt that is under way. None: look again what there is."""
        attempt = self._dial
        if attempt is None:
            attempt = self._dial = _Dial(place)
            self._begin_to_dial(attempt, call)
        while not attempt.has_ended and not self._closed:
            left = call.deadline - monotonic()
            if left <= 0:
                call.failed(attempt.place, call.late("connection"), monotonic())
                return None
            self._changed.wait(min(left, threading.TIMEOUT_MAX))
        if attempt.failure is not None:
            call.failed(attempt.place, attempt.failure, monotonic())
        return attempt.line

    def _begin_to_dial(self, attempt: _Dial, call: Call) -> None:
        timeout = self._options.connect_timeout
        thread = threading.Thread(target=self._dial_out, args=(attempt, timeout), name="ipseity-connect", daemon=True)
        try:
            thread.start()
            attempt.dialer = None
        except RuntimeError:
            # The interpreter ends, or there are too many threads: then the call connects itself, within its own time.
            try:
                self._lock.release()
                self._dial_out(attempt, min(timeout, call.deadline - monotonic()))
            finally:
                come_back(self._lock)

    def _dial_out(self, attempt: _Dial, timeout: float) -> None:
        """Connects, without the lock, and puts the connection in its place."""
        server = self._options.servers[attempt.place]
        sock, failure = None, None
        try:
            sock = dial(server, self._options.tls, timeout, lambda: self._closed or self._dial is not attempt)
        except Unreachable as unreachable:
            failure = unreachable.failure
        except Exception as error:
            failure = Failure(f"cannot connect: {error}")
        finally:
            with self._lock:
                self._dial_has_ended(attempt, sock, failure)

    def _dial_has_ended(self, attempt: _Dial, sock: Optional[socket.socket], failure: Optional[Failure]) -> None:
        # Those who watch are told by the calls that wait, or else by the next one: so a call never returns before its hooks.
        options, place = self._options, attempt.place
        is_wanted = self._dial is attempt and not self._closed
        attempt.has_ended = True
        if self._dial is attempt:
            self._dial = None
        if sock is not None and not is_wanted:
            sock.close()
        elif sock is not None:
            server = str(options.servers[place])
            link = Link(server, self.seen, options.reply_timeout, options.cluster, options.hello)
            link.last_used = monotonic()
            self._line = attempt.line = _Line(sock, link, place)
            self.events.connected(server)
        elif failure is not None and is_wanted:
            attempt.failure = failure
            self._servers.failed(place, failure, monotonic())
        self._changed.notify_all()

    def _pause(self, duration: float) -> None:
        until = monotonic() + duration
        while not self._closed and (left := until - monotonic()) > 0:
            self._changed.wait(left)


def _release(waiter: threading.Lock) -> None:
    # It may have been released by another one already.
    with contextlib.suppress(RuntimeError):
        waiter.release()
