"""A process that stands still for a while, because its machine has other things to do, or it was stopped."""

from __future__ import annotations

import asyncio
import selectors
import threading
import time
from typing import Any, Callable, Optional

import pytest

import ipseity.aio
from scripted import Connection, Scripted, serving

#: How long it stands still.
STALL = 15.0


class Clock:
    """The clock of the process. What it stands still for takes no time of the test."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return time.monotonic() + self.ahead


class Stalling(selectors.DefaultSelector):
    """What an event loop finds its sockets with. Once it has found nothing, the process stands still, and then goes on."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        #: Set by the server when it has a request.
        self.asked = threading.Event()
        #: Lets the server reply.
        self.stands_still = threading.Event()

    def select(self, timeout: Optional[float] = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0 if timeout == 0 else 0.01)
        if self.asked.is_set() and not found and not self.stands_still.is_set():
            self.stands_still.set()
            while not super().select(1):
                pass
            self.clock.ahead += STALL
        return found


@pytest.mark.parametrize(
    "times",
    [{"reply_timeout": 10, "call_timeout": 1000}, {"reply_timeout": 1000, "call_timeout": 10}],
    ids=["reply", "call"],
)
def test_a_reply_that_came_in_time_is_read_late(
    times: dict[str, Any], server: Callable[..., Scripted], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    for module in ("exchange", "line"):
        monkeypatch.setattr(f"ipseity.aio.{module}.monotonic", clock.now)
    selector = Stalling(clock)

    def slow(connection: Connection) -> None:
        connection.serve(1)
        request = connection.request()
        selector.asked.set()
        selector.stands_still.wait()
        connection.answer(request)
        connection.serve()

    one, other = server(slow), server(again=serving, pid=2)

    async def main() -> None:
        async with ipseity.aio.Client([one.address, other.address], first=0, connect_timeout=1000, **times) as ids:
            assert await ids.next() == 1025
            assert await ids.next() == 2049
            assert ids.counters().failures == 0

    loop = asyncio.SelectorEventLoop(selector)
    monkeypatch.setattr(loop, "time", clock.now)
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()
    assert selector.stands_still.is_set()
