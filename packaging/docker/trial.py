"""Runs the server as a container engine would run the image: as process 1, as the numbered user, on a root that cannot
be written, with a volume for its state. The machine's network is out of reach, so no port is in the way.

    packaging/docker/trial.py PROGRAMS    the folder that packaging/static has filled
"""

import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from image import Image

# Longer than any start takes.
PATIENCE_SECONDS = 30
# Process 1 of namespaces of its own. The root becomes read-only, the volume does not.
START = """
set -e
root=$1 volume=$2; shift 2
ip link set lo up
hostname ipseity-3
mount --make-rprivate /
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount --bind "$volume" "$root/data"
exec "$@"
"""


class Container:
    def __init__(self, image, root, volume, variables):
        self.image = image
        self.root = root
        self.outside = subprocess.Popen(
            ["unshare", "--net", "--uts", "--mount", "--pid", "--fork", "--kill-child"]
            + ["sh", "-c", START, "sh", str(root), str(volume), *image.command(root, image.entrypoint)],
            env={"PATH": os.environ["PATH"], **image.environment, **variables},
            stderr=subprocess.PIPE,
            text=True,
        )

    def pid(self):
        """The process of the server, seen from outside."""
        children = Path(f"/proc/{self.outside.pid}/task/{self.outside.pid}/children")
        return int(children.read_text().split()[0])

    def call(self, command):
        return self.image.run(self.root, command, ["nsenter", "--net", f"--target={self.pid()}"])

    def wait_until_healthy(self):
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            assert self.outside.poll() is None, self.outside.communicate()[1]
            try:
                said = self.call(self.image.healthcheck)
            except (FileNotFoundError, IndexError):
                continue
            if said.returncode == 0:
                return
            assert time.monotonic() < end, said.stdout
            time.sleep(0.05)

    def stop(self):
        os.kill(self.pid(), signal.SIGTERM)
        log = self.outside.communicate(timeout=PATIENCE_SECONDS)[1]
        assert self.outside.returncode == 0, log
        return log

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # The server ends with it.
        self.outside.kill()


def main():
    image = Image()
    with tempfile.TemporaryDirectory() as folder:
        root, volume = Path(folder, "root"), Path(folder, "volume")
        os.chmod(folder, 0o755)
        image.lay_out(sys.argv[1], root)
        user, group = map(int, image.user.split(":"))
        files = sorted(str(path.relative_to(root)) for path in root.rglob("*"))
        assert files == ["data", "ipseity", "ipseity-cli"], files
        size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
        assert size < 16 << 20, size
        # A volume is a copy of the folder at first, with its owner.
        volume.mkdir(mode=0o700)
        os.chown(volume, user, group)

        variables = {"IPSEITY_PID_FROM_HOSTNAME": "true"}
        with Container(image, root, volume, variables) as container:
            container.wait_until_healthy()
            first = container.call(["/ipseity-cli", "next", "--format", "pair"]).stdout
            assert first == "1:3\n", first
            owner = Path(f"/proc/{container.pid()}").stat()
            assert (owner.st_uid, owner.st_gid) == (user, group), owner
            container.stop()
        state = (volume / "state").stat()
        assert (state.st_uid, stat.S_IMODE(state.st_mode)) == (user, 0o700), state

        # A container that comes back goes on where the last one stopped, now as `--existing` wants it.
        with Container(image, root, volume, variables | {"IPSEITY_EXISTING": "true"}) as container:
            container.wait_until_healthy()
            second = container.call(["/ipseity-cli", "next", "--format", "pair"]).stdout
            assert second == "2:3\n", second
            log = container.stop()
        warnings = [line for line in log.splitlines() if " WARN " in line]
        assert ["there is no TLS" in line for line in warnings] == [True], log
        print(f"the image has {', '.join(files)}: {size / 1e6:.1f} MB; it started, stopped and went on")


main()
