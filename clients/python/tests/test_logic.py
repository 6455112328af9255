"""What is written without I/O: the order of servers, the way of a call, the size of a refill, what a source holds."""

from __future__ import annotations

import random
import socket
from typing import Optional

import pytest

from ipseity import ProtocolError, ServerAddress, UnavailableError
from ipseity.calls import Call, Wait
from ipseity.frames import identity_request
from ipseity.jobs import BlockJob, RefillJob
from ipseity.limits import REFILL_MIN
from ipseity.link import Ask, Failure, Link, Lost, Seen, Taken
from ipseity.race import delay, interleaved
from ipseity.servers import Servers
from ipseity.stock import Demand, Stock
from ipseity.watching import Events, Hooks

BROKEN = Failure("broken")
FULL = Failure("exhausted", 34, lasting=True)


def servers(count: int, first: Optional[int] = 0) -> Servers:
    return Servers([ServerAddress("a", port + 1) for port in range(count)], Events(Hooks()), first)


def test_a_server_that_failed_is_avoided_longer_each_time() -> None:
    known = servers(2)
    at = 100.0
    for avoided in (1, 2, 4, 8, 16, 30, 30, 30):
        known.failed(0, BROKEN, at)
        assert known.order(at + avoided - 0.01) == [1, 0]
        assert known.order(at + avoided) == [0, 1]
        at += avoided
    known.answered(0)
    known.failed(0, BROKEN, at)
    assert known.order(at + 1) == [0, 1]
    for _ in range(2000):
        known.failed(0, BROKEN, at)


def test_servers_that_are_avoided_come_last_the_soonest_first() -> None:
    known = servers(4, first=2)
    assert known.order(0) == [2, 3, 0, 1]
    known.failed(3, BROKEN, 0.5)
    known.failed(2, BROKEN, 0.2)
    assert known.order(0.6) == [0, 1, 2, 3]
    known.answered(1)
    assert known.order(0.6) == [1, 0, 2, 3]


def test_the_first_server_is_a_random_one() -> None:
    assert {servers(3, first=None).order(0)[0] for _ in range(200)} == {0, 1, 2}


def test_a_call_tries_each_server_and_waits_between_rounds() -> None:
    call = Call(servers(2), BlockJob(1), now=0, deadline=2, chance=lambda: 1)
    waits = []
    for _ in range(6):
        assert call.next(0.1) == 0
        call.failed(0, BROKEN, 0)
        assert call.next(0.1) == 1
        call.failed(1, BROKEN, 0)
        wait = call.next(0.1)
        assert isinstance(wait, Wait)
        waits.append(wait.seconds)
    assert waits == [0.05, 0.1, 0.2, 0.4, 0.4, 0.4]
    with pytest.raises(UnavailableError):
        call.next(2)


def test_a_wait_is_random_and_ends_with_the_call() -> None:
    chance = random.Random(1).random
    seen = set()
    for _ in range(100):
        call = Call(servers(1), BlockJob(1), now=0, deadline=2, chance=chance)
        call.failed(0, BROKEN, 0)
        wait = call.next(1.97)
        assert isinstance(wait, Wait)
        assert 0 <= wait.seconds <= 0.03 + 1e-9
        seen.add(wait.seconds)
    assert len(seen) > 10


def test_a_call_does_not_wait_if_all_failures_last() -> None:
    call = Call(servers(2), BlockJob(1), now=0, deadline=2)
    call.failed(0, FULL, 0)
    assert call.next(0) == 1
    call.failed(1, FULL, 0)
    with pytest.raises(UnavailableError) as caught:
        call.next(0)
    assert [failure.code for failure in caught.value.failures] == [34, 34]
    mixed = Call(servers(2), BlockJob(1), now=0, deadline=2)
    mixed.failed(0, FULL, 0)
    mixed.failed(1, BROKEN, 0)
    assert isinstance(mixed.next(0), Wait)


def test_a_try_that_was_cut_short_does_not_hide_the_one_before() -> None:
    call = Call(servers(2), BlockJob(1), now=0, deadline=2)
    call.failed(0, BROKEN, 1)
    call.failed(0, Failure("no time"), 2)
    call.failed(1, call.late("reply"), 1.5)
    with pytest.raises(UnavailableError) as caught:
        call.next(1.5)
    assert [f.cause for f in caught.value.failures] == ["broken", "no reply within the time of the call, 2 s"]


def test_a_lost_connection_is_made_again_once() -> None:
    known = servers(2)
    call = Call(known, BlockJob(1), now=0, deadline=2)
    assert call.goes_on(0, Lost.LOST, 0)
    assert call.next(0) == 0
    assert call.goes_on(0, Lost.LOST, 0)
    assert call.next(0) == 1
    assert known.order(0) == [1, 0]


def test_demand_doubles_and_halves() -> None:
    demand = Demand(100)

    def after(demand: Demand, at: float, dropped: int = 0) -> int:
        size = demand.next_size(at, dropped)
        # One that fails shows no demand.
        assert demand.next_size(at, dropped) == size
        demand.succeeded()
        return size

    sizes = [after(demand, at) for at in (0, 0.05, 0.1, 0.15, 0.2, 0.5, 1.6, 3, 5, 7, 9)]
    assert sizes == [16, 32, 64, 100, 100, 100, 50, 25, 16, 16, 16]
    # What was dropped was not used.
    assert [after(demand, 9, dropped) for dropped in (5, 5, 6, 6)] == [16, 32, 32, 64]
    small = Demand(3)
    assert [after(small, at) for at in (0, 0.01, 5)] == [3, 3, 3]


def test_a_refill_asks_for_little_until_it_knows_how_much_it_may() -> None:
    job = RefillJob(1050)
    assert job.wants(None) == [REFILL_MIN]
    assert job.wants(500) == [500, 500, 50]
    job.took(Taken(1025, 500))
    assert job.wants(500) == [500, 50]
    assert job.wants(0)[0] == 1
    assert job.can_end()
    job.took(Taken(10_000_000 * 1024 + 2, 550))
    assert job.wants(500) == []
    assert job.drop(2) == 550
    assert job.blocks == [Taken(1025, 500)]


def identities(stock: Stock, count: int, now: float = 0) -> list[Optional[int]]:
    return [stock.take(now) for _ in range(count)]


def test_stock_hands_out_in_order_and_says_when_a_refill_is_due() -> None:
    stock = Stock()
    assert stock.take(0) is None
    assert stock.refill_is_due()
    stock.refill_begins()
    assert not stock.refill_is_due()
    assert stock.add([Taken(1025, 2), Taken(3073, 2)], fresh_until=10) == 4
    assert identities(stock, 1) == [1025]
    assert not stock.refill_is_due()
    assert identities(stock, 1) == [2049]
    assert stock.refill_is_due()
    stock.refill_begins()
    stock.refill_failed()
    assert identities(stock, 1) == [3073]
    assert stock.refill_is_due()
    assert identities(stock, 2) == [4097, None]
    assert (stock.given(), stock.newest(), stock.dropped(), stock.left()) == (4, 4097, 0, 0)


def test_the_quick_way_and_the_slow_way_are_the_same() -> None:
    chance = random.Random(7)
    for _ in range(200):
        quick, slow = Stock(), Stock()
        newest = 0
        for _ in range(60):
            what = chance.random()
            if what < 0.1:
                size = chance.randrange(1, 9)
                first = newest + chance.randrange(-3, 9) * 1024
                newest = max(newest, first + (size - 1) * 1024)
                for stock in (quick, slow):
                    stock.add([Taken(max(first, 1025), size)], 10)
            elif what < 0.15:
                seen = max(newest + chance.randrange(-5, 2) * 1024, 0)
                for stock in (quick, slow):
                    stock.observe(seen)
            elif what < 0.2:
                for stock in (quick, slow):
                    stock.refill_begins()
            else:
                expected = slow.take(0)
                if quick.next < quick.mark and quick.fresh_until > 0:
                    assert quick.next == expected
                    quick.next += 1024
                else:
                    assert quick.take(0) == expected
            assert quick.newest() == slow.newest()
            assert quick.left() == slow.left()
            assert quick.given() == slow.given()
            assert quick.dropped() == slow.dropped()
            assert quick.refill_is_due() == slow.refill_is_due()


def test_stock_that_is_old_is_dropped_part_by_part() -> None:
    stock = Stock()
    stock.add([Taken(1025, 2)], fresh_until=1)
    stock.add([Taken(3073, 2)], fresh_until=2)
    assert stock.take(0) == 1025
    assert stock.take(1.5) == 3073
    assert stock.take(2) is None
    assert stock.dropped() == 2


def test_stock_drops_one_pid_and_keeps_the_other() -> None:
    stock = Stock()
    stock.add([Taken(1025, 3)], 9)
    stock.add([Taken(5 * 1024 + 2, 3)], 9)
    stock.add([Taken(9 * 1024 + 1, 3)], 9)
    assert stock.take(0) == 1025
    stock.drop_pid(1)
    assert identities(stock, 4) == [5122, 6146, 7170, None]
    assert (stock.dropped(), stock.given()) == (5, 4)


def ask_and_get(count: int, *replies: bytes) -> list[object]:
    """What comes of so many asks for one, when this arrives."""
    link = Link("a:1", Seen(), 1, None, False)
    asks = [Ask(1) for _ in range(count)]
    link.ask(asks, 0)
    for reply in replies:
        link.received(reply, 0.5)
    return [ask.outcome for ask in asks]


def reply(first: int) -> bytes:
    return bytes.fromhex("000d02") + first.to_bytes(8, "big") + (1).to_bytes(4, "big")


def test_a_link_gives_each_ask_its_own_reply() -> None:
    assert ask_and_get(3, reply(1025), reply(2049)) == [Taken(1025, 1), Taken(2049, 1), None]
    halves = reply(1025)
    assert ask_and_get(1, halves[:4], halves[4:]) == [Taken(1025, 1)]


def test_an_ask_that_is_forgotten_keeps_its_place() -> None:
    link = Link("a:1", Seen(), 1, None, False)
    asks = [Ask(1) for _ in range(1024)] + [Ask(7), Ask(8)]
    link.ask(asks, 0)
    assert len(link.out) == 3 * 1024
    asks[0].forgotten = asks[1024].forgotten = True
    link.received(reply(1025), 0)
    # The one that was not written yet never is; the last one takes its turn.
    assert link.out[3 * 1024 :] == identity_request(8, 1025)
    assert asks[1].outcome is None
    link.received(reply(2049), 0)
    assert asks[1].outcome == Taken(2049, 1)


def test_each_reply_is_greater_than_the_one_before() -> None:
    first, second, third = ask_and_get(3, reply(2049), reply(2049))
    assert first == Taken(2049, 1)
    assert isinstance(second, ProtocolError)
    assert "2049, which came before" in str(second)
    # The connection is closed, and the third is asked again.
    assert third is Lost.LOST


def test_each_reply_has_its_own_time() -> None:
    link = Link("a:1", Seen(), 1, None, False)
    assert link.deadline() is None
    link.ask([Ask(1), Ask(1)], 10)
    assert link.deadline() == 11
    link.received(reply(1025), 10.9)
    assert link.deadline() == 11.9
    link.check(11.8)
    assert link.dead is None
    link.check(11.9)
    assert link.dead == Failure("no reply within 1 s")


def test_the_families_of_addresses_take_turns() -> None:
    def address(text: str) -> tuple[socket.AddressFamily, tuple[object, ...]]:
        return (socket.AF_INET6 if ":" in text else socket.AF_INET, (text, 1))

    def order(*texts: str) -> list[object]:
        return [place[0] for _, place in interleaved([address(text) for text in texts])]

    assert order() == []
    assert order("::1", "::2", "::3", "1.1.1.1") == ["::1", "1.1.1.1", "::2", "::3"]
    assert order("1.1.1.1", "1.1.1.2", "::1") == ["1.1.1.1", "::1", "1.1.1.2"]


def test_all_attempts_begin_within_the_time() -> None:
    for left, others, waits in [(2, 0, 2), (2, 1, 0.25), (2, 9, 0.2), (0.1, 1, 0.05), (0.1, 49, 0.01)]:
        assert delay(left, others) == pytest.approx(waits)


def test_only_a_connection_that_was_used_may_be_lost_while_idle() -> None:
    link = Link("a:1", Seen(), 1, None, False)
    link.ended()
    assert isinstance(link.dead, Failure)
    used = Link("a:1", Seen(), 1, None, False)
    used.ask([Ask(1)], 0)
    used.received(reply(1025), 0)
    used.ended()
    assert used.dead is Lost.LOST
