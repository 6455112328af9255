"""Real servers: the program ipseity, each with a state directory of its own."""

from __future__ import annotations

import os
import pathlib
import re
import signal
import subprocess
import threading
from typing import Optional

ROOT = pathlib.Path(__file__).resolve().parent.parent
_LISTENS = re.compile(r"listens on ([0-9.]+:[0-9]+)")


def program() -> Optional[pathlib.Path]:
    """The server's program: IPSEITY_BIN, or what was built here; None if there is none."""
    named = os.environ.get("IPSEITY_BIN")
    if named:
        return pathlib.Path(named)
    built = ROOT.parent.parent / "target" / "debug" / "ipseity"
    return built if built.exists() else None


class Server:
    """A server that runs."""

    def __init__(self, directory: pathlib.Path, pid: int, *flags: str, port: int = 0) -> None:
        binary = program()
        assert binary is not None
        self.process = subprocess.Popen(
            [
                binary,
                *("--pid", str(pid), "--listen", f"127.0.0.1:{port}"),
                *("--data-dir", str(directory / f"state-{pid}")),
                *flags,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        self.said = []
        for line in self.process.stderr:
            self.said.append(line)
            if listens := _LISTENS.search(line):
                self.address = listens[1]
                break
        else:
            raise AssertionError("".join(self.said))
        # Its log has to be read, or it would be lost.
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.said.extend(self.process.stderr)

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()
