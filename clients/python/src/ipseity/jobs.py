"""What a call asks for, whichever servers it takes: one block, or a refill of a source. No I/O.

Whoever runs a job asks it what it still wants, sends that, and brings it what comes, until it wants nothing.
"""

from __future__ import annotations

from typing import Optional, Protocol

from .codes import Code
from .errors import RefusedError
from .identity import PID_MAX
from .limits import REFILL_MIN
from .link import Taken


class Job(Protocol):
    """What a call asks for."""

    def wants(self, count_max: Optional[int]) -> list[int]:
        """The counts of the requests to send now.

        `count_max` is the most that the server gives to one request, if it is known. Empty when all is done.
        """

    def took(self, taken: Taken) -> None:
        """Takes the reply to the first of what it wanted."""

    def refused(self, error: RefusedError, count: int, count_max: Optional[int]) -> bool:
        """A server has refused a request for `count`. Whether to ask again, and not to end the call."""

    def can_end(self) -> bool:
        """Whether what it has is enough, when a server has failed."""


class BlockJob:
    """One block, with one request."""

    __slots__ = ("_count", "taken")

    def __init__(self, count: int) -> None:
        self._count = count
        self.taken: Optional[Taken] = None

    def wants(self, count_max: Optional[int]) -> list[int]:
        """See Job. The caller has said how many; a server that gives fewer refuses."""
        return [] if self.taken else [self._count]

    def took(self, taken: Taken) -> None:
        """See Job."""
        self.taken = taken

    def refused(self, error: RefusedError, count: int, count_max: Optional[int]) -> bool:
        """See Job. What the caller wants is refused."""
        return False

    def can_end(self) -> bool:
        """See Job. It has nothing."""
        return False


class RefillJob:
    """As many identities as a source needs, with as many requests as that takes."""

    __slots__ = ("_wanted", "blocks")

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self.blocks: list[Taken] = []

    def wants(self, count_max: Optional[int]) -> list[int]:
        """See Job. As long as nobody has said how much a request may ask for, it is one request for little."""
        if self._wanted <= 0:
            return []
        if count_max is None:
            return [min(self._wanted, REFILL_MIN)]
        most = max(count_max, 1)
        whole, rest = divmod(self._wanted, most)
        return [most] * whole + ([rest] if rest else [])

    def took(self, taken: Taken) -> None:
        """See Job."""
        self._wanted -= taken.size
        self.blocks.append(taken)

    def refused(self, error: RefusedError, count: int, count_max: Optional[int]) -> bool:
        """See Job. The count was a guess if the helloReply came together with this answer."""
        return error.code == Code.BAD_COUNT and count_max is not None and 1 <= count_max < count

    def can_end(self) -> bool:
        """See Job. Some is better than an error."""
        return bool(self.blocks)

    def drop(self, pid: int) -> int:
        """Forgets what came of this pid, and wants as many again. Returns how many."""
        dropped = [block for block in self.blocks if block.first & PID_MAX == pid]
        self.blocks = [block for block in self.blocks if block not in dropped]
        size = sum(block.size for block in dropped)
        self._wanted += size
        return size
