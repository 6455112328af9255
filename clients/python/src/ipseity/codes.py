"""The codes of an errorReply, and what a client does on each (docs/clients.md, What an error means)."""

from __future__ import annotations

import enum


class Code(enum.IntEnum):
    """A code of an errorReply that this version knows. Servers may have more."""

    UNKNOWN_KIND = 1
    BAD_LENGTH = 2
    BAD_BODY = 3
    INCOMPLETE = 4
    TOO_MANY_CONNECTIONS = 5
    TLS_REQUIRED = 6
    TLS_NOT_OFFERED = 7
    CERTIFICATE_REFUSED = 8
    BAD_COUNT = 32
    ADVANCE_TOO_LARGE = 33
    EXHAUSTED = 34
    STORAGE = 35
    STOPPING = 36
    PID_CONFLICT = 37
    STALE_STATE = 38
    OVER_BUDGET = 39
    JOINING = 40
    NOT_TRUSTED = 41
    UNKNOWN_PID = 42
    STORE_UNAVAILABLE = 43
    FOREIGN_CLUSTER = 64
    FOREIGN_VERSION = 65
    SAME_PID = 66
    ONESELF = 67
    NOT_A_PEER = 68
    BOOT_TOO_FAR = 69
    HELD_BY_ANOTHER = 70


class Action(enum.Enum):
    """What a client does when it gets a code."""

    #: It goes on to the next server.
    ELSEWHERE = "elsewhere"
    #: It ends the call: others would say the same.
    REFUSED = "refused"
    #: It ends the call: the server is of another cluster.
    WRONG_CLUSTER = "wrongCluster"


_ELSEWHERE = frozenset(
    {
        Code.TOO_MANY_CONNECTIONS,
        Code.TLS_REQUIRED,
        Code.TLS_NOT_OFFERED,
        Code.CERTIFICATE_REFUSED,
        Code.EXHAUSTED,
        Code.STORAGE,
        Code.STOPPING,
        Code.PID_CONFLICT,
        Code.STALE_STATE,
        Code.OVER_BUDGET,
        Code.JOINING,
        Code.STORE_UNAVAILABLE,
    }
)

#: Waiting does not help against these: a server that has answered one of them says the same a moment later.
LASTING = frozenset({Code.EXHAUSTED, Code.TLS_REQUIRED, Code.TLS_NOT_OFFERED, Code.CERTIFICATE_REFUSED})

#: After these nobody knows whether the identities of that pid are unique.
DOUBTFUL = frozenset({Code.PID_CONFLICT, Code.STALE_STATE})


#: What to do about a request that was refused. About one that is refused with another code: correct it.
_ADVICE: dict[int, str] = {
    Code.BAD_COUNT: "ask for as many as it allows, or raise its --max-count",
    Code.ADVANCE_TOO_LARGE: "check where so large a number comes from",
    Code.NOT_TRUSTED: "show a certificate that it trusts, or ask from an address that it trusts",
    **dict.fromkeys(
        (Code.UNKNOWN_KIND, Code.BAD_LENGTH, Code.BAD_BODY, Code.INCOMPLETE),
        "check that the server is not older than this program",
    ),
}


def action(code: int) -> Action:
    """What a client does on this code, known or not."""
    if code == Code.FOREIGN_CLUSTER:
        return Action.WRONG_CLUSTER
    return Action.ELSEWHERE if code in _ELSEWHERE else Action.REFUSED


def closes(code: int) -> bool:
    """Whether the connection ends with this code, known or not."""
    return code < 32 or code >= 64


def advice(code: int) -> str:
    """What to do about a request that was refused with this code, known or not."""
    return _ADVICE.get(code, "correct the request")


def name(code: int) -> str:
    """The name of a code as the documentation has it, such as `badCount`; `code 999` for one that is not known."""
    try:
        first, *others = Code(code).name.lower().split("_")
    except ValueError:
        return f"code {code}"
    return first + "".join(word.capitalize() for word in others)
