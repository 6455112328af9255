"""Bytes of the wire to messages and back (docs/protocol.md, Frames). It knows nothing of sockets."""

from __future__ import annotations

import struct
from typing import NamedTuple, Optional, Union

from .identity import PID_MAX
from .limits import CLUSTER_BYTES_MAX, ERROR_TEXT_BYTES_MAX, VERSION_BYTES_MAX

IDENTITY_REQUEST = 1
IDENTITY_REPLY = 2
HELLO_REQUEST = 17
HELLO_REPLY = 18
ERROR_REPLY = 255

_NAMES = {IDENTITY_REPLY: "identityReply", HELLO_REPLY: "helloReply", ERROR_REPLY: "errorReply"}

# The least and the greatest length field of each kind that a client can get.
_LENGTHS = {
    IDENTITY_REPLY: (13, 13),
    HELLO_REPLY: (27, 26 + CLUSTER_BYTES_MAX + VERSION_BYTES_MAX),
    ERROR_REPLY: (11, 11 + ERROR_TEXT_BYTES_MAX),
}

# Whether a server hands out identities: 0 serving to 7 exhausted.
_STANDING_MAX = 7

_HEADER = struct.Struct(">HB")
_REQUEST = struct.Struct(">HBIQ")
_REPLY = struct.Struct(">QI")
_LENGTH = struct.Struct(">Q")
_HELLO_TAIL = struct.Struct(">HIHB")

_BARE_REQUEST = b"\x00\x01\x01"


class IdentityReply(NamedTuple):
    """Identities: the first, as it came, and how many."""

    first: int
    size: int


class HelloReply(NamedTuple):
    """Who the server is."""

    cluster: str
    version: str
    wire_version: int
    #: The most identities that one request may ask for.
    count_max: int
    pid: int
    standing: int


class ErrorReply(NamedTuple):
    """What comes instead of a reply."""

    code: int
    message: str


Message = Union[IdentityReply, HelloReply, ErrorReply]


class Malformed(Exception):
    """Bytes that are not a frame that a client takes. The text says why."""


def identity_request(count: int, after: int) -> bytes:
    """The frame that asks for `count` identities, all greater than `after`."""
    if count == 1 and after == 0:
        return _BARE_REQUEST
    return _REQUEST.pack(13, IDENTITY_REQUEST, count, after)


def hello_request(cluster: str) -> bytes:
    """The frame that asks who the server is, and names the cluster that is expected; an empty name for any."""
    name = cluster.encode()
    return _HEADER.pack(9 + len(name), HELLO_REQUEST) + _LENGTH.pack(len(name)) + name


class FrameReader:
    """Bytes in, in any pieces; messages out."""

    __slots__ = ("_buffer", "_consumed")

    def __init__(self) -> None:
        # consumed <= len(buffer)
        self._buffer = bytearray()
        self._consumed = 0

    def feed(self, data: bytes) -> None:
        """Takes bytes that have arrived."""
        if self._consumed:
            del self._buffer[: self._consumed]
            self._consumed = 0
        self._buffer += data

    def pending(self) -> int:
        """How many bytes have arrived and are no whole frame yet."""
        return len(self._buffer) - self._consumed

    def start(self) -> bytes:
        """The first bytes that have arrived and were not taken, five at most."""
        return bytes(self._buffer[self._consumed : self._consumed + 5])

    def next(self) -> Optional[Message]:
        """The next message, or None if more bytes are needed. Raises Malformed as soon as it can be known."""
        buffer, at = self._buffer, self._consumed
        if len(buffer) - at < 2:
            return None
        length = buffer[at] << 8 | buffer[at + 1]
        if length == 0:
            raise Malformed("frame length 0: a frame has at least its kind byte")
        if len(buffer) - at < 3:
            return None
        kind = buffer[at + 2]
        _judge(kind, length)
        end = at + 2 + length
        if len(buffer) < end:
            return None
        self._consumed = end
        if kind == IDENTITY_REPLY:
            return IdentityReply._make(_REPLY.unpack_from(buffer, at + 3))
        body = bytes(buffer[at + 3 : end])
        return _hello(body) if kind == HELLO_REPLY else _error(body)


def decode(data: bytes) -> Message:
    """The message of exactly one frame. Raises Malformed if it is none."""
    reader = FrameReader()
    reader.feed(data)
    message = reader.next()
    if message is None:
        raise Malformed(f"the frame is not complete: it ends after {_bytes(len(data))}")
    if reader.pending():
        raise Malformed(f"{_bytes(reader.pending())} came behind the frame")
    return message


def _judge(kind: int, length: int) -> None:
    bounds = _LENGTHS.get(kind)
    if bounds is None:
        raise Malformed(f"kind {kind} is nothing that a client is sent")
    least, most = bounds
    if not least <= length <= most:
        needs = str(least) if least == most else f"{least} to {most}"
        raise Malformed(f"frame length {length}: {_NAMES[kind]} needs {needs}")


class _Fields:
    """The fields of a body, one after the other."""

    def __init__(self, kind: int, body: bytes) -> None:
        self.kind, self.body, self.at = kind, body, 0

    def unpack(self, fields: struct.Struct) -> tuple[int, ...]:
        return fields.unpack(self._take(fields.size))

    def text(self, bytes_max: int) -> str:
        (length,) = self.unpack(_LENGTH)
        if length > bytes_max:
            raise self.bad("a text in it is too long")
        try:
            return self._take(length).decode()
        except UnicodeDecodeError:
            raise self.bad("a text in it is not UTF-8") from None

    def end(self) -> None:
        if left := len(self.body) - self.at:
            raise Malformed(f"the body of {_NAMES[self.kind]} has {_bytes(left)} more than its fields")

    def bad(self, reason: str) -> Malformed:
        return Malformed(f"the body of {_NAMES[self.kind]} does not decode: {reason}")

    def _take(self, count: int) -> bytes:
        taken = self.body[self.at : self.at + count]
        if len(taken) < count:
            raise self.bad(f"a field needs {_bytes(count - len(taken))} more")
        self.at += count
        return taken


def _hello(body: bytes) -> HelloReply:
    fields = _Fields(HELLO_REPLY, body)
    cluster = fields.text(CLUSTER_BYTES_MAX)
    version = fields.text(VERSION_BYTES_MAX)
    wire_version, count_max, pid, standing = fields.unpack(_HELLO_TAIL)
    if fault := cluster_fault(cluster):
        raise fields.bad(fault)
    if pid > PID_MAX:
        raise fields.bad(f"pid {pid} is beyond the last, {PID_MAX}")
    if standing > _STANDING_MAX:
        raise fields.bad(f"{standing} is no standing of a server")
    fields.end()
    return HelloReply(cluster, version, wire_version, count_max, pid, standing)


def _error(body: bytes) -> ErrorReply:
    fields = _Fields(ERROR_REPLY, body)
    (code,) = fields.unpack(struct.Struct(">H"))
    message = fields.text(ERROR_TEXT_BYTES_MAX)
    fields.end()
    return ErrorReply(code, message)


def cluster_fault(name: str) -> str:
    """Why this cannot be the name of a cluster; empty if it can."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "a cluster name is Unicode, without halves of surrogate pairs"
    if not 1 <= size <= CLUSTER_BYTES_MAX:
        return f"a cluster name has 1 to {CLUSTER_BYTES_MAX} bytes, this one has {size}"
    if any(c < " " or "\x7f" <= c <= "\x9f" for c in name):
        return "a cluster name holds no control characters"
    return ""


def _bytes(count: int) -> str:
    return "1 byte" if count == 1 else f"{count} bytes"
