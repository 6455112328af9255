"""One connection, without its socket: which requests are under way on it, and what each reply means for them.

Replies carry no number, so they are told apart by their order only. That is why every ask stays in its place until its
reply has come, even if nobody waits for it any more. It reads no clock: those who call say what time it is.
"""

from __future__ import annotations

import enum
from collections import deque
from typing import Callable, Iterable, NamedTuple, Optional, Union

from . import codes
from .codes import Action
from .errors import IpseityError, ProtocolError, RefusedError, WrongClusterError
from .frames import (
    ErrorReply,
    FrameReader,
    HelloReply,
    IdentityReply,
    Malformed,
    Message,
    hello_request,
    identity_request,
)
from .identity import IDENTITY_MAX, PID_MAX, STRIDE
from .limits import IN_FLIGHT_MAX
from .text import plain, quoted, seconds


class Taken(NamedTuple):
    """Identities that have come, and were checked."""

    first: int
    size: int


class Failure(NamedTuple):
    """A server that has failed. The next one is tried."""

    #: What happened, in words.
    cause: str
    #: The code of its errorReply, if it sent one.
    code: Optional[int] = None
    #: Whether the same would come of it a moment later.
    lasting: bool = False


class Lost(enum.Enum):
    """The connection has ended, and its server has not failed. The request is sent again."""

    LOST = 0


#: What came of an ask. An error ends the call.
Outcome = Union[Taken, Failure, Lost, IpseityError]


class Seen:
    """What a client has seen and written, over all its connections."""

    __slots__ = ("newest", "requests")

    def __init__(self) -> None:
        #: The newest identity; 0 for none.
        self.newest = 0
        #: How many identityRequests were written.
        self.requests = 0

    def observe(self, identity: int) -> None:
        """Makes one known."""
        if identity > self.newest:
            self.newest = identity


class Ask:
    """A request for identities, and in the end its outcome."""

    __slots__ = ("after", "count", "forgotten", "outcome", "when_done", "written_at")

    def __init__(self, count: int) -> None:
        self.count = count
        self.outcome: Optional[Outcome] = None
        #: Called once, when there is an outcome.
        self.when_done: Optional[Callable[[], None]] = None
        #: Nobody waits for it any more. If it was not written yet, it never is.
        self.forgotten = False
        self.after = 0
        self.written_at = 0.0

    def end(self, outcome: Outcome) -> None:
        """Gives it its outcome."""
        self.outcome = outcome
        if self.when_done is not None:
            self.when_done()


class Link:
    """The requests and replies of one connection.

    Bytes to write are in `out`. Whoever owns the socket takes them from there, and brings what it reads to `received`.
    """

    def __init__(self, server: str, seen: Seen, reply_timeout: float, cluster: Optional[str], hello: bool) -> None:
        #: The server, as errors name it.
        self.server = server
        self.out = bytearray()
        #: Why it can be used no more; None while it can.
        self.dead: Optional[Outcome] = None
        #: An error that it died of while nobody waited, and that the next call should be told.
        self.untold: Optional[IpseityError] = None
        #: Of the helloReply, or of the first identities.
        self.pid: Optional[int] = None
        #: The most identities that one request may ask for, once the helloReply has told it.
        self.count_max: Optional[int] = None
        self.last_used = 0.0
        self._seen = seen
        self._reply_timeout = reply_timeout
        self._cluster = cluster
        self._hello_due = hello
        self._hello_awaited = False
        self._reader = FrameReader()
        #: Written, and without a reply. The oldest is first.
        self._awaited: deque[Ask] = deque()
        #: Not written yet, because as many as may be are under way.
        self._backlog: deque[Ask] = deque()
        #: Whether a reply has come to anything but the helloRequest.
        self._has_answered = False
        self._last_reply_at = 0.0
        self._last = 0
        #: Whether the frame that is arriving had begun before anything was asked.
        self._is_stray = False

    def ask(self, asks: Iterable[Ask], now: float) -> None:
        """Takes requests. As many as may be under way are put into `out`, behind a helloRequest if one is due."""
        self.last_used = now
        if self.dead is not None:
            self._end_all(asks)
            return
        if self.is_idle() and self._reader.pending():
            self._is_stray = True
        self._backlog.extend(asks)
        self._write(now)

    def received(self, data: bytes, now: float) -> None:
        """Takes bytes that have arrived."""
        if self.dead is not None:
            return
        self._reader.feed(data)
        try:
            while self.dead is None:
                message = self._reader.next()
                if message is None:
                    break
                self._take(message, now)
        except Malformed as error:
            self._malformed(str(error))

    def ended(self, reset: bool = False) -> None:
        """The other side has closed, or reset, the connection."""
        bytes_come = self._reader.pending()
        if bytes_come == 0 and self._has_answered:
            # It was closed while it was idle, or a moment after.
            self.die(Lost.LOST)
        elif bytes_come == 0:
            self.die(Failure(f"the server {'reset' if reset else 'closed'} the connection without a reply"))
        else:
            self.die(Failure(f"the server closed the connection {bytes_come} bytes into a reply"))

    def check(self, now: float) -> None:
        """Ends it if a reply is late. Call it after everything that has arrived was taken."""
        deadline = self.deadline()
        if self.dead is None and deadline is not None and now >= deadline:
            self.die(Failure(f"no reply within {seconds(self._reply_timeout)}"))

    def deadline(self) -> Optional[float]:
        """When the next reply is late; None if none is awaited."""
        if not self._awaited:
            return None
        return max(self._awaited[0].written_at, self._last_reply_at) + self._reply_timeout

    def is_idle(self) -> bool:
        """Whether no reply is awaited."""
        return not self._awaited

    def die(self, outcome: Outcome) -> None:
        """Ends it with this outcome for all that wait. What had an end already keeps it."""
        if self.dead is not None:
            return
        self.dead = outcome
        self.out.clear()
        waiting = [*self._awaited, *self._backlog]
        self._awaited.clear()
        self._backlog.clear()
        if isinstance(outcome, IpseityError) and not waiting:
            self.untold = outcome
        self._end_all(waiting)

    def doubted_pid(self) -> Optional[int]:
        """The pid whose identities may not be unique any more, if the server has said so."""
        return self.pid if isinstance(self.dead, Failure) and self.dead.code in codes.DOUBTFUL else None

    def _end_all(self, asks: Iterable[Ask]) -> None:
        assert self.dead is not None
        for ask in asks:
            ask.end(self.dead)

    def _write(self, now: float) -> None:
        while self._backlog and len(self._awaited) < IN_FLIGHT_MAX:
            ask = self._backlog.popleft()
            if ask.forgotten:
                continue
            if self._hello_due:
                self._hello_due, self._hello_awaited = False, True
                self.out += hello_request(self._cluster or "")
            ask.after, ask.written_at = self._seen.newest, now
            self._awaited.append(ask)
            self._seen.requests += 1
            self.out += identity_request(ask.count, ask.after)

    def _take(self, message: Message, now: float) -> None:
        self._last_reply_at = self.last_used = now
        if self._hello_awaited:
            self._hello_awaited = False
            self._take_hello(message)
        elif self._is_stray or not self._awaited:
            self._take_stray(message)
        else:
            self._take_reply(message)
            if self.dead is None:
                self._write(now)

    def _take_hello(self, message: Message) -> None:
        if isinstance(message, ErrorReply):
            # It says the same to everything that was asked behind it.
            self.die(self._meaning(message))
        elif not isinstance(message, HelloReply):
            self._violated("another reply came in place of the helloReply")
        elif self._cluster is not None and message.cluster != self._cluster:
            own, expected = quoted(message.cluster), quoted(self._cluster)
            text = f"this server is of cluster {own}, and the client expects {expected}"
            self.die(WrongClusterError(self.server, text))
        else:
            self.pid, self.count_max = message.pid, message.count_max

    def _take_stray(self, message: Message) -> None:
        if isinstance(message, ErrorReply) and codes.closes(message.code):
            # The server says why it closes an idle connection.
            self.die(Lost.LOST if self._has_answered else self._meaning(message))
        else:
            self._violated("a reply came that nothing had asked for")

    def _take_reply(self, message: Message) -> None:
        if isinstance(message, ErrorReply):
            self._take_error(message)
            return
        ask = self._awaited[0]
        fault = self._fault(message, ask)
        if fault:
            self._violated(fault)
            return
        assert isinstance(message, IdentityReply)
        self._awaited.popleft()
        self._has_answered = True
        self._last = message.first + (message.size - 1) * STRIDE
        self.pid = message.first & PID_MAX
        self._seen.observe(self._last)
        ask.end(Taken(message.first, message.size))

    def _take_error(self, message: ErrorReply) -> None:
        outcome = self._meaning(message)
        if not isinstance(outcome, RefusedError):
            self.die(outcome)
            return
        self._has_answered = True
        self._awaited.popleft().end(outcome)
        if codes.closes(message.code):
            # What was asked behind it is not served.
            self.die(Lost.LOST)

    def _meaning(self, message: ErrorReply) -> Union[Failure, RefusedError, WrongClusterError]:
        code, text = message
        act = codes.action(code)
        if act is Action.ELSEWHERE:
            return Failure(f"refused with {codes.name(code)}: {plain(text)}", code, code in codes.LASTING)
        if act is Action.WRONG_CLUSTER:
            return WrongClusterError(self.server, text)
        return RefusedError(self.server, code, text)

    def _fault(self, message: Message, ask: Ask) -> str:
        """What is wrong with a reply; empty if it keeps what the protocol promises."""
        if not isinstance(message, IdentityReply):
            return "a helloReply came in place of an identityReply"
        first, count = message
        if count != ask.count:
            return f"asked for {ask.count} identities, {count} came"
        if first < STRIDE or first + (count - 1) * STRIDE > IDENTITY_MAX:
            return f"{count} identities from {first} on do not exist"
        if first <= ask.after:
            return f"identity {first} is not greater than {ask.after}, which is known already"
        if first <= self._last:
            return f"identity {first} is not greater than {self._last}, which came before on this connection"
        if self.pid is not None and first & PID_MAX != self.pid:
            return f"identities of pid {first & PID_MAX} came from the server with pid {self.pid}"
        return ""

    def _malformed(self, text: str) -> None:
        start = self._reader.start()
        if start[:1] in (b"\x15", b"\x16") and start[1:2] == b"\x03":
            # A record of TLS: an alert, or a handshake.
            self.die(Failure("it speaks TLS there: write tls:// before its address", lasting=True))
        elif start.startswith(b"HTT"):
            self._violated("it speaks HTTP there: if it is an Ipseity server, ask the address of its --listen")
        else:
            self._violated(text)

    def _violated(self, text: str) -> None:
        """Ends the connection. The call whose reply it was gets the error; the others ask again."""
        error = ProtocolError(self.server, text)
        if self._awaited:
            self._awaited.popleft().end(error)
            self.die(Lost.LOST)
        else:
            self.die(error)
