"""A forked child begins with new locks, new connections and an empty block."""

from __future__ import annotations

import os
import pickle
import sys
import threading
import traceback
from typing import Callable

import pytest

import ipseity
from scripted import Scripted, serving

Serve = Callable[..., Scripted]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


def in_child(work: Callable[[], list[ipseity.Identity]]) -> list[ipseity.Identity]:
    """What `work` returns in a forked child."""
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writable, pickle.dumps(work()))
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
        finally:
            os._exit(0)
    os.close(writable)
    data = b""
    while piece := os.read(readable, 65536):
        data += piece
    os.close(readable)
    os.waitpid(child, 0)
    got = pickle.loads(data)
    assert isinstance(got, list)
    return got


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_child_repeats_nothing_of_its_parent(server: Serve) -> None:
    one = server(again=serving)
    with ipseity.Source(one.address) as held, ipseity.Client(one.address) as ids:
        before = [held.next() for _ in range(5)] + [ids.next()]

        def work() -> list[ipseity.Identity]:
            return [held.next() for _ in range(30)] + [ids.next() for _ in range(5)]

        first, second = in_child(work), in_child(work)
        after = work()
    everything = before + first + second + after
    assert len(set(everything)) == len(everything)
    assert first[0] > before[4]
    # Two connections of the parent, and two of each child.
    assert one.connections == 6


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_child_does_not_wait_for_a_lock_of_its_parent(server: Serve) -> None:
    one = server(again=serving)
    with ipseity.Source(one.address) as held, ipseity.Client(one.address) as ids:
        held.next()
        ids.next()
        ended = threading.Event()

        def busy() -> None:
            while not ended.is_set():
                held.next()
                ids.next()

        threads = [threading.Thread(target=busy) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            lists = [in_child(lambda: [held.next(), ids.next()]) for _ in range(20)]
        finally:
            ended.set()
            for thread in threads:
                thread.join()
        everything = [identity for mine in lists for identity in mine]
        assert len(set(everything)) == 40


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_child_connects_anew_without_a_failure(server: Serve) -> None:
    one = server(again=serving)
    with ipseity.Client(one.address) as ids:
        ids.next()

        def work() -> list[ipseity.Identity]:
            ids.next()
            counters = ids.counters()
            return [ipseity.Identity(number) for number in counters[:4]]

        assert in_child(work) == [1, 1, 1, 0]


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_child_has_a_lock_of_its_own(server: Serve) -> None:
    one = server(again=serving)
    with ipseity.Source(one.address) as held, ipseity.Client(one.address) as ids:
        # As if other threads were in the middle of a call.
        with held._lock, held._exchange._lock, ids._exchange._lock:
            got = in_child(lambda: [held.next(), ids.next()])
        assert len(set(got)) == 2


def test_a_child_does_not_end_the_connection_of_its_parent(server: Serve) -> None:
    one = server(again=serving)
    with ipseity.Client(one.address) as ids:
        ids.next()

        def work() -> list[ipseity.Identity]:
            ids.close()
            return []

        in_child(work)
        assert ids.next() == 2049
    assert one.connections == 1
