"""Identities, blocks, addresses and codes: no network."""

from __future__ import annotations

import copy
import pickle

import pytest

import ipseity
import ipseity.aio
from ipseity import Block, ConfigurationError, Identity, ServerAddress, codes, errors, text

IDENTITY_MAX = 2**63 - 1


def test_an_identity_has_a_sequence_and_a_pid() -> None:
    identity = Identity.of(5, 2)
    assert identity == 5122
    assert (identity.sequence, identity.pid) == (5, 2)
    assert (Identity(IDENTITY_MAX).sequence, Identity(IDENTITY_MAX).pid) == (2**53 - 1, 1023)


def test_an_identity_is_an_int() -> None:
    identity = Identity(1025)
    assert hash(identity) == hash(1025)
    assert {1025: "a"}[identity] == "a"
    assert sorted([Identity(3), Identity(1), 2]) == [1, 2, 3]
    assert f"{identity} {identity:#x}" == "1025 0x401"
    assert repr(identity) == "Identity(1025)"
    for again in (pickle.loads(pickle.dumps(identity)), copy.deepcopy(identity)):
        assert type(again) is Identity
        assert again == identity


@pytest.mark.parametrize(
    ("number", "hex_", "pair", "base32"),
    [
        (0, "0x0", "0:0", "0000000000000"),
        (1025, "0x401", "1:1", "0000000000101"),
        (IDENTITY_MAX, "0x7fffffffffffffff", "9007199254740991:1023", "7ZZZZZZZZZZZZ"),
    ],
)
def test_what_is_written_is_read(number: int, hex_: str, pair: str, base32: str) -> None:
    identity = Identity(number)
    assert (str(identity), identity.hex(), identity.pair(), identity.base32()) == (str(number), hex_, pair, base32)
    for written in (str(number), hex_, pair):
        assert Identity.parse(written) == identity
    assert Identity.from_base32(base32) == identity
    assert Identity.from_base32(base32.lower()) == identity


def test_base32_sorts_as_the_numbers_do() -> None:
    numbers = [3**k for k in range(40) if 3**k <= IDENTITY_MAX]
    assert [Identity.from_base32(t) for t in sorted(Identity(n).base32() for n in numbers)] == numbers


def test_base32_reads_the_letters_that_look_like_digits() -> None:
    assert Identity.from_base32("OoIiLl0000000") == Identity.from_base32("0011110000000")


@pytest.mark.parametrize(
    "wrong",
    [
        *[
            "",
            " 1",
            "1 ",
            "+1",
            "-1",
            "0x",
            "0x+1",
            "0xg",
            "1:",
            ":1",
            "1:1:1",
            "one",
            "1:+1",
            "1_0",
            "१",
            "1\n",
            "1025.0",
        ],
        *[
            "9223372036854775808",
            "18446744073709551616",
            "9007199254740992:0",
            "1:1024",
            "0x8000000000000000",
            "9" * 9999,
        ],
    ],
)
def test_texts_that_are_no_identity(wrong: str) -> None:
    with pytest.raises(ConfigurationError):
        Identity.parse(wrong)


@pytest.mark.parametrize(
    "wrong", ["", "0" * 12, "0" * 14, "8000000000000", "000000000000U", "00000-0000101", "\uff10" * 13]
)
def test_texts_that_are_no_base32(wrong: str) -> None:
    with pytest.raises(ConfigurationError):
        Identity.from_base32(wrong)


@pytest.mark.parametrize("wrong", [-1, 2**63, 10**5000], ids=["negative", "bit 63", "long"])
def test_numbers_that_are_no_identity(wrong: int) -> None:
    with pytest.raises(ConfigurationError):
        Identity(wrong)


def test_an_identity_is_made_from_an_int_only() -> None:
    with pytest.raises(TypeError):
        Identity("1025")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError):
        Identity.of(1, 1024)
    with pytest.raises(ConfigurationError):
        Identity.of(2**53, 0)


def test_a_block_is_a_sequence() -> None:
    block = Block(Identity(1025), 3)
    assert list(block) == [1025, 2049, 3073]
    assert all(type(identity) is Identity for identity in block)
    assert (block.first, block.last, block.pid, len(block)) == (1025, 3073, 1, 3)
    assert block[-1] == 3073
    assert block[1:] == (2049, 3073)
    assert 2049 in block
    assert 2050 not in block
    assert block == Block(Identity(1025), 3)
    assert block != Block(Identity(1025), 2)
    assert hash(block) == hash(Block(Identity(1025), 3))
    assert repr(block) == "Block(Identity(1025), 3)"
    with pytest.raises(IndexError):
        block[3]
    with pytest.raises(ConfigurationError):
        Block(Identity(1025), 0)
    with pytest.raises(ConfigurationError):
        Block(Identity(IDENTITY_MAX), 2)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("127.0.0.1:1", "127.0.0.1:1"),
        ("127.0.0.1", "127.0.0.1:3264"),
        ("[::1]", "[::1]:3264"),
        ("::1", "[::1]:3264"),
        ("fe80::1%eth0", "[fe80::1%eth0]:3264"),
        ("[fe80::1%2]:5", "[fe80::1%2]:5"),
        ("ids:65535", "ids:65535"),
        ("tls://ids:1", "tls://ids:1"),
        ("tls://::1", "tls://[::1]:3264"),
    ],
)
def test_an_address_is_shown_as_it_is_read(given: str, shown: str) -> None:
    address = ServerAddress.parse(given)
    assert str(address) == shown
    assert ServerAddress.parse(shown) == address


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("", "names no host"),
        (":3264", "names no host"),
        ("a b:1", "names no host"),
        ("a\nb:1", "names no host"),
        ("a\u202eb:1", "names no host"),
        ("a/b:1", "names no host"),
        ("a]:1", "names no host"),
        ("a%eth0:1", "names no host"),
        ("tls://", "names no host"),
        ("host:", "port"),
        ("host:0", "port"),
        ("host:65536", "port"),
        ("host:+1", "port"),
        ("host:1:2", "port"),
        ("host:१", "port"),
        ("[::1", "[::1]:3264"),
        ("[::1]3264", "[::1]:3264"),
        ("[host]:1", "[::1]:3264"),
        ("https://host", "the one scheme"),
        ("TLS://host", "the one scheme"),
        ("tls://tls://host", "the one scheme"),
        ("://host", "the one scheme"),
    ],
)
def test_texts_that_are_no_address_say_why(wrong: str, reason: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ServerAddress.parse(wrong)
    assert reason in str(caught.value)
    assert text.is_plain(str(caught.value))


def test_every_code_has_a_name_and_an_action() -> None:
    assert codes.name(5) == "tooManyConnections"
    assert codes.name(38) == "staleState"
    assert codes.name(999) == "code 999"
    elsewhere = {code for code in range(1000) if codes.action(code) is codes.Action.ELSEWHERE}
    assert elsewhere == {5, 6, 7, 8, 34, 35, 36, 37, 38, 39, 40, 43}
    assert codes.action(64) is codes.Action.WRONG_CLUSTER
    assert codes.action(32) is codes.action(999) is codes.Action.REFUSED
    assert [code for code in range(100) if not codes.closes(code)] == list(range(32, 64))


def test_texts_of_others_are_made_plain() -> None:
    assert text.plain("Grüße, 鍵 🔑") == "Grüße, 鍵 🔑"
    assert text.plain("gone\n\x1b[2J\u202e") == r"gone\n\x1b[2J\u202e"


def test_every_error_says_which_server_and_can_be_pickled() -> None:
    failures = (errors.ServerFailure("a:1", "no reply within 1 s"), errors.ServerFailure("b:2", "gone", 36))
    for error in [
        errors.UnavailableError(failures),
        errors.UnavailableError(failures[:1]),
        errors.RefusedError("a:1", 32, "count\n"),
        errors.WrongClusterError("a:1", "other"),
        errors.ProtocolError("a:1", "nonsense"),
    ]:
        assert "a:1" in str(error)
        assert text.is_plain(str(error))
        for again in (pickle.loads(pickle.dumps(error)), error.again()):
            assert str(again) == str(error)
            assert again.__dict__ == error.__dict__
    assert "badCount" in str(errors.RefusedError("a:1", 32, "no"))
    assert issubclass(ConfigurationError, ValueError)


@pytest.mark.parametrize(
    "options",
    [
        {"connect_timeout": 0},
        {"reply_timeout": -1},
        {"call_timeout": float("nan")},
        {"idle_max": float("inf")},
        {"call_timeout": "1"},
        {"cluster": ""},
        {"cluster": "a\nb"},
        {"cluster": "x" * 256},
        {"cluster": "\ud800"},
        {"first": 1},
        {"first": -1},
    ],
)
def test_wrong_options_are_an_error_before_anything_is_sent(options: dict[str, object]) -> None:
    for kind in (ipseity.Client, ipseity.Source, ipseity.aio.Client, ipseity.aio.Source):
        with pytest.raises(ConfigurationError):
            kind(["localhost"], **options)  # type: ignore[arg-type]


def test_a_source_has_options_of_its_own() -> None:
    for options in ({"block_max": 0}, {"block_max": 2**20 + 1}, {"block_age_max": 0}):
        for kind in (ipseity.Source, ipseity.aio.Source):
            with pytest.raises(ConfigurationError):
                kind(["localhost"], **options)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError):
        ipseity.Client([])


def test_one_text_is_a_list_of_one_server() -> None:
    with ipseity.Client("localhost") as client:
        assert client.newest() is None
