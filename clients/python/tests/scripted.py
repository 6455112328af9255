"""A scripted server: each connection that it accepts gets the next script, a function that is given the connection."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from typing import Callable, NamedTuple, Optional

from ipseity import frames


class Request(NamedTuple):
    """An identityRequest."""

    size: int
    after: int


class Hello(NamedTuple):
    """A helloRequest."""

    cluster: str


class Connection:
    """The server's side of a connection."""

    def __init__(self, sock: socket.socket, server: Scripted) -> None:
        self.sock = sock
        self.server = server
        self.sequence = 0

    def read(self) -> Request | Hello | None:
        """The next frame, or None at the end."""
        header = self._exactly(3)
        if header is None:
            return None
        length, kind = struct.unpack(">HB", header)
        body = self._exactly(length - 1)
        if body is None:
            return None
        if kind == frames.HELLO_REQUEST:
            return Hello(body[8:].decode())
        assert kind == frames.IDENTITY_REQUEST, kind
        return Request(*struct.unpack(">IQ", body)) if body else Request(1, 0)

    def request(self) -> Request:
        """The next identityRequest. A helloRequest before it is answered."""
        while True:
            frame = self.read()
            if isinstance(frame, Hello):
                self.send(
                    hello_reply(pid=self.server.pid, cluster=self.server.cluster, count_max=self.server.count_max)
                )
            elif frame is None:
                raise Gone
            else:
                self.server.note(frame)
                return frame

    def answer(self, request: Request) -> None:
        """Answers as a server does."""
        self.sequence = max(self.server.sequence, request.after >> 10) + 1
        self.server.sequence = self.sequence + request.size - 1
        self.send(identity_reply((self.sequence << 10) + self.server.pid, request.size))

    def serve(self, replies: int = 1_000_000) -> None:
        """Answers so many requests."""
        for _ in range(replies):
            self.answer(self.request())

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def freeze(self) -> None:
        """Says nothing more until the client has gone."""
        while self.sock.recv(65536):
            pass

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def _exactly(self, count: int) -> Optional[bytes]:
        data = b""
        while len(data) < count:
            piece = self.sock.recv(count - len(data))
            if not piece:
                return None
            data += piece
        return data


class Gone(Exception):
    """The client has closed."""


Script = Callable[[Connection], None]


class Scripted:
    """Listens on a free port. After the last script, `again` is used, or connections are closed at once."""

    def __init__(
        self,
        *scripts: Script,
        again: Optional[Script] = None,
        pid: int = 1,
        cluster: str = "ipseity",
        count_max: int = 1000,
        first: int = 0,
        context: Optional[ssl.SSLContext] = None,
        shakes_hands: Optional[threading.Event] = None,
    ) -> None:
        """By TLS it answers no handshake before `shakes_hands` is set, if there is one."""
        self.pid, self.cluster, self.count_max = pid, cluster, count_max
        self.sequence = first
        self.connections = 0
        self.requests: list[Request] = []
        self._scripts = list(scripts)
        self._again = again
        self._context = context
        self._shakes_hands = shakes_hands
        self._socks: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        self.port: int = self._listener.getsockname()[1]
        self.address = f"{'tls://' if context else ''}127.0.0.1:{self.port}"

    def note(self, request: Request) -> None:
        self.requests.append(request)

    def close(self) -> None:
        # A thread that accepts is not woken by close.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._socks:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for sock in self._socks:
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._socks.append(sock)
            script = self._scripts.pop(0) if self._scripts else self._again
            self.connections += 1
            thread = threading.Thread(target=self._run, args=(sock, script), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, sock: socket.socket, script: Optional[Script]) -> None:
        with contextlib.suppress(Gone, OSError), contextlib.ExitStack() as stack:
            if self._shakes_hands is not None:
                self._shakes_hands.wait()
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True)
            stack.enter_context(sock)
            if script is not None:
                connection = Connection(sock, self)
                script(connection)
                with contextlib.suppress(OSError):
                    connection.freeze()


def serving(connection: Connection) -> None:
    """The script that serves."""
    connection.serve()


def hello_reply(pid: int = 1, cluster: str = "ipseity", count_max: int = 1000, standing: int = 0) -> bytes:
    name, version = cluster.encode(), b"0.2.0"
    body = struct.pack(">Q", len(name)) + name + struct.pack(">Q", len(version)) + version
    body += struct.pack(">HIHB", 2, count_max, pid, standing)
    return struct.pack(">HB", 1 + len(body), frames.HELLO_REPLY) + body


def identity_reply(first: int, count: int) -> bytes:
    return struct.pack(">HBQI", 13, frames.IDENTITY_REPLY, first, count)


def error_reply(code: int, text: str = "no") -> bytes:
    message = text.encode()
    return struct.pack(">HBHQ", 11 + len(message), frames.ERROR_REPLY, code, len(message)) + message


@contextlib.contextmanager
def full_listener() -> Iterator[str]:
    """The address of a listener whose line is full, so that nobody who connects gets an answer."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"127.0.0.1:{listener.getsockname()[1]}"
