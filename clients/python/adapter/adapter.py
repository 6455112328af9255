"""The adapter of the conformance kit (conformance/README.md) for the client and source for threads."""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Callable, Union

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

Opened = Union[ipseity.Client, ipseity.Source]


class Worker(threading.Thread):
    """Calls next again and again, and writes what it gets."""

    def __init__(self, opened: Opened, path: str, portion: int, ended: threading.Event) -> None:
        super().__init__(daemon=True)
        self.opened, self.path, self.portion, self.ended = opened, path, portion, ended
        self.load = Load(0, {}, 0)

    def run(self) -> None:
        identities, errors, longest = 0, dict[str, int](), 0.0
        with open(self.path, "w", encoding="ascii") as file:
            calls = 0
            while not self.ended.is_set():
                began = time.monotonic()
                try:
                    file.write(f"{self.opened.next()}\n")
                    identities += 1
                except ipseity.IpseityError as error:
                    name = CLASSES[type(error)]
                    errors[name] = errors.get(name, 0) + 1
                longest = max(longest, time.monotonic() - began)
                calls += 1
                if calls % self.portion == 0:
                    file.flush()
                    time.sleep(PAUSE)
        self.load = Load(identities, errors, longest)


class Started(threading.Thread):
    """A call that was begun, and its result."""

    def __init__(self, call: Callable[[], Json]) -> None:
        super().__init__(daemon=True)
        self.call = call
        self.result: Json = {}

    def run(self) -> None:
        self.result = guarded(self.call)


class Adapter:
    """What is open, and what runs."""

    def __init__(self) -> None:
        self.opened: dict[str, Opened] = {}
        self.hooked: dict[str, Hooked] = {}
        self.started: dict[str, Started] = {}
        self.workers: dict[str, tuple[threading.Event, list[Worker]]] = {}

    def do(self, command: Json) -> Json:
        """The result of a command."""
        plain = plain_command(command)
        return {"ok": plain} if plain is not None else getattr(self, command["do"])(command)

    def open(self, command: Json) -> Json:
        hooked = Hooked()
        kind = ipseity.Source if command["kind"] == "source" else ipseity.Client
        handle = str(len(self.opened) + 1)
        self.opened[handle] = kind(command["servers"], **settings(command, hooked))
        self.hooked[handle] = hooked
        return {"ok": {"handle": handle}}

    def next(self, command: Json) -> Json:
        return {"ok": {"identity": str(self.opened[command["of"]].next())}}

    def block(self, command: Json) -> Json:
        opened = self.opened[command["of"]]
        if isinstance(opened, ipseity.Source):
            return {"unsupported": "a source has no block"}
        return {"ok": shown_block(opened.block(command["count"]))}

    def in_fork(self, command: Json) -> Json:
        return in_fork(lambda: guarded(lambda: self.next(command)))

    def observe(self, command: Json) -> Json:
        self.opened[command["of"]].observe(int(command["identity"]))
        return {"ok": {}}

    def newest(self, command: Json) -> Json:
        return {"ok": shown_newest(self.opened[command["of"]].newest())}

    def counters(self, command: Json) -> Json:
        return {"ok": shown_counters(self.opened[command["of"]].counters())}

    def hooks(self, command: Json) -> Json:
        return {"ok": self.hooked[command["of"]].shown()}

    def close(self, command: Json) -> Json:
        self.opened[command["of"]].close()
        return {"ok": {}}

    def start(self, command: Json) -> Json:
        inner = command["command"]
        started = self.started[command["call"]] = Started(lambda: self.do(inner))
        started.start()
        return {"ok": {}}

    def wait(self, command: Json) -> Json:
        started = self.started.pop(command["call"])
        started.join()
        return started.result

    def cancel(self, command: Json) -> Json:
        return {"unsupported": "a thread cannot be cancelled"}

    def load(self, command: Json) -> Json:
        of, ended = command["of"], threading.Event()
        paths = [f"{command['path']}.{number}" for number in range(command["workers"])]
        workers = [Worker(self.opened[of], path, command["portion"], ended) for path in paths]
        for worker in workers:
            worker.start()
        self.workers[of] = (ended, workers)
        return {"ok": {}}

    def unload(self, command: Json) -> Json:
        ended, workers = self.workers.pop(command["of"])
        ended.set()
        for worker in workers:
            worker.join()
        return {"ok": shown_load([worker.load for worker in workers])}


def guarded(call: Callable[[], Json]) -> Json:
    try:
        return call()
    except ipseity.IpseityError as error:
        return shown_error(error)


def main() -> None:
    adapter = Adapter()
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "exit":
            break

        def call(command: Json = command) -> Json:
            return adapter.do(command)

        answer(command["id"], guarded(call))
    for opened in adapter.opened.values():
        opened.close()


if __name__ == "__main__":
    main()
