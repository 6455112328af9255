"""What a source holds, and when it needs more. No I/O, no lock and no clock: its owner has those."""

from __future__ import annotations

from collections import deque
from typing import Iterable, Optional

from .identity import PID_MAX, STRIDE
from .limits import REFILL_LATE, REFILL_MIN, REFILL_SOON
from .link import Taken


class Demand:
    """How large a refill should be: as large as the demand, which shows in how soon the next one is needed."""

    __slots__ = ("_begun", "_last", "_least", "_most")

    def __init__(self, block_max: int) -> None:
        self._least = min(REFILL_MIN, block_max)
        self._most = block_max
        #: The last refill that has brought something, and the one that began last: when it began, its size, and how many
        #: identities had been dropped by then.
        self._last: Optional[tuple[float, int, int]] = None
        self._begun: Optional[tuple[float, int, int]] = None

    def next_size(self, now: float, dropped: int) -> int:
        """How many identities the refill that begins now should bring. So many were dropped since the beginning."""
        size = self._least
        if self._last is not None:
            begun_at, size, dropped_before = self._last
            passed = now - begun_at
            # What was dropped is gone sooner, but nobody has used it.
            if passed < REFILL_SOON and dropped == dropped_before:
                size = min(2 * size, self._most)
            elif passed > REFILL_LATE:
                size = max(size // 2, self._least)
        self._begun = (now, size, dropped)
        return size

    def succeeded(self) -> None:
        """The refill that began last has brought something. One that fails shows no demand."""
        self._last = self._begun


class _Part:
    """Identities in a row that are not in use yet."""

    __slots__ = ("end", "first", "fresh_until")

    def __init__(self, first: int, end: int, fresh_until: float) -> None:
        self.first = first
        self.end = end
        self.fresh_until = fresh_until

    def count(self) -> int:
        return (self.end - self.first) // STRIDE


class Stock:
    """The identities that a source holds.

    The quick way to take one is for its owner, who holds the lock: if `next < mark` and the time is before
    `fresh_until`, `next` is the identity, and it is moved on by STRIDE. In all other cases `take` says what there is.
    One comparison with the mark stands for two questions: whether there is one, and whether it is time for a refill.
    """

    __slots__ = (
        "_dropped",
        "_end",
        "_floor",
        "_given",
        "_mark_wanted",
        "_parts",
        "_start",
        "fresh_until",
        "mark",
        "next",
    )

    def __init__(self) -> None:
        # start <= next <= mark <= end
        self._start = 0
        self.next = 0
        self.mark = 0
        self._end = 0
        #: When what is in use is too old.
        self.fresh_until = 0.0
        self._parts: deque[_Part] = deque()
        #: At so many that are left, a refill is due; None while one is under way.
        self._mark_wanted: Optional[int] = 0
        #: What is handed out is greater than this: the newest that was handed out before `start`, or observed.
        self._floor = 0
        self._given = 0
        self._dropped = 0

    def take(self, now: float) -> Optional[int]:
        """The next identity, or None if there is none."""
        if now >= self.fresh_until:
            self._drop_old(now)
        if self.next >= self._end and not self._advance():
            return None
        taken = self.next
        self.next = taken + STRIDE
        if self.next > self.mark:
            self._set_mark()
        return taken

    def add(self, blocks: Iterable[Taken], fresh_until: float) -> int:
        """Takes what a refill has brought. Returns how many; what is not greater than all before is dropped."""
        added = []
        least = max(self.newest(), self._last_held())
        for first, count in blocks:
            if first <= least:
                self._dropped += count
                continue
            end = first + count * STRIDE
            if self._parts and self._parts[-1].end == first and self._parts[-1].fresh_until == fresh_until:
                self._parts[-1].end = end
            else:
                self._parts.append(_Part(first, end, fresh_until))
            least = end - STRIDE
            added.append(count)
        # When half of what was taken last is left, the next refill is due.
        self._mark_wanted = sum(added) // 2
        self._set_mark()
        return sum(added)

    def refill_is_due(self) -> bool:
        """Whether so little is left that the next refill should begin."""
        return self._mark_wanted is not None and self.left() <= self._mark_wanted

    def refill_begins(self) -> None:
        """One is under way: it is not due until it has ended."""
        self._mark_wanted = None
        self._set_mark()

    def refill_failed(self) -> None:
        """It has brought nothing. The next call begins another one."""
        self._mark_wanted = self.left()
        self._set_mark()

    def observe(self, identity: int) -> None:
        """Drops what it holds if that is not all greater than this identity, which came another way."""
        first = self.next if self.next < self._end else self._parts[0].first if self._parts else 0
        if identity >= first:
            self.drop_all()
        if identity > self.newest():
            self._settle()
            self._floor = identity

    def drop_pid(self, pid: int) -> None:
        """Drops what it holds of this pid."""
        if self.next < self._end and self.next & PID_MAX == pid:
            self._drop_current()
        for part in self._parts:
            if part.first & PID_MAX == pid:
                self._dropped += part.count()
        self._parts = deque(part for part in self._parts if part.first & PID_MAX != pid)
        self._set_mark()

    def drop_all(self) -> None:
        """Drops all that it holds."""
        self._drop_current()
        for part in self._parts:
            self._dropped += part.count()
        self._parts.clear()
        self._set_mark()

    def note_dropped(self, count: int) -> None:
        """Counts identities that were dropped before they came here."""
        self._dropped += count

    def left(self) -> int:
        """How many it holds."""
        return (self._end - self.next) // STRIDE + sum(part.count() for part in self._parts)

    def newest(self) -> int:
        """The newest that was handed out or observed; 0 for none."""
        return self.next - STRIDE if self.next > self._start else self._floor

    def given(self) -> int:
        """How many were handed out."""
        return self._given + (self.next - self._start) // STRIDE

    def dropped(self) -> int:
        """How many were dropped."""
        return self._dropped

    def _last_held(self) -> int:
        if self._parts:
            return self._parts[-1].end - STRIDE
        return self._end - STRIDE if self.next < self._end else 0

    def _settle(self) -> None:
        """Notes what was handed out of the part in use, which from now on begins at `next`."""
        self._floor = max(self._floor, self.newest())
        self._given += (self.next - self._start) // STRIDE
        self._start = self.next

    def _drop_current(self) -> None:
        self._settle()
        self._dropped += (self._end - self.next) // STRIDE
        self._end = self.mark = self.next

    def _drop_old(self, now: float) -> None:
        self._drop_current()
        while self._parts and self._parts[0].fresh_until <= now:
            self._dropped += self._parts.popleft().count()
        self._set_mark()

    def _advance(self) -> bool:
        """Goes on with the next part, if there is one."""
        self._settle()
        if not self._parts:
            return False
        part = self._parts.popleft()
        self._start = self.next = part.first
        self._end = part.end
        self.fresh_until = part.fresh_until
        self._set_mark()
        return True

    def _set_mark(self) -> None:
        """Where the quick way ends: at the end of the part, or at the identity after which the refill is due."""
        self.mark = self._end
        if self._mark_wanted is not None:
            over = self.left() - self._mark_wanted - 1
            self.mark = max(self.next, min(self._end, self.next + over * STRIDE))
