"""The adapters answer, and the vectors of the conformance kit hold where they are there."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, Callable

import pytest

import real
from scripted import Connection, Scripted, serving

ENTRIES = json.loads((real.ROOT / "conformance.json").read_text(encoding="utf-8"))
VECTORS = real.ROOT.parent.parent / "conformance" / "vectors"

Serve = Callable[..., Scripted]


class Adapter:
    """An adapter that runs."""

    def __init__(self, entry: dict[str, Any]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *entry["run"][1:]],
            cwd=real.ROOT,
            env={**os.environ, **entry["env"]},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.count = 0

    def do(self, do: str, **arguments: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.count += 1
        self.process.stdin.write(json.dumps({"id": self.count, "do": do, **arguments}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert answer.pop("id") == self.count
        assert isinstance(answer, dict)
        return answer

    def ok(self, do: str, **arguments: Any) -> Any:
        answer = self.do(do, **arguments)
        assert "ok" in answer, answer
        return answer["ok"]

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        assert self.process.wait(30) == 0
        self.process.stdout.close()


@pytest.fixture(params=ENTRIES, ids=lambda entry: entry["name"])
def adapter(request: pytest.FixtureRequest) -> Iterator[Adapter]:
    made = Adapter(request.param)
    yield made
    made.close()


def test_text_and_bytes(adapter: Adapter) -> None:
    shown = adapter.ok("identity", text="0x401")
    assert shown == adapter.ok("base32", text="0000000000101")
    assert shown["pair"] == "1:1"
    assert adapter.do("identity", text="x")["error"]["class"] == "configuration"
    assert adapter.ok("address", text="tls://ids:4000") == {"host": "ids", "port": 4000, "tls": True}
    request = {"kind": "identityRequest", "count": 3, "after": "5122"}
    assert adapter.ok("encode", message=request)["bytes"] == "000d01000000030000000000001402"
    assert adapter.ok("decode", bytes="000d02000000000000040100000001") == {
        "kind": "identityReply",
        "first": "1025",
        "count": 1,
    }
    assert adapter.do("decode", bytes="0000")["error"]["class"] == "protocol"
    assert adapter.ok("code", code=36) == {"action": "elsewhere", "closes": False}


def test_clients_and_sources(adapter: Adapter, server: Serve, tmp_path: pathlib.Path) -> None:
    one = server(again=serving)
    options = {"first": 0, "cluster": "ipseity", "call_timeout_ms": 5000}
    ids = adapter.ok("open", kind="client", servers=[one.address], options=options)["handle"]
    assert adapter.ok("newest", of=ids) is None
    assert adapter.ok("next", of=ids) == {"identity": "1025"}
    assert adapter.ok("block", of=ids, count=3) == {"first": "2049", "count": 3}
    adapter.ok("observe", of=ids, identity="102401")
    assert adapter.ok("newest", of=ids) == {"identity": "102401"}
    assert adapter.ok("counters", of=ids)["identities"] == 4
    assert adapter.ok("hooks", of=ids) == {"connect": 1, "failover": 0, "refill": 0}
    adapter.ok("close", of=ids)
    assert adapter.do("next", of=ids)["error"]["class"] == "closed"
    held = adapter.ok("open", kind="source", servers=[one.address], options={})["handle"]
    adapter.ok("load", of=held, workers=3, portion=20, path=str(tmp_path / "ids"))
    while any(not file.stat().st_size for file in tmp_path.iterdir()) or len(list(tmp_path.iterdir())) < 3:
        pass
    shown = adapter.ok("unload", of=held)
    got = [int(line) for file in tmp_path.iterdir() for line in file.read_text().split()]
    assert len(set(got)) == len(got) == shown["identities"]
    assert shown["errors"] == {}
    assert adapter.do("open", kind="client", servers=["x:0"], options={})["error"]["class"] == "configuration"


def test_calls_that_are_begun_and_cancelled(adapter: Adapter, server: Serve) -> None:
    one = server(again=Connection.freeze)
    ids = adapter.ok("open", kind="client", servers=[one.address], options={"call_timeout_ms": 1000})["handle"]
    adapter.ok("start", call="a", command={"do": "next", "of": ids})
    answer = adapter.do("cancel", call="a")
    got = adapter.do("wait", call="a")["error"]
    assert got["class"] == ("unavailable" if "unsupported" in answer else "cancelled")
    if "failures" in got:
        assert [failure["server"] for failure in got["failures"]] == [one.address]


def vectors(name: str) -> Any:
    path = VECTORS / name
    if not path.exists():
        pytest.skip(f"{name} is not there")
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_frames_of_the_kit(adapter: Adapter) -> None:
    for vector in vectors("frames.json")["frames"]:
        if vector["sender"] == "client":
            assert adapter.ok("encode", message=vector["message"]) == {"bytes": vector["bytes"]}, vector
        else:
            assert adapter.ok("decode", bytes=vector["bytes"]) == vector["message"]


def test_the_malformed_bytes_of_the_kit(adapter: Adapter) -> None:
    for vector in vectors("malformed.json")["malformed"]:
        answer = adapter.do("decode", bytes=vector["bytes"])
        assert answer.get("error", {}).get("class") == "protocol", (vector, answer)


def test_the_identities_of_the_kit(adapter: Adapter) -> None:
    kit = vectors("identities.json")
    for vector in kit["identities"]:
        for text in (vector["decimal"], vector["hex"], vector["pair"]):
            assert adapter.ok("identity", text=text) == vector
        assert adapter.ok("base32", text=vector["base32"]) == vector
    for do, also, invalid in (("identity", "also", "invalid"), ("base32", "also_base32", "invalid_base32")):
        for vector in kit[also]:
            assert adapter.ok(do, text=vector["text"])["decimal"] == vector["decimal"], vector
        for vector in kit[invalid]:
            answer = adapter.do(do, text=vector["text"])
            assert answer.get("error", {}).get("class") == "configuration", (vector, answer)


def test_the_addresses_of_the_kit(adapter: Adapter) -> None:
    kit = vectors("addresses.json")
    for vector in kit["addresses"]:
        assert adapter.ok("address", text=vector["text"]) == vector["address"], vector
    for vector in kit["invalid"]:
        answer = adapter.do("address", text=vector["text"])
        assert answer.get("error", {}).get("class") == "configuration", (vector, answer)


def test_the_codes_of_the_kit(adapter: Adapter) -> None:
    for vector in vectors("codes.json")["codes"]:
        assert adapter.ok("code", code=vector["code"]) == {"action": vector["action"], "closes": vector["closes"]}
