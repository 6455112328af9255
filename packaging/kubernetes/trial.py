"""Runs the servers of a manifest as Kubernetes would: each in a network and with a host name of its own, in the files of
the image, with the variables of its container, on a volume as a new one is, and with a name service that knows the
addresses of all pods by one name. A pod that comes back has another address.

With a store in etcd, there is a real etcd beside the pods, and no volume.

It is no Kubernetes: nothing schedules, no volume is attached, and no policy of the network is enforced.

    packaging/kubernetes/trial.py PROGRAMS MANIFEST    PROGRAMS is the folder that packaging/static has filled
"""

import http.client
import os
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "docker"))
from image import Image

# Longer than any start takes: a name is looked up again after half a minute.
PATIENCE_SECONDS = 120
# For so long the name service goes on telling the old address of a pod.
STALE_SECONDS = 3
NAMESPACE = "default"
NODE = "10.244.0.1"
RESOLVER = f"nameserver {NODE}\nsearch {NAMESPACE}.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n"


class Names(threading.Thread):
    """A name service for the pods behind one headless Service."""

    def __init__(self, service):
        super().__init__(daemon=True)
        self.zone = f"{service}.{NAMESPACE}.svc.cluster.local"
        self.addresses = {}
        self.others = {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((NODE, 53))

    def find(self, name):
        if name == self.zone:
            return list(self.addresses.values())
        if name in self.others:
            return [self.others[name]]
        pod = name.removesuffix(f".{self.zone}")
        return [self.addresses[pod]] if pod in self.addresses else []

    def run(self):
        while True:
            query, client = self.socket.recvfrom(512)
            labels, at = [], 12
            while size := query[at]:
                labels.append(query[at + 1 : at + 1 + size].decode())
                at += 1 + size
            end = at + 5
            kind = int.from_bytes(query[at + 1 : at + 3])
            found = self.find(".".join(labels).lower())
            answers = [b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 5, 4) + socket.inet_aton(ip) for ip in found]
            # All of them have an IPv4 address only.
            answers = answers if kind == 1 else []
            flags = 0x8180 if found else 0x8183
            head = query[:2] + struct.pack("!HHHHH", flags, 1, len(answers), 0, 0)
            self.socket.sendto(head + query[12:end] + b"".join(answers), client)


class Manifest:
    def __init__(self, path):
        kinds = ("\nkind: StatefulSet\n", "\nkind: Deployment\n")
        parts = Path(path).read_text().split("\n---\n")
        [text] = [part for part in parts if any(kind in part for kind in kinds)]
        self.replicas = int(re.search(r"^  replicas: (\d+)$", text, re.M)[1])
        self.name = re.search(r"^  name: (\S+)$", text, re.M)[1]
        self.service = f"{self.name}-peers"
        values = re.findall(r"^ +- name: (IPSEITY_\w+)\n +value: \"?(.*?)\"?$", text, re.M)
        assert len(values) == len(re.findall(r"- name: IPSEITY_", text)) > 5, values
        self.variables = dict(values)
        self.has_store = "IPSEITY_STORE" in self.variables
        assert self.has_store == ("\nkind: Deployment\n" in text)
        probes = re.findall(r"^ +path: (\S+)\n +port: http\n +scheme: (\S+)$", text, re.M)
        assert [path for path, _ in probes] == ["/livez", "/livez", "/readyz"], probes
        self.probes = dict(probes)

    def variables_of(self, pod, address):
        def fill(value):
            return value.replace("$(POD)", pod).replace("$(POD_IP)", address).replace("$(NAMESPACE)", NAMESPACE)

        return {name: fill(value) for name, value in self.variables.items()}


class Pod:
    """A pod. Its root stays when it ends, and with it its volume. One of a Deployment has none: only its name stays."""

    def __init__(self, cluster, ordinal):
        self.cluster = cluster
        self.ordinal = ordinal
        self.name = f"{cluster.manifest.name}-{ordinal}"
        self.root = cluster.folder / self.name
        self.address = None
        self.process = None
        cluster.image.lay_out(cluster.programs, self.root)
        if cluster.manifest.has_store:
            # Its file system is read-only.
            os.chmod(self.root / "data", 0o555)
        else:
            # As a volume with the `fsGroup` of the pod is.
            os.chown(self.root / "data", 0, int(cluster.image.user.split(":")[1]))
            os.chmod(self.root / "data", 0o2775)
        (self.root / "etc").mkdir()
        (self.root / "etc/resolv.conf").write_text(RESOLVER)
        if "IPSEITY_TLS_CERT" in cluster.manifest.variables:
            cluster.put_secret(self.root / "tls")

    def start(self):
        image = self.cluster.image
        self.address = self.cluster.new_address()
        self.log = open(self.cluster.folder / f"{self.name}.log", "a+")
        command = image.command(self.root, image.entrypoint)
        self.process = subprocess.Popen(
            ["unshare", "--net", "--uts", "sh", "-c", 'read -r _; hostname "$1"; shift; exec "$@"', "sh", self.name]
            + command,
            env={"PATH": os.environ["PATH"], **image.environment, **self.cluster.manifest.variables_of(self.name, self.address)},
            stdin=subprocess.PIPE,
            stderr=self.log,
        )
        own = os.readlink("/proc/self/ns/net")
        wait_until(lambda: os.readlink(f"/proc/{self.process.pid}/ns/net") != own, "the network of the pod")
        veth = f"pod{self.address.rsplit('.', 1)[1]}"
        call("ip", "link", "add", veth, "type", "veth", "peer", "name", "eth0", "netns", str(self.process.pid))
        call("ip", "link", "set", veth, "master", "pods", "up")
        for words in ["link set lo up", f"addr add {self.address}/16 dev eth0", "link set eth0 up"]:
            call(*self.inside(), "ip", *words.split())
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def inside(self):
        return ["nsenter", "--net", f"--target={self.process.pid}"]

    def cli(self, *words):
        return self.cluster.image.run(self.root, ["/ipseity-cli", *words], self.inside())

    def is_serving(self):
        assert self.process.poll() is None, self.text()
        return self.cli("status", "--check").returncode == 0

    def next(self):
        said = self.cli("next", "--format", "pair")
        assert said.returncode == 0, said.stdout
        sequence, pid = map(int, said.stdout.split(":"))
        if not self.cluster.manifest.has_store:
            assert pid == self.ordinal + int(self.cluster.manifest.variables.get("IPSEITY_PID_BASE", 0)), said.stdout
        self.pid = pid
        return sequence

    def probe(self, path):
        kind = self.cluster.manifest.probes[path]
        if kind == "HTTPS":
            context = ssl._create_unverified_context()
            connection = http.client.HTTPSConnection(self.address, 3265, timeout=5, context=context)
        else:
            connection = http.client.HTTPConnection(self.address, 3265, timeout=5)
        connection.request("GET", path)
        return connection.getresponse().status

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE_SECONDS) == 0, self.text()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def text(self):
        self.log.seek(0)
        return self.log.read()


class Cluster:
    def __init__(self, image, programs, manifest, folder):
        self.image, self.programs, self.manifest, self.folder = image, programs, manifest, folder
        self.last = 1
        call("ip", "link", "set", "lo", "up")
        # Without an address of its own, a bridge has that of one of its ports. When that pod goes, the others send what is for
        # this end to an address that nobody has any more, for some seconds.
        call("ip", "link", "add", "pods", "address", "02:00:00:00:00:01", "type", "bridge")
        call("ip", "addr", "add", f"{NODE}/16", "dev", "pods")
        call("ip", "link", "set", "pods", "up")
        self.names = Names(manifest.service)
        self.names.start()
        if manifest.has_store:
            self.start_etcd()
        self.pods = [Pod(self, ordinal) for ordinal in range(manifest.replicas)]

    def start_etcd(self):
        """It ends with the namespace of this program."""
        clients, peers = f"http://{NODE}:2379", "http://127.0.0.1:2380"
        with open(self.folder / "etcd.log", "w") as log:
            subprocess.Popen(
                ["etcd", "--data-dir", str(self.folder / "etcd")]
                + ["--listen-client-urls", clients, "--advertise-client-urls", clients]
                + ["--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers]
                + ["--initial-cluster", f"default={peers}"],
                stdout=log,
                stderr=log,
            )
        # As a Service called etcd would be found.
        self.names.others[f"etcd.{NAMESPACE}.svc.cluster.local"] = NODE

    def new_address(self):
        self.last += 1
        return f"10.244.0.{self.last}"

    def put_secret(self, folder):
        """The names are those that values.yaml lists. All pods have the same certificate."""
        pki = self.folder / "pki"
        if not pki.exists():
            cli = [f"{self.programs}/ipseity-cli", "cert"]
            call(*cli, "ca", "--dir", str(pki))
            peers = f"{self.manifest.service}.{NAMESPACE}.svc"
            names = [peers, f"*.{peers}", f"{self.manifest.name}.{NAMESPACE}.svc", "localhost"]
            call(*cli, "peer", *names, "--dir", str(pki))
        [certificate] = [path for path in pki.glob("*.pem") if path.name != "ca.pem"]
        folder.mkdir()
        key = certificate.with_suffix(".key")
        for name, source in {"tls.crt": certificate, "tls.key": key, "ca.crt": pki / "ca.pem"}.items():
            (folder / name).write_bytes(source.read_bytes())
            os.chown(folder / name, 0, int(self.image.user.split(":")[1]))
            os.chmod(folder / name, 0o440)

    def start(self, pods):
        for pod in pods:
            pod.start()
            self.names.addresses[pod.name] = pod.address
        self.wait_until_serving()

    def wait_until_serving(self):
        wait_until(lambda: all(pod.is_serving() for pod in self.pods), "all pods serve", self.logs)

    def wait_until_in_step(self):
        """What one hands out is soon less than what the others hand out."""
        for pod in self.pods:
            highest = pod.next()
            for other in self.pods:
                wait_until(lambda: other.next() > highest, f"{other.name} follows {pod.name}", self.logs)

    def logs(self):
        return "\n".join(f"{pod.name}:\n{pod.text()}" for pod in self.pods)


def call(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def wait_until(condition, what, why=str):
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, f"not in time: {what}\n{why()}"
        time.sleep(0.1)


def main(programs, manifest):
    manifest = Manifest(manifest)
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        cluster = Cluster(Image(), programs, manifest, Path(folder))
        # A cold start: nobody is there yet whom anybody could ask.
        cluster.start(cluster.pods)
        cluster.wait_until_in_step()
        for pod in cluster.pods:
            for path in manifest.probes:
                assert pod.probe(path) == 200, (pod.name, path)

        if manifest.has_store:
            try_store(cluster)
            return

        # A pod moves, and the name service tells its old address for a while.
        moved = cluster.pods[-1]
        last = moved.next()
        moved.stop()
        moved.start()
        time.sleep(STALE_SECONDS)
        cluster.names.addresses[moved.name] = moved.address
        cluster.wait_until_serving()
        assert moved.next() > last
        cluster.wait_until_in_step()

        # All of them are started again, with other addresses.
        last = max(pod.next() for pod in cluster.pods)
        for pod in cluster.pods:
            pod.stop()
        cluster.start(cluster.pods)
        cluster.wait_until_in_step()
        assert min(pod.next() for pod in cluster.pods) > last
        for pod in cluster.pods:
            pod.stop()
        print(f"{manifest.replicas} servers of {sys.argv[2]} formed a cluster, moved, and started again")


def try_store(cluster):
    """Pods without volumes come and go."""

    def pids():
        taken = [(pod.next(), pod.pid)[1] for pod in cluster.pods]
        assert len(set(taken)) == len(taken), taken
        return taken

    before = pids()
    # A new pod comes before an old one goes, and takes another pid.
    first = cluster.pods.pop(0)
    new = Pod(cluster, cluster.manifest.replicas)
    cluster.pods.append(new)
    cluster.start([new])
    cluster.wait_until_in_step()
    assert new.pid not in before
    first.stop()
    # What it has left is free at once: the next one takes it rather than a new one.
    after = Pod(cluster, cluster.manifest.replicas + 1)
    cluster.pods.append(after)
    cluster.start([after])
    cluster.wait_until_in_step()
    assert after.pid == first.pid, (after.pid, first.pid)
    # One that is killed keeps its pid for a lease, and the one in its place takes another.
    killed = cluster.pods.pop(0)
    last = max(pod.next() for pod in [killed, *cluster.pods])
    killed.kill()
    killed.start()
    cluster.pods.append(killed)
    cluster.wait_until_serving()
    cluster.wait_until_in_step()
    assert killed.next() > last
    pids()
    for pod in cluster.pods:
        pod.stop()
    print(f"{cluster.manifest.replicas} servers of {sys.argv[2]} found each other in etcd, came and went")


if os.getpid() != 1:
    # In namespaces of its own, everything ends with it.
    namespaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    os.execvp("unshare", ["unshare", *namespaces, sys.executable, *sys.argv])
main(*sys.argv[1:])
