"""What both adapters have in common: the commands about text and bytes, the options, and errors as JSON."""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Callable, NamedTuple

import ipseity
from ipseity import codes, frames

Json = dict[str, Any]

#: How long a worker of a load sleeps after each portion, in seconds.
PAUSE = 0.01

CLASSES = {
    ipseity.ConfigurationError: "configuration",
    ipseity.UnavailableError: "unavailable",
    ipseity.RefusedError: "refused",
    ipseity.WrongClusterError: "wrongCluster",
    ipseity.ProtocolError: "protocol",
    ipseity.ClosedError: "closed",
}


class Hooked:
    """Counts how often each hook was called."""

    def __init__(self) -> None:
        self.connect = self.failover = self.refill = 0

    def on_connect(self, server: str) -> None:
        self.connect += 1

    def on_failover(self, server: str, reason: str) -> None:
        self.failover += 1

    def on_refill(self, identities: int) -> None:
        self.refill += 1

    def shown(self) -> Json:
        return {"connect": self.connect, "failover": self.failover, "refill": self.refill}


class Load(NamedTuple):
    """What one worker has seen."""

    identities: int
    errors: dict[str, int]
    longest: float


def shown_load(loads: list[Load]) -> Json:
    errors: dict[str, int] = {}
    for load in loads:
        for name, times in load.errors.items():
            errors[name] = errors.get(name, 0) + times
    return {
        "identities": sum(load.identities for load in loads),
        "errors": errors,
        "longest_ms": round(1000 * max((load.longest for load in loads), default=0)),
    }


def answer(command_id: object, result: Json) -> None:
    """Writes one answer."""
    sys.stdout.write(json.dumps({"id": command_id, **result}) + "\n")
    sys.stdout.flush()


def in_fork(call: Callable[[], Json]) -> Json:
    """What a call gives in a forked child, which ends then."""
    if not hasattr(os, "fork"):
        return {"unsupported": "this system has no fork"}
    ours, childs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with open(childs, "w", encoding="utf-8") as pipe:
                json.dump(call(), pipe)
        finally:
            # Nothing of the parent's may run in the child, such as what is done at its end.
            os._exit(0)
    os.close(childs)
    with open(ours, encoding="utf-8") as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    result: Json = json.loads(told)
    return result


def shown_error(error: BaseException) -> Json:
    """The answer that tells an error of the library."""
    shown: Json = {"class": CLASSES.get(type(error), type(error).__name__), "message": str(error)}
    if isinstance(error, ipseity.RefusedError):
        shown["code"] = error.code
    if isinstance(error, ipseity.UnavailableError):
        shown["failures"] = [{"server": f.server, "cause": f.cause} for f in error.failures]
    return {"error": shown}


def settings(command: Json, hooked: Hooked) -> Json:
    """The arguments of a client or source."""
    options = command.get("options", {})
    arguments: Json = {"on_connect": hooked.on_connect, "on_failover": hooked.on_failover}
    if command["kind"] == "source":
        arguments["on_refill"] = hooked.on_refill
    for name, value in options.items():
        if name.endswith("_ms"):
            arguments[name[: -len("_ms")]] = value / 1000
        elif name == "tls":
            arguments["tls"] = ipseity.tls_context(value["ca"], value.get("cert"), value.get("key"))
        else:
            arguments[name] = value
    return arguments


def shown_counters(counters: ipseity.Counters) -> Json:
    return dict(counters._asdict())


def shown_newest(newest: ipseity.Identity | None) -> Json | None:
    return None if newest is None else {"identity": str(newest)}


def shown_block(block: ipseity.Block) -> Json:
    return {"first": str(block.first), "count": len(block)}


def plain_command(command: Json) -> Json | None:
    """The result of a command about text or bytes; None for every other one."""
    do = command["do"]
    if do == "identity":
        return _identity(ipseity.Identity.parse(command["text"]))
    if do == "base32":
        return _identity(ipseity.Identity.from_base32(command["text"]))
    if do == "address":
        address = ipseity.ServerAddress.parse(command["text"])
        return {"host": address.host, "port": address.port, "tls": address.tls}
    if do == "encode":
        return {"bytes": _encode(command["message"]).hex()}
    if do == "decode":
        return _decode(bytes.fromhex(command["bytes"]))
    if do == "code":
        code = command["code"]
        return {"action": codes.action(code).value, "closes": codes.closes(code)}
    return None


def _identity(identity: ipseity.Identity) -> Json:
    return {
        "decimal": str(identity),
        "hex": identity.hex(),
        "pair": identity.pair(),
        "base32": identity.base32(),
        "sequence": str(identity.sequence),
        "pid": identity.pid,
    }


def _encode(message: Json) -> bytes:
    if message["kind"] == "helloRequest":
        return frames.hello_request(message["cluster"])
    return frames.identity_request(message["count"], int(message["after"]))


def _decode(data: bytes) -> Json:
    try:
        message = frames.decode(data)
    except frames.Malformed as error:
        raise ipseity.ProtocolError("the server", str(error)) from None
    if isinstance(message, frames.IdentityReply):
        return {"kind": "identityReply", "first": str(message.first), "count": message.size}
    if isinstance(message, frames.ErrorReply):
        return {"kind": "errorReply", "code": message.code, "message": message.message}
    return {
        "kind": "helloReply",
        "cluster": message.cluster,
        "version": message.version,
        "wireVersion": message.wire_version,
        "countMax": message.count_max,
        "pid": message.pid,
        "standing": message.standing,
    }
