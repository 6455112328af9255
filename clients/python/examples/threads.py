"""Many threads share a source: python examples/threads.py [SERVER...]."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import ipseity


def main(servers: list[str]) -> None:
    with ipseity.Source(servers) as source, ThreadPoolExecutor(8) as pool:
        lists = list(pool.map(lambda _: [source.next() for _ in range(1000)], range(8)))
    identities = {identity for mine in lists for identity in mine}
    print(f"{len(identities)} different identities in 8 threads, each in order: {all(m == sorted(m) for m in lists)}")


if __name__ == "__main__":
    main(sys.argv[1:] or ["127.0.0.1"])
