"""Unique, increasing 63-bit identities from Ipseity servers.

    from ipseity import Client, Source

    client = Client(["id1.example", "id2.example"])  # asks a server for each call
    source = Source(["id1.example", "id2.example"])  # keeps a block, and takes the next one ahead of need
    print(client.next(), source.next())

`ipseity.aio` has the same two for asyncio.
"""

from .address import ServerAddress
from .codes import Code
from .errors import (
    ClosedError,
    ConfigurationError,
    IpseityError,
    ProtocolError,
    RefusedError,
    ServerFailure,
    UnavailableError,
    WrongClusterError,
)
from .identity import Block, Identity
from .threads.client import Client
from .threads.source import Source
from .tls import tls_context
from .watching import Counters

__version__ = "0.2.0"

__all__ = [
    "Block",
    "Client",
    "ClosedError",
    "Code",
    "ConfigurationError",
    "Counters",
    "Identity",
    "IpseityError",
    "ProtocolError",
    "RefusedError",
    "ServerAddress",
    "ServerFailure",
    "Source",
    "UnavailableError",
    "WrongClusterError",
    "tls_context",
]
