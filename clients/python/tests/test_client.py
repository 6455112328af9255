"""The client before scripted servers, with threads and with asyncio."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import Any, Callable

import pytest

import ipseity
from conftest import PATIENT
from flavours import Client, Loop, Tasks, in_threads
from ipseity import aio
from ipseity.link import Link
from ipseity.race import fault_of
from ipseity.threads.wait import come_back, wait_for
from scripted import (
    Connection,
    Hello,
    Request,
    Scripted,
    error_reply,
    full_listener,
    hello_reply,
    identity_reply,
    serving,
)

Make = Callable[..., Client]
Serve = Callable[..., Scripted]

# Far more than anything here should take, and far less than a test may hang.
LONG = 20.0

CLOSED = "the client or source was closed (make a new one to go on)"


def test_what_it_returns_increases_and_after_is_carried(server: Serve, client: Make) -> None:
    one = server(again=serving)
    ids = client(one.address)
    assert ids.next() == 1025
    assert list(ids.block(3)) == [2049, 3073, 4097]
    ids.observe(102_401)
    assert ids.next() == 103_425
    assert ids.newest() == 103_425
    assert one.requests == [Request(1, 0), Request(3, 1025), Request(1, 102_401)]
    assert one.connections == 1
    assert ids.counters() == ipseity.Counters(requests=3, identities=5, connects=1)


def test_an_observed_identity_never_lowers_the_newest(server: Serve, client: Make) -> None:
    ids = client(server(again=serving).address)
    assert ids.newest() is None
    ids.observe(5122)
    ids.observe(1025)
    assert ids.newest() == 5122
    with pytest.raises(ipseity.ConfigurationError):
        ids.observe(-1)


def test_the_hello_goes_in_the_write_of_the_first_request(server: Serve, client: Make) -> None:
    seen = []

    def script(connection: Connection) -> None:
        # Nothing is answered until both are here.
        seen.extend([connection.read(), connection.read()])
        connection.send(hello_reply() + identity_reply(1025, 1))
        connection.serve()

    ids = client(server(script).address, cluster="ipseity")
    assert ids.next() == 1025
    assert seen == [Hello("ipseity"), Request(1, 0)]


def test_a_foreign_cluster_is_an_error_before_anything_is_used(server: Serve, client: Make) -> None:
    def script(connection: Connection) -> None:
        connection.read()
        connection.read()
        connection.send(hello_reply(cluster="other") + identity_reply(1025, 1))

    def refusing(connection: Connection) -> None:
        connection.read()
        connection.send(error_reply(64, "this server is of cluster other"))

    for one in (server(script), server(refusing)):
        ids = client(one.address, server(again=serving).address, cluster="ipseity")
        with pytest.raises(ipseity.WrongClusterError) as caught:
            ids.next()
        assert one.address in str(caught.value)
        assert ids.newest() is None


@pytest.mark.parametrize("code", [5, 6, 7, 8, 34, 35, 36, 37, 38, 39, 40, 43])
def test_these_codes_lead_to_the_next_server(code: int, server: Serve, client: Make) -> None:
    def script(connection: Connection) -> None:
        connection.request()
        connection.send(error_reply(code))

    one, two = server(script), server(again=serving, pid=2)
    ids = client(one.address, two.address)
    assert [ids.next(), ids.next()] == [1026, 2050]
    assert (one.connections, two.connections) == (1, 1)
    assert ids.counters().failures == 1


@pytest.mark.parametrize("code", [1, 2, 3, 4, 32, 33, 41, 42, 63, 65, 70, 999])
def test_these_codes_end_the_call(code: int, server: Serve, client: Make) -> None:
    def script(connection: Connection) -> None:
        connection.request()
        connection.send(error_reply(code, "no\n"))
        connection.serve()

    one, two = server(script, again=serving), server(again=serving, pid=2)
    ids = client(one.address, two.address)
    with pytest.raises(ipseity.RefusedError) as caught:
        ids.next()
    assert caught.value.code == code
    assert ids.next() == 1025
    assert two.connections == 0
    # A code below 32 or from 64 on ends the connection.
    assert one.connections == (1 if 32 <= code < 64 else 2)


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (identity_reply(1025, 2), "asked for 1"),
        (identity_reply(1, 1), "do not exist"),
        (identity_reply(2**63 + 1, 1), "do not exist"),
        (identity_reply(1024, 1), "not greater than 1024"),
        (hello_reply(), "helloReply"),
        (b"\x00\x01\x06", "kind 6"),
        (b"\x00\x00", "frame length 0"),
        (b"HTTP/1.1 400 Bad Request\r\n", "HTTP"),
    ],
)
def test_a_reply_that_breaks_the_protocol_ends_the_call(reply: bytes, says: str, server: Serve, client: Make) -> None:
    def script(connection: Connection) -> None:
        connection.request()
        connection.send(reply)

    one, two = server(script, again=serving), server(again=serving, pid=2)
    ids = client(one.address, two.address)
    ids.observe(1024)
    with pytest.raises(ipseity.ProtocolError) as caught:
        ids.next()
    assert says in str(caught.value)
    assert one.address in str(caught.value)
    assert ids.newest() == 1024
    assert two.connections == 0
    assert ids.next() == 2049


def test_a_block_beyond_the_last_identity_does_not_exist(server: Serve, client: Make) -> None:
    def script(connection: Connection) -> None:
        connection.request()
        connection.send(identity_reply(2**63 - 1024, 2))

    with pytest.raises(ipseity.ProtocolError):
        client(server(script).address).block(2)


def test_one_connection_has_one_pid_and_increases(server: Serve, client: Make) -> None:
    def other_pid(connection: Connection) -> None:
        connection.answer(connection.request())
        connection.request()
        connection.send(identity_reply(5122, 1))

    def not_its_own(connection: Connection) -> None:
        connection.request()
        connection.send(identity_reply(5122, 1))

    ids = client(server(other_pid).address)
    assert ids.next() == 1025
    with pytest.raises(ipseity.ProtocolError, match="pid 2"):
        ids.next()
    with pytest.raises(ipseity.ProtocolError, match="pid 2"):
        client(server(not_its_own).address, cluster="ipseity").next()


def test_what_nobody_asked_for_is_told_with_the_next_call(server: Serve, client: Make) -> None:
    sent = threading.Event()

    def script(connection: Connection) -> None:
        request = connection.request()
        connection.answer(request)
        connection.answer(request)
        sent.set()

    ids = client(server(script, again=serving).address)
    assert ids.next() == 1025
    sent.wait()
    with pytest.raises(ipseity.ProtocolError, match="nothing had asked"):
        ids.next()
    assert ids.next() > 1025


def test_an_error_that_comes_before_any_request_leads_on(server: Serve, client: Make) -> None:
    one = server(lambda connection: connection.send(error_reply(5, "full")))
    two = server(again=serving, pid=2)
    assert client(one.address, two.address).next() == 1026


def test_replies_in_pieces(server: Serve, client: Make) -> None:
    def script(connection: Connection) -> None:
        for first in (1025, 2049):
            connection.request()
            for byte in identity_reply(first, 1):
                connection.send(bytes([byte]))
                time.sleep(0.001)

    ids = client(server(script).address)
    assert [ids.next(), ids.next()] == [1025, 2049]


def test_a_connection_that_was_closed_while_idle_is_made_again(server: Serve, client: Make) -> None:
    def once(connection: Connection) -> None:
        connection.serve(1)
        connection.sock.close()

    def once_and_reset(connection: Connection) -> None:
        connection.serve(1)
        connection.request()
        connection.reset()

    one, two = server(once, once_and_reset, again=serving), server(again=serving, pid=2)
    ids = client(one.address, two.address)
    assert [ids.next().pid for _ in range(3)] == [1, 1, 1]
    assert one.connections == 3
    assert ids.counters().failures == 0


@pytest.mark.parametrize("how", ["close", "close at once", "reset", "half a reply", "nobody", "nothing"])
def test_a_server_that_fails_is_left_for_the_next(how: str, server: Serve, client: Make) -> None:
    def script(connection: Connection) -> None:
        if how == "nothing":
            return
        if how != "close at once":
            connection.request()
        if how == "half a reply":
            connection.send(identity_reply(1025, 1)[:7])
        if how == "reset":
            connection.reset()
        else:
            connection.sock.close()

    one, two = server(script), server(again=serving, pid=2)
    if how == "nobody":
        one.close()
    told: list[tuple[str, str]] = []
    ids = client(one.address, two.address, reply_timeout=1, on_failover=lambda *what: told.append(what))
    assert [ids.next(), ids.next()] == [1026, 2050]
    assert [name for name, _ in told] == [one.address]
    assert ids.counters().failures == 1
    assert one.connections == (0 if how == "nobody" else 1)


def test_a_frozen_server_costs_one_timeout_once(server: Serve, client: Make) -> None:
    one, two = server(again=Connection.freeze), server(again=serving, pid=2)
    ids = client(one.address, two.address, reply_timeout=1)
    began = time.monotonic()
    assert [ids.next().pid for _ in range(50)] == [2] * 50
    assert time.monotonic() - began < LONG
    assert one.connections == 1


def test_a_server_that_comes_back_is_used_again(server: Serve, client: Make) -> None:
    def one_reply(connection: Connection) -> None:
        connection.serve(1)
        connection.request()
        connection.send(error_reply(36))

    one, two = server(one_reply, again=serving), server(one_reply, again=serving, pid=2)
    ids = client(one.address, two.address)
    # Each sends it away once. Those that are avoided are asked when there is no other.
    assert [ids.next().pid for _ in range(3)] == [1, 2, 1]


def test_unavailable_lists_every_server_and_keeps_the_deadline(server: Serve, client: Make) -> None:
    frozen = server(again=Connection.freeze)
    stopping = server(again=lambda connection: (connection.request(), connection.send(error_reply(36, "bye")))[1])
    gone = server()
    gone.close()
    ids = client(frozen.address, stopping.address, gone.address, reply_timeout=0.5, call_timeout=2.5)
    began = time.monotonic()
    with pytest.raises(ipseity.UnavailableError) as caught:
        ids.next()
    assert 2 < time.monotonic() - began < LONG
    failures = {failure.server: failure for failure in caught.value.failures}
    assert "no reply within" in failures[frozen.address].cause
    assert failures[stopping.address].code == 36
    assert "refused with stopping: bye" in failures[stopping.address].cause
    assert "refused" in failures[gone.address].cause
    # It was tried again and again, with waits between.
    assert stopping.connections > 1


def test_the_deadline_holds_before_servers_that_never_answer(server: Serve, client: Make) -> None:
    frozen = server(again=Connection.freeze)
    ids = client(frozen.address, call_timeout=0.3)
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(ipseity.UnavailableError, match=r"no reply within the time of the call, 300 ms"):
            ids.next()
        assert 0.2 < time.monotonic() - began < LONG


def test_a_listener_that_never_accepts(server: Serve, client: Make) -> None:
    with full_listener() as address:
        ids = client(address, server(again=serving, pid=2).address, connect_timeout=1)
        assert ids.next() == 1026
        with pytest.raises(ipseity.UnavailableError):
            client(address, call_timeout=0.2).next()


@pytest.mark.parametrize("code", [6, 7, 8, 34])
def test_nobody_waits_where_waiting_cannot_help(code: int, server: Serve, client: Make) -> None:
    def script(connection: Connection) -> None:
        connection.request()
        connection.send(error_reply(code))

    one, two = server(again=script), server(again=script)
    ids = client(one.address, two.address, call_timeout=LONG)
    with pytest.raises(ipseity.UnavailableError):
        ids.next()
    assert (one.connections, two.connections) == (1, 1)


def test_a_connection_that_was_idle_for_too_long_is_made_again(server: Serve, client: Make) -> None:
    one = server(again=serving)
    ids = client(one.address, idle_max=0.05)
    assert ids.next() == 1025
    time.sleep(0.3)
    assert ids.next() == 2049
    assert one.connections == 2
    assert ids.counters().failures == 0


def test_many_share_one_client(server: Serve, client: Make) -> None:
    one = server(again=serving)
    ids = client(one.address)

    def work() -> list[int]:
        return [ids.next() for _ in range(100)]

    lists = in_threads(16, work)
    assert all(mine == sorted(set(mine)) for mine in lists)
    everything = {identity for mine in lists for identity in mine}
    assert len(everything) == 1600
    assert one.connections == 1
    assert ids.counters().identities == 1600


def test_more_requests_than_may_be_under_way_wait_for_their_turn(server: Serve) -> None:
    most = 0

    def script(connection: Connection) -> None:
        # Answers only when nothing more comes.
        nonlocal most
        connection.sock.settimeout(0.3)
        waiting: list[Request] = []
        while True:
            try:
                waiting.append(connection.request())
                most = max(most, len(waiting))
            except socket.timeout:
                for request in waiting:
                    connection.answer(request)
                waiting = []

    one = server(script)
    loop = Loop()

    async def run() -> list[ipseity.Identity]:
        async with aio.Client(one.address, call_timeout=LONG, reply_timeout=LONG) as ids:
            return await asyncio.gather(*[ids.next() for _ in range(1100)])

    got = loop.run(run())
    loop.close()
    assert len(set(got)) == 1100
    assert most == 1024


def test_all_calls_go_on_when_their_connection_fails(server: Serve, client: Make) -> None:
    def script(connection: Connection) -> None:
        for _ in range(4):
            connection.request()
        connection.sock.close()

    one, two = server(script), server(again=serving, pid=2)
    ids = client(one.address, two.address)
    got = in_threads(4, ids.next)
    assert sorted(got) == [1026, 2050, 3074, 4098]
    assert ids.counters().failures == 1


def test_a_wrong_reply_to_one_call_does_not_hide_from_it(server: Serve, client: Make) -> None:
    def script(connection: Connection) -> None:
        requests = [connection.request(), connection.request()]
        connection.send(identity_reply(1025, 7))
        assert len(requests) == 2

    one = server(script, again=serving)
    ids = client(one.address)

    def work() -> str:
        try:
            return f"{ids.next()}"
        except ipseity.ProtocolError:
            return "protocol"

    assert sorted(in_threads(2, work)) == ["1025", "protocol"]


def test_close_ends_the_calls_that_are_under_way(server: Serve, client: Make) -> None:
    asked = threading.Event()

    def script(connection: Connection) -> None:
        connection.request()
        asked.set()

    ids = client(server(script).address, reply_timeout=LONG, call_timeout=LONG)

    def work() -> str:
        with pytest.raises(ipseity.ClosedError) as caught:
            ids.next()
        return str(caught.value)

    def close() -> str:
        asked.wait()
        ids.close()
        return ""

    works = iter([work, work, close])
    lock = threading.Lock()

    def one_of() -> str:
        with lock:
            mine = next(works)
        return mine()

    began = time.monotonic()
    assert sorted(in_threads(3, one_of)) == ["", CLOSED, CLOSED]
    assert time.monotonic() - began < LONG / 2
    with pytest.raises(ipseity.ClosedError):
        ids.next()
    ids.close()


def test_close_ends_a_call_that_connects_or_waits(server: Serve, client: Make) -> None:
    gone = server()
    gone.close()
    ids = client(gone.address, call_timeout=LONG)
    timer = threading.Timer(0.2, ids.close)
    timer.start()
    began = time.monotonic()
    with pytest.raises(ipseity.ClosedError):
        ids.next()
    assert time.monotonic() - began < LONG / 2
    timer.join()


def test_close_ends_a_call_that_connects(client: Make) -> None:
    with full_listener() as address:
        ids = client(address)
        timer = threading.Timer(0.2, ids.close)
        timer.start()
        began = time.monotonic()
        with pytest.raises(ipseity.ClosedError):
            ids.next()
        # Less than connect_timeout.
        assert time.monotonic() - began < 8
        timer.join()


def test_a_connection_to_oneself_is_none() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.connect(sock.getsockname())
        assert fault_of(sock) == "Connection refused"


def test_close_shuts_the_sending_side(server: Serve, client: Make) -> None:
    ended = threading.Event()

    def script(connection: Connection) -> None:
        connection.serve(1)
        # Without an error: the end has come in order.
        if connection.read() is None:
            ended.set()

    ids = client(server(script).address)
    ids.next()
    ids.close()
    assert ended.wait(LONG)


def test_hooks_may_raise_and_may_use_the_client(server: Serve, client: Make) -> None:
    connected: list[str] = []

    def on_connect(name: str) -> None:
        connected.append(name)
        raise ValueError("ignored")

    one = server(again=serving)
    ids = client(one.address, on_connect=on_connect)
    assert [ids.next(), ids.next()] == [1025, 2049]
    assert connected == [one.address]


def test_counts_that_no_request_can_have(server: Serve, client: Make) -> None:
    ids = client(server(again=serving).address)
    for wrong in (-1, 2**32):
        with pytest.raises(ipseity.ConfigurationError):
            ids.block(wrong)


def test_a_name_is_looked_up(server: Serve, client: Make) -> None:
    one = server(again=serving)
    assert client(f"localhost:{one.port}").next() == 1025
    with pytest.raises(ipseity.UnavailableError, match=r"look up|looked up"):
        client("no-such-name.invalid", connect_timeout=0.5, call_timeout=0.5).next()


def test_an_address_that_is_silent_does_not_use_up_the_time(
    server: Serve, client: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = server(again=serving)
    with full_listener() as silent:
        addresses = [("127.0.0.1", int(silent.rpartition(":")[2])), ("127.0.0.1", one.port)]

        def resolve(*_: object, **__: object) -> list[tuple[object, ...]]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        ids = client("two-addresses.example", connect_timeout=LONG, call_timeout=LONG)
        began = time.monotonic()
        assert ids.next() == 1025
        assert time.monotonic() - began < LONG / 2


def test_many_silent_addresses_share_a_short_time(server: Serve, client: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    one = server(again=serving)
    with full_listener() as silent:
        # Each with the usual delay, they would take longer than the time to connect.
        addresses = [("127.0.0.1", int(silent.rpartition(":")[2]))] * 12 + [("127.0.0.1", one.port)]

        def resolve(*_: object, **__: object) -> list[tuple[object, ...]]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        ids = client("many-addresses.example", connect_timeout=2, call_timeout=LONG)
        assert ids.next() == 1025


def test_attempts_that_nobody_needs_any_more_are_closed(server: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[socket.socket] = []

    async def race() -> None:
        three_made = asyncio.Event()

        class Noted(socket.socket):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                made.append(self)
                if len(made) == 3:
                    three_made.set()

        monkeypatch.setattr(socket, "socket", Noted)
        async with aio.Client("many.example", connect_timeout=LONG, call_timeout=LONG) as ids:
            call = asyncio.ensure_future(ids.next())
            await three_made.wait()
            call.cancel()

    with full_listener() as silent:
        place = ("127.0.0.1", int(silent.rpartition(":")[2]))

        def resolve(*_: object, **__: object) -> list[tuple[object, ...]]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place)] * 4

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        asyncio.run(race())
    assert {sock.fileno() for sock in made} == {-1}


def test_all_addresses_of_a_name_are_told(server: Serve, client: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = [server(), server()]
    for one in gone:
        one.close()

    def resolve(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", one.port)) for one in gone]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(ipseity.UnavailableError) as caught:
        client("two-addresses.example", call_timeout=2).next()
    assert all(str(one.port) in str(caught.value) for one in gone)


def test_a_server_that_speaks_tls_is_told(server: Serve, client: Make) -> None:
    def script(connection: Connection) -> None:
        connection.request()
        # An alert: unexpected message.
        connection.send(bytes.fromhex("15030100020246"))

    with pytest.raises(ipseity.UnavailableError, match="it speaks TLS there"):
        client(server(again=script).address, call_timeout=LONG).next()


def test_clients_begin_at_a_random_server(server: Serve) -> None:
    servers = [server(again=serving, pid=pid) for pid in range(3)]
    used = set()
    for _ in range(60):
        with ipseity.Client([one.address for one in servers]) as ids:
            used.add(ids.next().pid)
    assert used == {0, 1, 2}


def test_a_task_that_is_cancelled_shifts_no_reply(server: Serve) -> None:
    go = threading.Event()

    def script(connection: Connection) -> None:
        requests = [connection.request() for _ in range(3)]
        go.wait()
        for request in requests:
            connection.answer(request)
        connection.serve()

    one = server(script)

    async def run() -> list[int]:
        async with aio.Client(one.address, call_timeout=LONG, reply_timeout=LONG) as ids:
            tasks = [asyncio.ensure_future(ids.block(count)) for count in (1, 2, 3)]
            await asyncio.sleep(0.1)
            tasks[1].cancel()
            await asyncio.sleep(0)
            go.set()
            first, third = await tasks[0], await tasks[2]
            with pytest.raises(asyncio.CancelledError):
                await tasks[1]
            return [len(first), len(third), await ids.next()]

    loop = Loop()
    assert loop.run(run()) == [1, 3, 7 * 1024 + 1]
    loop.close()
    assert one.connections == 1


def test_a_thread_that_is_interrupted_shifts_no_reply(server: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    reads, go = threading.Event(), threading.Event()

    def script(connection: Connection) -> None:
        requests = [connection.request(), connection.request()]
        go.wait()
        for request in requests:
            connection.answer(request)
        connection.serve()

    def interrupted(sock: socket.socket, to_write: bool, duration: float) -> None:
        if threading.current_thread() is not threading.main_thread():
            wait_for(sock, to_write, duration)
            return
        # As Ctrl-C does, while another thread follows.
        reads.set()
        while not ids._exchange._line or not ids._exchange._line.followers:
            time.sleep(0.005)
        raise KeyboardInterrupt

    monkeypatch.setattr("ipseity.threads.exchange.wait_for", interrupted)
    one = server(script)
    with ipseity.Client(one.address, call_timeout=LONG, reply_timeout=LONG) as ids:
        got: list[int] = []

        def follow() -> None:
            reads.wait()
            got.extend(ids.block(2))

        thread = threading.Thread(target=follow)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            ids.next()
        monkeypatch.undo()
        go.set()
        thread.join()
        assert got == [2049, 3073]
        assert ids.next() == 4097
    assert one.connections == 1


def test_a_client_of_asyncio_moves_to_another_loop(server: Serve) -> None:
    one = server(again=serving)
    ids, held = aio.Client(one.address), aio.Source(one.address)

    async def run() -> list[int]:
        return [await ids.next(), await held.next()]

    async def end() -> None:
        await ids.close()
        await held.close()

    async def close_lines() -> list[int]:
        got = await run()
        for line in (ids._exchange._line, held._exchange._line):
            assert line is not None
            line.link.die(ipseity.link.Lost.LOST)
            line.write()
            await line.gone
        return got

    first = asyncio.run(close_lines())
    second = asyncio.run(run_and(run, end))
    assert second[0] > first[0]
    assert second[1] > first[1]


async def run_and(run: Callable[[], object], end: Callable[[], object]) -> list[int]:
    got = await run()  # type: ignore[misc]
    await end()  # type: ignore[misc]
    return got  # type: ignore[no-any-return]


def test_both_flavours_have_the_same_names() -> None:
    for one, other in ((ipseity.Client, aio.Client), (ipseity.Source, aio.Source)):
        ours = {name for name in vars(one) if not name.startswith("_")}
        assert ours == {name for name in vars(other) if not name.startswith("_")}
    assert Tasks.name == "asyncio"


def test_requests_on_a_connection_that_is_just_gone_log_nothing(
    server: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    one = server(again=serving)

    async def run() -> set[int]:
        async with aio.Client(one.address, **PATIENT) as client:
            await client.next()
            line = client._exchange._line
            assert line is not None
            assert line._transport is not None
            line._transport.abort()
            # asyncio logs each write on such a connection from the fifth on.
            return set(await asyncio.gather(*(client.next() for _ in range(20))))

    assert len(asyncio.run(run())) == 20
    assert caplog.records == []


def test_an_exception_of_a_signal_handler_in_the_middle_of_the_work_costs_the_connection_and_no_more(
    server: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = server(again=serving)

    def interrupted(link: Link, data: bytes, now: float) -> None:
        # The reply is read from the socket, and lost.
        raise KeyboardInterrupt

    with ipseity.Client(one.address, **PATIENT) as ids:
        first = ids.next()
        monkeypatch.setattr(Link, "received", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ids.next()
        monkeypatch.undo()
        assert ids.next() > first
        assert ids.counters().failures == 0
    assert one.connections == 2


def test_a_lock_is_had_again_before_an_exception_of_a_signal_handler_goes_on() -> None:
    class Lock:
        calls = 0

        def acquire(self) -> None:
            self.calls += 1
            # The first time it comes before the lock is had, and then just after.
            raise KeyboardInterrupt

        def _is_owned(self) -> bool:
            return self.calls == 2

    lock = Lock()
    with pytest.raises(KeyboardInterrupt):
        come_back(lock)  # type: ignore[arg-type]
    assert lock.calls == 2


def test_a_lookup_that_gets_no_thread_fails_and_the_next_one_works(
    server: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    one = server(again=serving)
    with ipseity.Client(f"localhost:{one.port}", **{**PATIENT, "call_timeout": 0.1}) as ids:
        monkeypatch.setattr("threading.Thread.start", no_thread)
        with pytest.raises(ipseity.UnavailableError, match="can't start new thread"):
            ids.next()
    monkeypatch.undo()
    with ipseity.Client(f"localhost:{one.port}", **PATIENT) as ids:
        assert ids.next() == 1025
