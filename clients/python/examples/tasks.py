"""The same with asyncio: python examples/tasks.py [SERVER...]."""

from __future__ import annotations

import asyncio
import sys

from ipseity import aio


async def main(servers: list[str]) -> None:
    async with aio.Client(servers) as client, aio.Source(servers) as source:
        ordered = await asyncio.gather(*[client.next() for _ in range(100)])
        print(f"{len(set(ordered))} different identities over one connection")
        # What the source returns from here on is greater.
        source.observe(max(ordered))
        print(f"the source goes on above them: {await source.next() > max(ordered)}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:] or ["127.0.0.1"]))
