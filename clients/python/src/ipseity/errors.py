"""Why a call failed: one base class, and one class for each thing that a caller can do something about.

A call that the caller cancels ends with asyncio.CancelledError, and with none of these.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

from . import codes
from .text import plain


class IpseityError(Exception):
    """The base class of all errors of this library."""

    def again(self) -> IpseityError:
        """The same error for another caller. One that is raised twice would show the way of both."""
        return type(self)(*self.args)


class ConfigurationError(IpseityError, ValueError):
    """An address, an option or a text is wrong. Nothing was sent. Correct the program."""


class ServerFailure(NamedTuple):
    """A server that gave no answer in a call, and what happened there last."""

    #: The server, as `HOST:PORT` with `tls://` before it where it is spoken to by TLS.
    server: str
    #: What happened, in words.
    cause: str
    #: The code of its errorReply, if it sent one.
    code: Optional[int] = None

    def __str__(self) -> str:
        return f"{self.server}: {self.cause}"


class UnavailableError(IpseityError):
    """No server answered in time. To ask again later is safe. `failures` has every server with its last failure."""

    def __init__(self, failures: tuple[ServerFailure, ...]) -> None:
        super().__init__(failures)
        self.failures = failures

    def __str__(self) -> str:
        listed = "; ".join(str(failure) for failure in self.failures)
        if len(self.failures) == 1:
            return f"{listed} (try again later; if it goes on, look at the server)"
        return (
            f"none of {len(self.failures)} servers answered: {listed} "
            "(try again later; if it goes on, look at the servers)"
        )


class RefusedError(IpseityError):
    """A server refused this request, and others would say the same. Correct the request."""

    def __init__(self, server: str, code: int, text: str) -> None:
        super().__init__(server, code, text)
        #: The server that answered.
        self.server = server
        #: The code of its errorReply. `ipseity.Code` has those that this version knows.
        self.code = code
        #: Its text, for people.
        self.text = text

    def __str__(self) -> str:
        code = codes.name(self.code)
        return f"{self.server} refused the request with {code}: {plain(self.text)} ({codes.advice(self.code)})"


class WrongClusterError(IpseityError):
    """A server is of another cluster than the client was told. Nothing of it was used.

    Correct the list of servers, or the name.
    """

    def __init__(self, server: str, text: str) -> None:
        super().__init__(server, text)
        self.server = server
        self.text = text

    def __str__(self) -> str:
        return (
            f"{self.server} is of another cluster: {plain(self.text)} "
            "(correct the list of servers, or the name of the cluster)"
        )


class ProtocolError(IpseityError):
    """A server broke the protocol. Nothing of its reply was used, and no other server was asked.

    Check that it is an Ipseity server, and its version.
    """

    def __init__(self, server: str, text: str) -> None:
        super().__init__(server, text)
        self.server = server
        self.text = text

    def __str__(self) -> str:
        return f"{self.server} breaks the protocol: {plain(self.text)} (check that it is an Ipseity server, and its version)"


class ClosedError(IpseityError):
    """The client or source was closed before the call, or during it."""

    def __str__(self) -> str:
        return "the client or source was closed (make a new one to go on)"
