"""Measures identities a second beside what one would use instead in Python: python bench/bench.py SERVER.

What is not installed is left out: see bench/requirements.txt. Redis is measured where redis-server runs on REDIS_PORT.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import statistics
import sys
import threading
import time
import uuid
from typing import Any, Callable, Optional

import ipseity
from ipseity import aio

SECONDS = 0.5
ROUNDS = 5

Next = Callable[[], Any]


def rate(take: Next, per_call: int, threads: int) -> float:
    """Identities a second of so many threads, the median of several rounds."""
    return statistics.median(one_round(take, per_call, threads) for _ in range(ROUNDS))


def one_round(take: Next, per_call: int, threads: int) -> float:
    counts = [0] * threads
    ends = time.perf_counter() + SECONDS

    def work(mine: int) -> None:
        count = 0
        while time.perf_counter() < ends:
            # The clock is read once for many calls, unless a call takes long.
            for _ in range(10):
                take()
            count += 10
        counts[mine] = count

    began = time.perf_counter()
    workers = [threading.Thread(target=work, args=(mine,)) for mine in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) * per_call / (time.perf_counter() - began)


async def rate_of_tasks(take: Callable[[], Any], tasks: int) -> float:
    """The same for so many tasks."""

    async def work(ends: float) -> int:
        count = 0
        while time.perf_counter() < ends:
            for _ in range(10):
                await take()
            count += 10
            await asyncio.sleep(0)
        return count

    rates = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        counts = await asyncio.gather(*[work(began + SECONDS) for _ in range(tasks)])
        rates.append(sum(counts) / (time.perf_counter() - began))
    return statistics.median(rates)


def optional(name: str, make: Callable[[Any], Optional[Next]]) -> Optional[Next]:
    """What a package gives, if it is installed."""
    try:
        return make(importlib.import_module(name))
    except ImportError:
        print(f"left out: {name} is not installed")
        return None


def redis_incr(redis: Any) -> Optional[Next]:
    port = os.environ.get("REDIS_PORT")
    if port is None:
        print("left out: Redis, because REDIS_PORT is not set")
        return None
    client = redis.Redis(port=int(port))
    client.ping()
    return lambda: client.incr("ipseity-bench")


def snowflake(module: Any) -> Next:
    generator = module.SnowflakeGenerator(1)
    lock = threading.Lock()

    def take() -> int:
        # The generator is not for threads, and gives None where its sequence of this millisecond is used up.
        while True:
            with lock:
                identity = next(generator)
            if identity is not None:
                return int(identity)

    return take


async def measure_asyncio(server: str, rows: list[tuple[str, float, float]]) -> None:
    async with aio.Client(server) as client, aio.Source(server) as source:
        rows.append(("aio.Client.next", await rate_of_tasks(client.next, 1), await rate_of_tasks(client.next, 8)))
        rows.append(("aio.Source.next", await rate_of_tasks(source.next, 1), await rate_of_tasks(source.next, 8)))


def main(server: str) -> None:
    rows: list[tuple[str, float, float]] = []
    with ipseity.Client(server) as client, ipseity.Source(server) as source:
        others: list[tuple[str, Optional[Next], int]] = [
            ("Client.next", client.next, 1),
            ("Client.block(1000)", lambda: client.block(1000), 1000),
            ("Source.next", source.next, 1),
            ("uuid.uuid4", uuid.uuid4, 1),
            ("UUIDv7 (uuid6)", optional("uuid6", lambda module: module.uuid7), 1),
            ("ULID (python-ulid)", optional("ulid", lambda module: module.ULID), 1),
            ("Snowflake (snowflake-id)", optional("snowflake", snowflake), 1),
            ("Redis INCR (redis)", optional("redis", redis_incr), 1),
        ]
        for name, take, per_call in others:
            if take is not None:
                rows.append((name, rate(take, per_call, 1), rate(take, per_call, 8)))
        print("the source:", source.counters())
    asyncio.run(measure_asyncio(server, rows))
    source_one, source_eight = next((one, eight) for name, one, eight in rows if name == "Source.next")
    print("\n| identities a second | 1 thread or task | 8 | 1, to `Source` | 8, to `Source` |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, one, eight in rows:
        print(f"| {name} | {one:.0f} | {eight:.0f} | {one / source_one:.4f} | {eight / source_eight:.4f} |")


if __name__ == "__main__":
    main(sys.argv[1] if sys.argv[1:] else "127.0.0.1")
