"""The examples and the commands of README.md run, and say what they should."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
from typing import Callable

import pytest

import real

README = (real.ROOT / "README.md").read_text(encoding="utf-8")


def run(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=real.ROOT,
        env={**os.environ, "PYTHONPATH": "src"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_take(run_server: Callable[..., real.Server]) -> None:
    assert run("examples/take.py", run_server().address).splitlines() == [
        "1025 is sequence 1 of pid 1",
        "1000 more with one request, from 0000000000201 to 000000000Z901",
    ]


def test_threads(run_server: Callable[..., real.Server]) -> None:
    said = run("examples/threads.py", run_server().address)
    assert said == "8000 different identities in 8 threads, each in order: True\n"


def test_tasks(run_server: Callable[..., real.Server]) -> None:
    assert run("examples/tasks.py", run_server().address).splitlines() == [
        "100 different identities over one connection",
        "the source goes on above them: True",
    ]


def test_unavailable(run_server: Callable[..., real.Server]) -> None:
    one = run_server()
    assert run("examples/unavailable.py", one.address) == "got 1025\n"
    one.close()
    said = run("examples/unavailable.py", one.address)
    assert f"failed:  {one.address} cannot connect: Connection refused" in said
    assert f"try again later; {one.address} has not answered: cannot connect: Connection refused" in said


BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_code_of_the_readme_runs(
    number: int, run_server: Callable[..., real.Server], tmp_path: pathlib.Path
) -> None:
    for package in re.findall(r"^import (django)|^from (sqlalchemy)", BLOCKS[number], re.MULTILINE):
        pytest.importorskip("".join(package), reason="a recipe: see check --recipes")
    script = tmp_path / "block.py"
    script.write_text(BLOCKS[number].replace("127.0.0.1:3264", run_server().address), encoding="utf-8")
    run(str(script))


def test_every_example_is_tested() -> None:
    tests = pathlib.Path(__file__).read_text(encoding="utf-8")
    for example in (real.ROOT / "examples").glob("*.py"):
        assert f"examples/{example.name}" in tests
