"""Real servers under load: killed, frozen, and started again. No identity may come twice, and each worker's increase."""

from __future__ import annotations

import signal
import threading
import time
from typing import Callable, Union

import pytest

import ipseity
import real
from flavours import Client, Source

Run = Callable[..., real.Server]
LONG = 30.0


class Load:
    """Workers that call next again and again."""

    def __init__(self, ids: Union[Client, Source], workers: int) -> None:
        self.ids = ids
        self.got: list[list[int]] = [[] for _ in range(workers)]
        self.errors = 0
        self.longest = 0.0
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(mine,)) for mine in self.got]
        for thread in self.threads:
            thread.start()

    def work(self, mine: list[int]) -> None:
        while not self.ended.is_set():
            began = time.monotonic()
            try:
                mine.append(self.ids.next())
            except ipseity.UnavailableError:
                self.errors += 1
            self.longest = max(self.longest, time.monotonic() - began)

    def goes_on(self) -> None:
        """Waits until each worker has so many more that a source has taken several blocks."""
        more = 500 if self.ids.counters().refills else 50
        least = [len(mine) + more for mine in self.got]
        ends = time.monotonic() + LONG
        while any(len(mine) < count for mine, count in zip(self.got, least)):
            assert time.monotonic() < ends, "no identities come any more"
            time.sleep(0.01)

    def end(self) -> None:
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def check(self) -> None:
        everything = [identity for mine in self.got for identity in mine]
        assert len(set(everything)) == len(everything)
        for mine in self.got:
            assert all(one < other for one, other in zip(mine, mine[1:]))


@pytest.mark.parametrize("kind", ["client", "source"])
def test_servers_that_are_killed_and_frozen_under_load(
    kind: str, run_server: Run, client: Callable[..., Client], source: Callable[..., Source]
) -> None:
    servers = [run_server(pid) for pid in range(1, 4)]
    addresses = [one.address for one in servers]
    ids: Union[Client, Source] = client(*addresses, reply_timeout=0.3)
    if kind == "source":
        # Small blocks, so that a refill is always under way.
        ids = source(*addresses, reply_timeout=0.3, block_max=200)
    load = Load(ids, 4)
    try:
        load.goes_on()
        servers[0].signal(signal.SIGKILL)
        load.goes_on()
        servers[1].signal(signal.SIGSTOP)
        load.goes_on()
        servers[1].signal(signal.SIGCONT)
        port = servers[0].port
        servers[0].close()
        servers[0] = run_server(1, port=port)
        servers[2].signal(signal.SIGKILL)
        load.goes_on()
        servers[1].signal(signal.SIGKILL)
        load.goes_on()
    finally:
        for one in servers:
            if one.process.poll() is None:
                one.signal(signal.SIGCONT)
        load.end()
    load.check()
    assert ids.counters().failures >= 3


def test_a_server_gives_at_most_its_max_count(run_server: Run, client: Callable[..., Client]) -> None:
    ids = client(run_server(1, "--max-count", "5").address)
    assert len(ids.block(5)) == 5
    for count in (0, 6):
        with pytest.raises(ipseity.RefusedError) as caught:
            ids.block(count)
        assert caught.value.code == ipseity.Code.BAD_COUNT
    assert ids.counters().connects == 1


def test_a_source_copes_with_any_max_count(run_server: Run, source: Callable[..., Source]) -> None:
    ids = source(run_server(1, "--max-count", "3").address, cluster="ipseity")
    got = [ids.next() for _ in range(500)]
    assert got == sorted(set(got))
    assert ids.counters().connects == 1


def test_the_name_of_the_cluster_is_checked(run_server: Run, client: Callable[..., Client]) -> None:
    one = run_server(1, "--cluster", "blue")
    assert client(one.address, cluster="blue").next() == 1025
    with pytest.raises(ipseity.WrongClusterError, match="blue"):
        client(one.address, cluster="green").next()


def test_an_observed_identity_of_another_server_is_passed_on(run_server: Run, client: Callable[..., Client]) -> None:
    ids = client(run_server(7).address)
    ids.observe(1_000_000)
    assert ids.next() > 1_000_000
    ids.observe(2**63 - 1)
    with pytest.raises(ipseity.RefusedError) as caught:
        ids.next()
    assert caught.value.code == ipseity.Code.ADVANCE_TOO_LARGE
