"""Which servers are avoided, and in which order they are tried. No I/O and no clock."""

from __future__ import annotations

import random
from typing import Optional, Sequence

from .address import ServerAddress
from .errors import ConfigurationError
from .limits import AVOID_FIRST, AVOID_MAX
from .link import Failure
from .watching import Events


class _Record:
    """What is remembered of one server."""

    __slots__ = ("avoided_until", "failures_in_row")

    def __init__(self) -> None:
        self.failures_in_row = 0
        self.avoided_until = 0.0


class Servers:
    """The list of servers, and what is remembered of each. A server is named by its place in the list."""

    def __init__(self, addresses: Sequence[ServerAddress], events: Events, first: Optional[int] = None) -> None:
        """Begins at a random one, unless `first` says at which. Those who watch are told by `events` of each failure."""
        if first is not None and not 0 <= first < len(addresses):
            raise ConfigurationError(f"first={first} is no place in a list of {len(addresses)} servers")
        self.addresses = tuple(addresses)
        self._events = events
        self._current = random.randrange(len(addresses)) if first is None else first
        self._records = [_Record() for _ in addresses]

    def order(self, now: float) -> list[int]:
        """The servers in the order in which they are tried: those that are avoided come last."""
        count = len(self.addresses)
        circle = [(self._current + step) % count for step in range(count)]
        good = [place for place in circle if self._records[place].avoided_until <= now]
        avoided = [place for place in circle if self._records[place].avoided_until > now]
        return good + sorted(avoided, key=lambda place: self._records[place].avoided_until)

    def failed(self, place: int, failure: Failure, now: float) -> None:
        """Avoids this server for a while, twice as long after each further failure in a row."""
        self._events.failed(str(self.addresses[place]), failure.cause)
        record = self._records[place]
        # The exponent is bounded, because a float is.
        avoided_for = min(AVOID_FIRST * 2.0 ** min(record.failures_in_row, 10), AVOID_MAX)
        record.failures_in_row += 1
        record.avoided_until = now + avoided_for

    def answered(self, place: int) -> None:
        """Stays with this server."""
        self._current = place
        record = self._records[place]
        if record.failures_in_row:
            record.failures_in_row = 0
            record.avoided_until = 0.0
