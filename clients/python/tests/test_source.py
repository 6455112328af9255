"""The source before scripted servers, with threads and with asyncio."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Callable

import pytest

import ipseity
from conftest import PATIENT
from flavours import Loop, Source, in_threads
from ipseity import aio
from scripted import Connection, Hello, Request, Scripted, error_reply, hello_reply, identity_reply, serving

Make = Callable[..., Source]
Serve = Callable[..., Scripted]

LONG = 20.0


def eventually(holds: Callable[[], bool]) -> None:
    """Waits for something that another thread does."""
    ends = time.monotonic() + LONG
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.005)


def test_it_keeps_a_block_and_takes_the_next_ahead_of_need(server: Serve, source: Make) -> None:
    one = server(again=serving)
    ids = source(one.address)
    assert [ids.next() for _ in range(7)] == [1024 * n + 1 for n in range(1, 8)]
    assert [request.size for request in one.requests] == [16]
    # With the eighth, half is left.
    assert ids.next() == 8193
    eventually(lambda: len(one.requests) >= 2)
    assert one.requests[1].after == 16385
    eventually(lambda: ids.counters().refills == 2)
    assert [ids.next() for _ in range(8)] == [1024 * n + 1 for n in range(9, 17)]
    assert ids.counters().waits == 1
    assert ids.newest() == 16385
    assert one.connections == 1


def test_it_always_asks_who_the_server_is(server: Serve, source: Make) -> None:
    seen = []

    def script(connection: Connection) -> None:
        seen.extend([connection.read(), connection.read()])
        connection.send(hello_reply())
        assert isinstance(seen[1], Request)
        connection.answer(seen[1])
        connection.serve()

    assert source(server(script).address).next() == 1025
    assert seen == [Hello(""), Request(16, 0)]


def test_a_refill_grows_with_the_demand_and_is_of_pipelined_requests(server: Serve, source: Make) -> None:
    one = server(again=serving, count_max=100)
    refills: list[int] = []
    ids = source(one.address, block_max=1000, on_refill=refills.append)
    got: list[int] = []
    # Where the machine is busy, the demand is less for a while.
    while 1000 not in refills and len(got) < 200_000:
        got.append(ids.next())
    got += [ids.next() for _ in range(3000)]
    assert got == sorted(set(got))
    assert max(request.size for request in one.requests) == 100
    assert max(refills) == 1000
    assert refills[0] == 16


def test_a_server_that_gives_little_to_a_request(server: Serve, source: Make) -> None:
    def script(connection: Connection) -> None:
        while True:
            request = connection.request()
            if request.size > 3:
                connection.send(error_reply(32, "count must be 1 to 3"))
            else:
                connection.answer(request)

    one = server(script, count_max=3)
    ids = source(one.address)
    got = [ids.next() for _ in range(100)]
    assert got == sorted(set(got))
    assert one.connections == 1


def test_what_it_returns_increases_over_all_threads(server: Serve, source: Make) -> None:
    ids = source(server(again=serving).address)

    def work() -> list[int]:
        return [ids.next() for _ in range(2000)]

    lists = in_threads(8, work)
    assert all(mine == sorted(set(mine)) for mine in lists)
    assert len({identity for mine in lists for identity in mine}) == 16_000
    assert ids.counters().identities == 16_000


def test_an_observed_identity_drops_what_is_not_greater(server: Serve, source: Make) -> None:
    ids = source(server(again=serving).address)
    assert ids.next() == 1025
    ids.observe(1025)
    assert ids.counters().dropped == 0
    ids.observe(3 * 1024 + 1)
    assert ids.counters().dropped == 15
    assert ids.newest() == 3 * 1024 + 1
    assert ids.next() == 17 * 1024 + 1
    ids.observe(1_000_000)
    assert ids.next() > 1_000_000


def test_a_block_that_comes_too_late_for_an_observed_identity_is_dropped(server: Serve, source: Make) -> None:
    asked, go = threading.Event(), threading.Event()

    def script(connection: Connection) -> None:
        request = connection.request()
        asked.set()
        go.wait()
        connection.answer(request)
        connection.serve()

    one = server(script)
    ids = source(one.address)
    got: list[int] = []
    thread = threading.Thread(target=lambda: got.append(ids.next()))
    thread.start()
    asked.wait()
    ids.observe(100_000)
    go.set()
    thread.join()
    assert got[0] > 100_000
    assert ids.counters().dropped == 16
    assert [request.after for request in one.requests[:2]] == [0, 100_000]


def test_a_block_that_is_too_old_is_dropped(server: Serve, source: Make) -> None:
    ids = source(server(again=serving).address, block_age_max=0.2)
    first = ids.next()
    time.sleep(0.5)
    assert ids.next() >= first + 16 * 1024
    assert ids.counters().dropped == 15


@pytest.mark.parametrize("code", [37, 38])
def test_what_it_has_of_a_doubtful_pid_is_dropped(code: int, server: Serve, source: Make) -> None:
    def script(connection: Connection) -> None:
        connection.answer(connection.request())
        connection.request()
        connection.send(error_reply(code))

    one, two = server(script), server(again=serving, pid=2, first=100)
    ids = source(one.address, two.address)
    assert [ids.next().pid for _ in range(8)] == [1] * 8
    eventually(lambda: ids.counters().dropped == 8)
    assert ids.next().pid == 2


@pytest.mark.parametrize("code", [37, 38])
def test_what_came_in_the_same_refill_of_a_doubtful_pid_is_dropped(code: int, server: Serve, source: Make) -> None:
    def script(connection: Connection) -> None:
        # The first request asks for more than this server gives at once, so two follow.
        assert connection.request().size == 16
        connection.send(error_reply(32))
        assert [connection.request().size, connection.request().size] == [8, 8]
        # Both answers come together, so what the first one brought is not put away yet.
        connection.send(identity_reply(1025, 8) + error_reply(code))

    one, two = server(script, count_max=8), server(again=serving, pid=2, first=100)
    ids = source(one.address, two.address)
    assert ids.next().pid == 2
    eventually(lambda: ids.counters().dropped == 8)


def test_a_server_that_stops_costs_nothing_that_is_held(server: Serve, source: Make) -> None:
    def script(connection: Connection) -> None:
        connection.answer(connection.request())
        connection.request()
        connection.send(error_reply(36))

    one, two = server(script), server(again=serving, pid=2, first=100)
    ids = source(one.address, two.address)
    assert [ids.next().pid for _ in range(8)] == [1] * 8
    eventually(lambda: ids.counters().refills == 2)
    assert [ids.next().pid for _ in range(9)] == [1] * 8 + [2]
    assert ids.counters().dropped == 0


def test_a_refill_that_fails_is_an_error_for_those_who_wait(server: Serve, source: Make) -> None:
    is_good = threading.Event()

    def script(connection: Connection) -> None:
        connection.answer(connection.request())
        while not is_good.is_set():
            connection.request()
            connection.send(error_reply(33, "too far"))
        connection.serve()

    ids = source(server(script).address)
    # The refills that fail are nobody's error, because all of these find something.
    assert [ids.next() for _ in range(16)][-1] == 16385
    with pytest.raises(ipseity.RefusedError, match="too far"):
        ids.next()
    is_good.set()
    # One more may have been under way.
    eventually(lambda: took_one(ids))
    newest = ids.newest()
    assert newest is not None
    assert newest > 16385


def took_one(ids: Source) -> bool:
    try:
        ids.next()
    except ipseity.RefusedError:
        return False
    return True


def test_unavailable_says_why_and_comes_in_time(server: Serve, source: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    # On a busy machine a refill may need longer to say why, and the call would end without it.
    for flavour in ("threads", "aio"):
        monkeypatch.setattr(f"ipseity.{flavour}.source.REFILL_GRACE", LONG)
    gone = server()
    gone.close()
    ids = source(gone.address, call_timeout=2)

    def work() -> str:
        with pytest.raises(ipseity.UnavailableError) as caught:
            ids.next()
        return str(caught.value)

    began = time.monotonic()
    assert all("refused" in said for said in in_threads(4, work))
    assert time.monotonic() - began < LONG / 2
    assert ids.counters().waits == 4


def test_a_server_that_comes_back_serves_the_next_call(server: Serve, source: Make) -> None:
    def script(connection: Connection) -> None:
        connection.request()
        connection.send(error_reply(34, "exhausted"))

    ids = source(server(script, again=serving).address)
    with pytest.raises(ipseity.UnavailableError, match="exhausted"):
        ids.next()
    assert ids.next() == 1025


def test_a_wrong_cluster_gives_nothing(server: Serve, source: Make) -> None:
    ids = source(server(again=serving, cluster="other").address, cluster="ipseity")
    with pytest.raises(ipseity.WrongClusterError):
        ids.next()
    assert ids.newest() is None


def test_close_ends_those_who_wait_and_skips_what_is_held(server: Serve, source: Make) -> None:
    frozen = source(server(again=Connection.freeze).address, call_timeout=LONG, reply_timeout=LONG)
    timer = threading.Timer(0.2, frozen.close)
    timer.start()
    began = time.monotonic()
    with pytest.raises(ipseity.ClosedError):
        frozen.next()
    assert time.monotonic() - began < LONG / 2
    timer.join()
    ids = source(server(again=serving).address)
    ids.next()
    ids.close()
    assert ids.counters().dropped == 15
    with pytest.raises(ipseity.ClosedError, match="the client or source was closed"):
        ids.next()


def test_a_source_that_rests_closes_its_connection(server: Serve, source: Make) -> None:
    ended = threading.Event()

    def script(connection: Connection) -> None:
        connection.serve(1)
        if connection.read() is None:
            ended.set()

    ids = source(server(script, again=serving).address, idle_max=0.1)
    assert ids.next() == 1025
    assert ended.wait(LONG)
    for _ in range(40):
        ids.next()
    assert ids.counters().failures == 0


def test_a_source_without_a_thread_refills_by_itself(server: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("ipseity-refill"):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with ipseity.Source(server(again=serving).address) as ids:
        assert [ids.next() for _ in range(100)] == [1024 * n + 1 for n in range(1, 101)]


def test_a_task_that_is_cancelled_leaves_the_refill_to_others(server: Serve) -> None:
    asked, go = threading.Event(), threading.Event()

    def script(connection: Connection) -> None:
        request = connection.request()
        asked.set()
        go.wait()
        connection.answer(request)
        connection.serve()

    one = server(script)

    async def run() -> int:
        async with aio.Source(one.address, call_timeout=LONG, reply_timeout=LONG) as ids:
            tasks = [asyncio.ensure_future(ids.next()) for _ in range(3)]
            await asyncio.get_running_loop().run_in_executor(None, asked.wait)
            tasks[0].cancel()
            await asyncio.sleep(0)
            go.set()
            got = [await task for task in tasks[1:]]
            assert got == [1025, 2049]
            return ids.counters().refills

    loop = Loop()
    assert loop.run(run()) == 1
    loop.close()


def test_a_refill_that_a_signal_handler_has_cut_off_is_begun_again(
    server: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with ipseity.Source(server(again=serving).address, **PATIENT) as ids:
        monkeypatch.setattr(ids._wanted, "notify", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ids.next()
        monkeypatch.undo()
        assert ids.next() == 1025
        assert ids.counters().failures == 0
