"""What tests are given."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any, Callable

import pytest

import real
from certificates import Certificates
from flavours import Client, Flavour, Source, Tasks, Threads
from scripted import Script, Scripted

#: Times that only a broken library needs, however busy the machine is. What a test is about, it sets itself.
PATIENT: dict[str, Any] = {"first": 0, "connect_timeout": 10, "reply_timeout": 10, "call_timeout": 20}


@pytest.fixture(params=[Threads, Tasks], ids=lambda flavour: flavour.name)
def flavour(request: pytest.FixtureRequest) -> Iterator[Flavour]:
    """Both libraries, one after the other."""
    made = request.param()
    yield made
    made.close()


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    """What is put on it ends with the test."""
    with contextlib.ExitStack() as ends:
        yield ends


@pytest.fixture
def server(stack: contextlib.ExitStack) -> Callable[..., Scripted]:
    """Makes scripted servers."""

    def make(*scripts: Script, **options: Any) -> Scripted:
        made = Scripted(*scripts, **options)
        stack.callback(made.close)
        return made

    return make


@pytest.fixture
def opened(flavour: Flavour) -> Iterator[contextlib.ExitStack]:
    """What is put on it ends before the flavour does."""
    with contextlib.ExitStack() as ends:
        yield ends


@pytest.fixture
def client(flavour: Flavour, opened: contextlib.ExitStack) -> Callable[..., Client]:
    """Makes clients that begin with the first server."""

    def make(*servers: str, **options: Any) -> Client:
        made = flavour.client(*servers, **{**PATIENT, **options})
        opened.callback(made.close)
        return made

    return make


@pytest.fixture
def source(flavour: Flavour, opened: contextlib.ExitStack) -> Callable[..., Source]:
    """Makes sources that begin with the first server."""

    def make(*servers: str, **options: Any) -> Source:
        made = flavour.source(*servers, **{**PATIENT, **options})
        opened.callback(made.close)
        return made

    return make


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A CA, and what it has signed."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not there")
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def run_server(tmp_path: pathlib.Path, stack: contextlib.ExitStack) -> Callable[..., real.Server]:
    """Starts real servers."""
    if real.program() is None:
        pytest.skip("there is no server: set IPSEITY_BIN, or build ../../target/debug/ipseity")

    def start(pid: int = 1, *flags: str, port: int = 0) -> real.Server:
        made = real.Server(tmp_path, pid, *flags, port=port)
        stack.callback(made.close)
        return made

    return start
