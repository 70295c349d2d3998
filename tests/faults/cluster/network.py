"""Networks of nodes that can be cut, in namespaces of the kernel that end with their processes.

Run within a network namespace of its own, `unshare --net`, which is the hub: PostgreSQL and the S3
server have an address there each. A node has a namespace, and three cables to the hub: for its
clients, for PostgreSQL and for S3. A cut cable answers nothing, not even that it is cut.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from support.programs import need

POSTGRESQL, S3 = "198.18.0.1", "198.18.0.2"
CABLES = ("client", "postgresql", "s3")
SERVERS = {"postgresql": POSTGRESQL, "s3": S3}


class Cut(Enum):
    """The packets that a cut cable drops."""

    ALL = "nothing passes"
    REPLIES = "replies are dropped"
    REQUESTS = "requests have no route"


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def make_hub() -> None:
    """Give PostgreSQL and the S3 server their addresses."""
    run("ip", "link", "set", "lo", "up")
    for address in SERVERS.values():
        run("ip", "address", "add", f"{address}/32", "dev", "lo")


@dataclass
class Network:
    """The namespace of one node: that of a process which does nothing."""

    number: int
    pid: int

    @property
    def prefix(self) -> tuple[str, ...]:
        """The words that run a command in this namespace."""
        return ("nsenter", f"--net=/proc/{self.pid}/ns/net")

    @property
    def host(self) -> str:
        """The address of the node for its clients."""
        return self._address("client", 2)

    @property
    def gateway(self) -> str:
        """The address of its clients."""
        return self._address("client", 1)

    def connect(self) -> None:
        """Lay the cables."""
        for cable in CABLES:
            near, far = self._device(cable), cable
            peer = ["peer", "name", far, "netns", str(self.pid)]
            run("ip", "link", "add", near, "type", "veth", *peer)
            run("ip", "address", "add", f"{self._address(cable, 1)}/30", "dev", near)
            run("ip", "link", "set", near, "up")
            self._inside("address", "add", f"{self._address(cable, 2)}/30", "dev", far)
            self._inside("link", "set", far, "up")
            if cable in SERVERS:
                self._route(cable, SERVERS[cable])

    @contextlib.contextmanager
    def cut(self, cables: Sequence[str], how: Cut) -> Iterator[None]:
        """Cut cables while the block runs."""
        for cable in cables:
            match how:
                case Cut.ALL:
                    run("ip", "link", "set", self._device(cable), "down")
                case Cut.REPLIES:
                    run("ip", "route", "add", "blackhole", f"{self._address(cable, 2)}/32")
                case Cut.REQUESTS:
                    self._inside("route", "replace", "blackhole", SERVERS[cable])
        try:
            yield
        finally:
            for cable in cables:
                match how:
                    case Cut.ALL:
                        run("ip", "link", "set", self._device(cable), "up")
                    case Cut.REPLIES:
                        run("ip", "route", "del", "blackhole", f"{self._address(cable, 2)}/32")
                    case Cut.REQUESTS:
                        self._inside("route", "del", "blackhole", SERVERS[cable])
                        self._route(cable, SERVERS[cable])

    def _route(self, cable: str, server: str) -> None:
        self._inside("route", "replace", server, "via", self._address(cable, 1))

    def _device(self, cable: str) -> str:
        return f"{cable}{self.number}"

    def _address(self, cable: str, end: int) -> str:
        return f"198.18.{self.number}.{4 * CABLES.index(cable) + end}"

    def _inside(self, *words: str) -> None:
        run(*self.prefix, "ip", *words)


@contextlib.contextmanager
def network(number: int) -> Iterator[Network]:
    """Make the network of a node while the block runs."""
    ready = ["unshare", "--net", "sh", "-c", "ip link set lo up && echo && exec sleep infinity"]
    with subprocess.Popen(ready, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout
            holder.stdout.readline()
            made = Network(number, holder.pid)
            made.connect()
            yield made
        finally:
            holder.kill()


def need_networks() -> None:
    """Skip the test if networks cannot be made here."""
    for program in ("haproxy", "ip", "nsenter"):
        need(program)
    need("unshare", "--net", "ip", "link", "set", "lo", "up")
