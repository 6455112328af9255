"""The way of one call through the servers: where to ask, what an outcome means for it, when to wait, when to end.

No I/O and no clock: whoever runs a call asks it what to do next, does that, and says what came of it.
"""

from __future__ import annotations

import random
from typing import Callable, NamedTuple, Optional, Union

from .errors import IpseityError, RefusedError, ServerFailure, UnavailableError
from .jobs import Job
from .limits import TIMER_EARLY, WAIT_FIRST, WAIT_MAX
from .link import Failure, Lost, Outcome, Taken
from .servers import Servers
from .text import seconds


class Wait(NamedTuple):
    """All servers have been tried: wait so many seconds, and begin again."""

    seconds: float


class Call:
    """A call that is under way."""

    def __init__(
        self, servers: Servers, job: Job, now: float, deadline: float, chance: Callable[[], float] = random.random
    ) -> None:
        self.job = job
        #: When its time is over.
        self.deadline = deadline
        self._time = deadline - now
        self._servers = servers
        self._chance = chance
        self._wait_max = WAIT_FIRST
        self._tried: set[int] = set()
        self._failures: dict[int, Failure] = {}
        self._was_lost = False
        self._is_late = False

    def next(self, now: float) -> Union[int, Wait]:
        """The place of the server to try next, or how long to wait. UnavailableError if the call is at its end."""
        if self.is_over(now):
            raise self._unavailable()
        untried = [place for place in self._servers.order(now) if place not in self._tried]
        if untried:
            return untried[0]
        if all(failure.lasting for failure in self._failures.values()):
            raise self._unavailable()
        wait = Wait(min(self._chance() * self._wait_max, self.deadline - now))
        self._wait_max = min(2 * self._wait_max, WAIT_MAX)
        self._tried.clear()
        return wait

    def failed(self, place: int, failure: Failure, now: float) -> None:
        """Notes why this server gave this call no answer."""
        self._tried.add(place)
        if self.is_over(now):
            # This try was cut short, so an earlier one knows more.
            self._failures.setdefault(place, failure)
        else:
            self._failures[place] = failure

    def goes_on(self, place: int, outcome: Union[Failure, Lost, IpseityError, None], now: float) -> bool:
        """Whether it goes on after this outcome at this server; None stands for all that was wanted.

        Raises the error, if the outcome is one.
        """
        if outcome is None or isinstance(outcome, RefusedError):
            self._servers.answered(place)
        if outcome is None:
            return False
        if isinstance(outcome, IpseityError):
            raise outcome.again()
        if self.job.can_end():
            return False
        if isinstance(outcome, Lost):
            if not self._was_lost:
                # It was closed while it was idle, and is made again once.
                self._was_lost = True
                return True
            outcome = Failure("the server closed the connection twice without a reply")
            self._servers.failed(place, outcome, now)
        self.failed(place, outcome, now)
        return True

    def late(self, what: str) -> Failure:
        """What is said of a server that the time of the call was not enough for. With it the call is at its end."""
        self._is_late = True
        return Failure(f"no {what} within the time of the call, {seconds(self._time)}")

    def is_over(self, now: float) -> bool:
        """Whether its time is."""
        return self._is_late or now >= self.deadline - TIMER_EARLY

    def _unavailable(self) -> UnavailableError:
        nothing = Failure("it was not asked: the time of the call was over before")
        addresses = self._servers.addresses
        failures = [self._failures.get(place, nothing) for place in range(len(addresses))]
        return UnavailableError(
            tuple(ServerFailure(str(address), f.cause, f.code) for address, f in zip(addresses, failures))
        )


def settle(
    job: Job, outcome: Outcome, count: int, count_max: Optional[int]
) -> Union[bool, Failure, Lost, IpseityError]:
    """Brings a job the outcome of its next request, which was for `count`.

    True: the reply to the next one follows. False: what is behind it is of no use, and the job says anew what it wants.
    All else ends the asking at this server.
    """
    if isinstance(outcome, Taken):
        job.took(outcome)
        return True
    if isinstance(outcome, RefusedError) and job.refused(outcome, count, count_max):
        return False
    return outcome
