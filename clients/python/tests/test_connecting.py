"""Connecting has its own time, and outlives the call that began it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Callable

import pytest

import ipseity
from certificates import Certificates
from conftest import PATIENT
from flavours import Client
from scripted import Scripted, full_listener, serving
from test_fork import in_child

Make = Callable[..., Client]
Serve = Callable[..., Scripted]

LONG = 60.0

NO_CONNECTION = "no connection within the time of the call, 100 ms"


@pytest.fixture
def shakes_hands(stack: contextlib.ExitStack) -> Iterator[threading.Event]:
    # It is set before the servers on the stack end.
    event = threading.Event()
    yield event
    event.set()


def first_answer(ids: Client) -> int:
    """On a busy machine the time of one call may not be enough."""
    while True:
        try:
            return ids.next()
        except ipseity.UnavailableError:
            pass


def test_connecting_outlives_the_call_that_began_it_and_the_next_one_uses_it(
    certificates: Certificates, shakes_hands: threading.Event, server: Serve, client: Make
) -> None:
    one = server(again=serving, context=certificates.server("good"), shakes_hands=shakes_hands)
    ids = client(one.address, tls=certificates.client(), connect_timeout=LONG, reply_timeout=LONG, call_timeout=0.1)
    for _ in range(3):
        with pytest.raises(ipseity.UnavailableError, match=NO_CONNECTION):
            ids.next()
    assert ids.counters().failures == 0
    shakes_hands.set()
    first_answer(ids)
    assert one.connections == 1
    counters = ids.counters()
    assert (counters.connects, counters.failures) == (1, 0)


def test_connecting_that_fails_while_no_call_waits_is_a_failure_of_the_server(client: Make) -> None:
    with full_listener() as address:
        ids = client(address, connect_timeout=1, call_timeout=0.1)
        with pytest.raises(ipseity.UnavailableError, match=NO_CONNECTION):
            ids.next()
        assert ids.counters().failures == 0
        while ids.counters().failures == 0:
            time.sleep(0.01)
        assert ids.counters().connects == 0


def test_what_comes_after_close_is_closed(
    certificates: Certificates, shakes_hands: threading.Event, server: Serve
) -> None:
    one = server(again=serving, context=certificates.server("good"), shakes_hands=shakes_hands)
    ids = ipseity.Client(one.address, tls=certificates.client(), connect_timeout=LONG, call_timeout=0.1)
    with pytest.raises(ipseity.UnavailableError, match=NO_CONNECTION):
        ids.next()
    ids.close()
    while any(thread.name == "ipseity-connect" for thread in threading.enumerate()):
        time.sleep(0.01)
    assert ids.counters().connects == 0


def test_without_a_thread_a_call_connects_by_itself_within_its_time(
    server: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "ipseity-connect":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with ipseity.Client(server(again=serving).address, **PATIENT) as ids:
        assert [ids.next(), ids.next()] == [1025, 2049]
    with full_listener() as address:
        late = ipseity.Client(address, connect_timeout=LONG, call_timeout=0.1)
        with pytest.raises(ipseity.UnavailableError, match="no answer in time"):
            late.next()
        late.close()


def test_an_exception_of_a_signal_handler_while_the_thread_starts_costs_the_attempt_and_no_more(
    server: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        if thread.name == "ipseity-connect":
            raise KeyboardInterrupt

    one = server(again=serving)
    with ipseity.Client(one.address, **PATIENT) as ids:
        monkeypatch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ids.next()
        monkeypatch.undo()
        assert ids.next() == 1025
        counters = ids.counters()
    assert (counters.connects, counters.failures) == (1, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_child_does_not_wait_for_what_its_parent_connects() -> None:
    with full_listener() as address, ipseity.Client(address, connect_timeout=0.5, call_timeout=0.1) as ids:
        with pytest.raises(ipseity.UnavailableError, match=NO_CONNECTION):
            ids.next()

        def work() -> list[ipseity.Identity]:
            # Without an attempt of its own none would fail.
            while ids.counters().failures == 0:
                with pytest.raises(ipseity.UnavailableError):
                    ids.next()
            return [ipseity.Identity(1025)]

        assert in_child(work) == [1025]


@pytest.mark.parametrize("where", ["here", "at exit"])
def test_a_process_ends_while_it_connects(where: str) -> None:
    program = """if True:
        import atexit, sys, ipseity
        ids = ipseity.Client(sys.argv[1], connect_timeout=1000, call_timeout=0.1)
        def call():
            try:
                ids.next()
            except ipseity.UnavailableError as error:
                print(error)
        atexit.register(call) if sys.argv[2] == "at exit" else call()
    """
    with full_listener() as address:
        ran = subprocess.run(
            [sys.executable, "-c", program, address, where],
            env={**os.environ, "PYTHONPATH": str(pathlib.Path(ipseity.__file__).parents[1])},
            capture_output=True,
            text=True,
            timeout=LONG,
            check=True,
        )
    assert ran.stdout.startswith(address)
    assert ran.stderr == ""
