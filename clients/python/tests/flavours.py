"""The two libraries behind one face, so that each test holds both: threads as they are, asyncio in a thread with a loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine
from typing import Any, Callable, Optional, TypeVar, Union

import ipseity
from ipseity import aio

T = TypeVar("T")


class Threads:
    """ipseity.Client and ipseity.Source."""

    name = "threads"

    def client(self, *servers: str, **options: Any) -> ipseity.Client:
        return ipseity.Client(servers, **options)

    def source(self, *servers: str, **options: Any) -> ipseity.Source:
        return ipseity.Source(servers, **options)

    def close(self) -> None: ...


class _Blocking:
    """A client or source of asyncio that is called from threads."""

    def __init__(self, loop: Loop, inner: Union[aio.Client, aio.Source]) -> None:
        self.loop, self.inner = loop, inner

    def next(self) -> ipseity.Identity:
        return self.loop.run(self.inner.next())

    def block(self, count: int) -> ipseity.Block:
        assert isinstance(self.inner, aio.Client)
        return self.loop.run(self.inner.block(count))

    def observe(self, identity: int) -> None:
        self.loop.call(lambda: self.inner.observe(identity))

    def newest(self) -> Optional[ipseity.Identity]:
        return self.loop.call(self.inner.newest)

    def counters(self) -> ipseity.Counters:
        return self.loop.call(self.inner.counters)

    def close(self) -> None:
        self.loop.run(self.inner.close())


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def start(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def call(self, function: Callable[[], T]) -> T:
        async def run() -> T:
            return function()

        return self.run(run())

    def close(self) -> None:
        self.run(self.loop.shutdown_default_executor())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


class Tasks:
    """aio.Client and aio.Source."""

    name = "asyncio"

    def __init__(self) -> None:
        self.loop = Loop()

    def client(self, *servers: str, **options: Any) -> _Blocking:
        return _Blocking(self.loop, aio.Client(servers, **options))

    def source(self, *servers: str, **options: Any) -> _Blocking:
        return _Blocking(self.loop, aio.Source(servers, **options))

    def close(self) -> None:
        self.loop.close()


Flavour = Union[Threads, Tasks]
Client = Union[ipseity.Client, _Blocking]
Source = Union[ipseity.Source, _Blocking]


def in_threads(count: int, work: Callable[[], T]) -> list[T]:
    """What so many threads return that do the same at once."""
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(work) for _ in range(count)]]
