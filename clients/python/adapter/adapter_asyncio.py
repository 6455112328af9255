"""The adapter of the conformance kit (conformance/README.md) for the client and source for asyncio."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Union

import ipseity
from common import (
    CLASSES,
    PAUSE,
    Hooked,
    Json,
    Load,
    answer,
    in_fork,
    plain_command,
    settings,
    shown_block,
    shown_counters,
    shown_error,
    shown_load,
    shown_newest,
)
from ipseity import aio

Opened = Union[aio.Client, aio.Source]


async def work(opened: Opened, path: str, portion: int, ended: asyncio.Event) -> Load:
    """Calls next again and again, and writes what it gets."""
    identities, errors, longest = 0, dict[str, int](), 0.0
    with open(path, "w", encoding="ascii") as file:  # noqa: ASYNC230 - a write to a buffer takes less than the call
        calls = 0
        while not ended.is_set():
            began = time.monotonic()
            try:
                file.write(f"{await opened.next()}\n")
                identities += 1
            except ipseity.IpseityError as error:
                name = CLASSES[type(error)]
                errors[name] = errors.get(name, 0) + 1
            longest = max(longest, time.monotonic() - began)
            calls += 1
            if calls % portion == 0:
                file.flush()
                await asyncio.sleep(PAUSE)
    return Load(identities, errors, longest)


async def guarded(adapter: Adapter, command: Json) -> Json:
    try:
        return await adapter.do(command)
    except asyncio.CancelledError:
        return {"error": {"class": "cancelled", "message": "the call was cancelled"}}
    except ipseity.IpseityError as error:
        return shown_error(error)


class Adapter:
    """What is open, and what runs."""

    def __init__(self) -> None:
        self.opened: dict[str, Opened] = {}
        self.hooked: dict[str, Hooked] = {}
        self.started: dict[str, asyncio.Task[Json]] = {}
        self.workers: dict[str, tuple[asyncio.Event, list[asyncio.Task[Load]]]] = {}

    async def do(self, command: Json) -> Json:
        """The result of a command."""
        plain = plain_command(command)
        return {"ok": plain} if plain is not None else await getattr(self, command["do"])(command)

    async def open(self, command: Json) -> Json:
        hooked = Hooked()
        kind = aio.Source if command["kind"] == "source" else aio.Client
        handle = str(len(self.opened) + 1)
        self.opened[handle] = kind(command["servers"], **settings(command, hooked))
        self.hooked[handle] = hooked
        return {"ok": {"handle": handle}}

    async def next(self, command: Json) -> Json:
        return {"ok": {"identity": str(await self.opened[command["of"]].next())}}

    async def block(self, command: Json) -> Json:
        opened = self.opened[command["of"]]
        if isinstance(opened, aio.Source):
            return {"unsupported": "a source has no block"}
        return {"ok": shown_block(await opened.block(command["count"]))}

    async def in_fork(self, command: Json) -> Json:
        # The child has a loop of its own: that of its parent has other things to do.
        return in_fork(lambda: asyncio.run(guarded(self, {**command, "do": "next"})))

    async def observe(self, command: Json) -> Json:
        self.opened[command["of"]].observe(int(command["identity"]))
        return {"ok": {}}

    async def newest(self, command: Json) -> Json:
        return {"ok": shown_newest(self.opened[command["of"]].newest())}

    async def counters(self, command: Json) -> Json:
        return {"ok": shown_counters(self.opened[command["of"]].counters())}

    async def hooks(self, command: Json) -> Json:
        return {"ok": self.hooked[command["of"]].shown()}

    async def close(self, command: Json) -> Json:
        await self.opened[command["of"]].close()
        return {"ok": {}}

    async def start(self, command: Json) -> Json:
        self.started[command["call"]] = asyncio.ensure_future(guarded(self, command["command"]))
        # It begins before this is answered.
        await asyncio.sleep(0)
        return {"ok": {}}

    async def wait(self, command: Json) -> Json:
        try:
            return await self.started.pop(command["call"])
        except asyncio.CancelledError:
            # It was cancelled before it had begun.
            return {"error": {"class": "cancelled", "message": "the call was cancelled"}}

    async def cancel(self, command: Json) -> Json:
        self.started[command["call"]].cancel()
        return {"ok": {}}

    async def load(self, command: Json) -> Json:
        of, ended = command["of"], asyncio.Event()
        paths = [f"{command['path']}.{number}" for number in range(command["workers"])]
        tasks = [asyncio.ensure_future(work(self.opened[of], path, command["portion"], ended)) for path in paths]
        self.workers[of] = (ended, tasks)
        return {"ok": {}}

    async def unload(self, command: Json) -> Json:
        ended, tasks = self.workers.pop(command["of"])
        ended.set()
        return {"ok": shown_load(await asyncio.gather(*tasks))}


async def main() -> None:
    adapter = Adapter()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command = json.loads(line)
        if command["do"] == "exit":
            break
        answer(command["id"], await guarded(adapter, command))
    for opened in adapter.opened.values():
        await opened.close()


if __name__ == "__main__":
    asyncio.run(main())
