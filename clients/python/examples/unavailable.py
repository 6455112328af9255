"""What a program can do about errors: python examples/unavailable.py [SERVER...]."""

from __future__ import annotations

import sys

import ipseity


def main(servers: list[str]) -> None:
    with ipseity.Client(servers, call_timeout=1, on_failover=lambda *what: print("failed: ", *what)) as client:
        try:
            print("got", client.next())
        except ipseity.UnavailableError as error:
            for failure in error.failures:
                print(f"try again later; {failure.server} has not answered: {failure.cause}")
        except ipseity.RefusedError as error:
            print(f"the request is wrong: {error.text} ({error.code})")


if __name__ == "__main__":
    main(sys.argv[1:] or ["127.0.0.1"])
