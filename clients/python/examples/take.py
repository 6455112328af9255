"""Takes identities from a server: python examples/take.py [SERVER...]."""

from __future__ import annotations

import sys

import ipseity


def main(servers: list[str]) -> None:
    with ipseity.Client(servers) as client:
        identity = client.next()
        print(f"{identity} is sequence {identity.sequence} of pid {identity.pid}")
        block = client.block(1000)
        print(f"{len(block)} more with one request, from {block.first.base32()} to {block.last.base32()}")


if __name__ == "__main__":
    main(sys.argv[1:] or ["127.0.0.1"])
