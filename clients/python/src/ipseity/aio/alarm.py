"""A timer of an event loop that rings only when everything that had arrived before was read."""

from __future__ import annotations

import asyncio
from typing import Callable

from ..limits import LAST_LOOK


class Alarm:
    """Calls a function after so many seconds.

    A loop looks at its sockets first and at its timers then. If the process stands still between the two, because its
    machine is busy or it was stopped, a timer ends before a reply is read that came in time. So when the time is over, the
    loop looks at its sockets once more.
    """

    __slots__ = ("_loop", "_ring", "_timer")

    def __init__(self, delay: float, ring: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._ring = ring
        self._timer = self._loop.call_later(max(delay, 0), self._look_again)

    def cancel(self) -> None:
        """It does not ring any more."""
        self._timer.cancel()

    def _look_again(self) -> None:
        self._timer = self._loop.call_later(LAST_LOOK, self._ring)
