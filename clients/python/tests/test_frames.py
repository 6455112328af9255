"""Bytes to messages and back, also against the vectors of the conformance kit."""

from __future__ import annotations

import struct

import pytest

from ipseity import frames
from ipseity.frames import ErrorReply, FrameReader, HelloReply, IdentityReply, Malformed, decode
from scripted import error_reply, hello_reply, identity_reply

MESSAGES = [
    (identity_reply(1025, 3), IdentityReply(1025, 3)),
    (hello_reply(), HelloReply("ipseity", "0.2.0", 2, 1000, 1, 0)),
    (error_reply(34, "exhausted"), ErrorReply(34, "exhausted")),
]


def test_requests_have_the_bytes_of_the_protocol() -> None:
    assert frames.identity_request(1, 0).hex() == "000101"
    assert frames.identity_request(3, 5122).hex() == "000d01000000030000000000001402"
    assert frames.hello_request("ipseity").hex() == "001011000000000000000769707365697479"
    assert frames.hello_request("").hex() == "0009110000000000000000"


@pytest.mark.parametrize(("data", "message"), MESSAGES)
def test_replies_decode(data: bytes, message: frames.Message) -> None:
    assert decode(data) == message


def test_frames_arrive_in_any_pieces() -> None:
    stream = b"".join(data for data, _ in MESSAGES)
    for size in range(1, len(stream) + 1):
        reader = FrameReader()
        got = []
        for at in range(0, len(stream), size):
            reader.feed(stream[at : at + size])
            while (message := reader.next()) is not None:
                got.append(message)
        assert got == [message for _, message in MESSAGES]
        assert reader.pending() == 0


def _hello(body: bytes) -> bytes:
    return struct.pack(">HB", 1 + len(body), 18) + body


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x00\x00", "frame length 0"),
        (b"\x00\x01\x63", "kind 99"),
        (b"\x00\x01\x01", "kind 1 is nothing"),
        (b"\x00\x0c\x02", "identityReply needs 13"),
        (b"\x00\x0a\xff", "errorReply needs 11 to 523"),
        (b"\xff\xff\xff", "errorReply needs 11 to 523"),
        (b"\x00\x0d\x02\x00", "not complete"),
        (identity_reply(1025, 1) + b"\x00", "1 byte came behind"),
        (error_reply(34, "ab")[:-1] + b"\xff", "not UTF-8"),
        (struct.pack(">HBHQ", 11, 255, 34, 1), "needs 1 byte more"),
        (struct.pack(">HBHQ", 11, 255, 34, 2**64 - 1), "too long"),
        (struct.pack(">HBHQ", 13, 255, 34, 0) + b"ab", "2 bytes more than its fields"),
        (hello_reply(cluster=""), "1 to 255 bytes"),
        (hello_reply(cluster="a\nb"), "control characters"),
        (hello_reply(pid=1024), "pid 1024"),
        (hello_reply(standing=8), "no standing"),
        (_hello(hello_reply()[3:-1]), "needs 1 byte more"),
        (_hello(hello_reply()[3:] + b"\x00"), "1 byte more than its fields"),
    ],
)
def test_malformed_bytes_say_why(data: bytes, reason: str) -> None:
    with pytest.raises(Malformed) as caught:
        decode(data)
    assert reason in str(caught.value)


def test_a_fault_is_known_as_soon_as_it_can_be() -> None:
    reader = FrameReader()
    reader.feed(b"\xff\xff")
    assert reader.next() is None
    reader.feed(b"\x02")
    with pytest.raises(Malformed):
        reader.next()
