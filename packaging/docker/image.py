"""What packaging/docker/Dockerfile says about the image, and the same files in a folder, without a container engine.

It knows only the instructions of the last stage that stand there today, and fails at any other.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

DOCKERFILE = Path(__file__).parent / "Dockerfile"
# What another stage has made, and what it stands for here.
PROGRAMS = "/programs/"
DATA = "/data"


class Image:
    def __init__(self):
        text = DOCKERFILE.read_text()
        text = re.sub(r"^#.*\n", "", text, flags=re.M).replace("\\\n", " ")
        stage = re.split(r"^FROM scratch$", text, flags=re.M)[1]
        self.environment = {}
        self.copies = []
        for line in filter(None, map(str.strip, stage.splitlines())):
            instruction, rest = line.split(None, 1)
            match instruction:
                case "ENV":
                    self.environment.update(pair.split("=", 1) for pair in rest.split())
                case "COPY":
                    words = rest.split()
                    options = dict(word.removeprefix("--").split("=") for word in words if word.startswith("--"))
                    *sources, target = [word for word in words if not word.startswith("--")]
                    assert options.pop("from") == "build", line
                    owner = options.pop("chown", "0:0")
                    assert not options, line
                    self.copies += [(source, target, owner) for source in sources]
                case "USER":
                    self.user = rest
                case "VOLUME":
                    self.volume = rest
                case "STOPSIGNAL":
                    assert rest == "SIGTERM", line
                case "ENTRYPOINT":
                    self.entrypoint = json.loads(rest)
                case "HEALTHCHECK":
                    self.healthcheck = json.loads(rest.split("CMD", 1)[1])
                case "ARG" | "LABEL" | "EXPOSE":
                    pass
                case _:
                    raise AssertionError(f"unknown: {line}")

    def lay_out(self, programs, root):
        """Puts the files of the image into the folder `root`, with their owners."""
        root.mkdir()
        for source, target, owner in self.copies:
            if source.startswith(PROGRAMS):
                path = root / target.lstrip("/") / source.removeprefix(PROGRAMS)
                shutil.copy(Path(programs) / path.name, path)
            else:
                assert source == DATA, source
                path = root / target.lstrip("/")
                path.mkdir()
            os.chown(path, *map(int, owner.split(":")))

    def command(self, root, command):
        """The words that run a command in the image, as its user."""
        return ["chroot", f"--userspec={self.user}", str(root), *command]

    def run(self, root, command, inside=(), **options):
        """Runs a command in the image with its environment; `inside` are words that lead into namespaces."""
        return subprocess.run(
            [*inside, *self.command(root, command)],
            env={"PATH": os.environ["PATH"], **self.environment},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **options,
        )
