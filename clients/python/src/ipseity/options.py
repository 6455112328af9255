"""The options of a client or a source, checked. Wrong ones are an error before anything is sent."""

from __future__ import annotations

import math
import ssl
from dataclasses import dataclass, field
from typing import Iterable, Optional, Union

from .address import ServerAddress
from .errors import ConfigurationError
from .frames import cluster_fault
from .limits import (
    BLOCK_AGE_MAX_DEFAULT,
    BLOCK_MAX_DEFAULT,
    BLOCK_MAX_MAX,
    CALL_TIMEOUT_DEFAULT,
    CLUSTER_BYTES_MAX,
    CONNECT_TIMEOUT_DEFAULT,
    IDLE_MAX_DEFAULT,
    REPLY_TIMEOUT_DEFAULT,
    SECONDS_MAX,
)
from .tls import check_context, tls_context
from .watching import Hooks


@dataclass(frozen=True)
class Options:
    """What a client is told when it is made. `ipseity.Client` says what each of them means."""

    servers: tuple[ServerAddress, ...]
    cluster: Optional[str] = None
    connect_timeout: float = CONNECT_TIMEOUT_DEFAULT
    reply_timeout: float = REPLY_TIMEOUT_DEFAULT
    call_timeout: float = CALL_TIMEOUT_DEFAULT
    idle_max: float = IDLE_MAX_DEFAULT
    tls: Optional[ssl.SSLContext] = None
    first: Optional[int] = None
    hooks: Hooks = field(default_factory=Hooks)
    #: A source sends the helloRequest always, and a client where it was told the name of the cluster.
    always_hello: bool = False

    def __post_init__(self) -> None:
        for name in ("connect_timeout", "reply_timeout", "call_timeout", "idle_max"):
            check_seconds(name, getattr(self, name))
        if self.cluster is not None and cluster_fault(self.cluster):
            raise ConfigurationError(
                f"cluster is {self.cluster!r}: it must be 1 to {CLUSTER_BYTES_MAX} bytes of UTF-8 without control characters"
            )
        if self.tls is not None:
            check_context(self.tls)
        elif any(server.tls for server in self.servers):
            object.__setattr__(self, "tls", tls_context())

    @property
    def hello(self) -> bool:
        """Whether a new connection begins with a helloRequest."""
        return self.always_hello or self.cluster is not None


def parse_servers(servers: Union[str, Iterable[str]]) -> tuple[ServerAddress, ...]:
    """The addresses of the list. A single text is a list of one."""
    texts = [servers] if isinstance(servers, str) else list(servers)
    if not texts:
        raise ConfigurationError("the list of servers is empty (name at least one, such as 127.0.0.1:3264)")
    return tuple(ServerAddress.parse(text) for text in texts)


def check_seconds(name: str, value: float) -> None:
    """ConfigurationError unless it is a time that can be waited for."""
    if not (isinstance(value, (int, float)) and math.isfinite(value) and 0 < value <= SECONDS_MAX):
        raise ConfigurationError(f"{name} is {value!r}: it must be more than 0 seconds, and at most {SECONDS_MAX:.0f}")


@dataclass(frozen=True)
class SourceOptions:
    """What only a source is told."""

    block_max: int = BLOCK_MAX_DEFAULT
    block_age_max: float = BLOCK_AGE_MAX_DEFAULT

    def __post_init__(self) -> None:
        check_seconds("block_age_max", self.block_age_max)
        if not (isinstance(self.block_max, int) and 1 <= self.block_max <= BLOCK_MAX_MAX):
            raise ConfigurationError(f"block_max is {self.block_max!r}: it must be 1 to {BLOCK_MAX_MAX} identities")
