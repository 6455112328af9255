"""Where a server is: a host and a port, as text, and whether it is spoken to by TLS. No lookups happen here."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple, Optional

from .errors import ConfigurationError
from .limits import PORT_DEFAULT
from .text import is_plain, quoted

_TLS = "tls://"
_PORT = re.compile(r"[0-9]{1,5}")
_SHAPE = "[tls://]HOST[:PORT]"
_NO_HOST = "it names no host"
_NO_PORT = "its port is not 1 to 65535"
_BRACKETS = "an IPv6 address with a port is written [::1]:3264"


class ServerAddress(NamedTuple):
    """A server of the list. `str` writes what `parse` reads."""

    #: The host name or IP address; an IPv6 address without its brackets.
    host: str
    #: 1 to 65535.
    port: int
    #: Whether it is spoken to by TLS.
    tls: bool = False

    @classmethod
    def parse(cls, text: str) -> ServerAddress:
        """Reads `HOST`, `HOST:PORT` or `[IPV6]:PORT`, perhaps with `tls://` before it.

        Without a port it is 3264. ConfigurationError if the text is no address.
        """
        place = text[len(_TLS) :] if text.startswith(_TLS) else text
        if "://" in place:
            raise ConfigurationError(
                f"{quoted(text)} is not an address ({_SHAPE}): tls://, in small letters, is the one scheme that there is, "
                "and an address without it is spoken to without TLS"
            )
        host, port = _parts(place, text)
        number = PORT_DEFAULT if port is None else int(port) if _PORT.fullmatch(port) else 0
        if not 1 <= number <= 65535:
            raise _wrong(text, _NO_PORT)
        return cls(host, number, text.startswith(_TLS))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{_TLS if self.tls else ''}{host}:{self.port}"


def _parts(place: str, text: str) -> tuple[str, Optional[str]]:
    """The host and the port, which may be missing. `text` is what an error shows."""
    if _is_v6(place):
        return place, None
    if place.startswith("["):
        host, bracket, behind = place[1:].partition("]")
        if not bracket or not _is_v6(host) or not (behind == "" or behind.startswith(":")):
            raise _wrong(text, _BRACKETS)
        return host, behind[1:] if behind else None
    host, colon, port = place.partition(":")
    if not host or _has_odd(host):
        raise _wrong(text, _NO_HOST)
    return host, port if colon else None


def is_ip(host: str) -> bool:
    """Whether this host is an IP address, so that nobody has to look it up."""
    if _is_v6(host):
        return True
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def _is_v6(text: str) -> bool:
    """Whether this is an IPv6 address, perhaps with the zone in which it counts (RFC 4007, section 11)."""
    address, percent, zone = text.partition("%")
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return not percent or (zone != "" and ":" not in zone and not _has_odd(zone))


def _has_odd(text: str) -> bool:
    """Whether it has a character that no host can have."""
    return any(c in "[]/%" or c.isspace() or not is_plain(c) for c in text)


def _wrong(text: str, reason: str) -> ConfigurationError:
    return ConfigurationError(f"{quoted(text)} is not an address ({_SHAPE}): {reason}")
