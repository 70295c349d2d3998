"""The server that a run delivers to is killed in its middle, with all its processes.

`python -m faults.fetch.server_kills [imap|lmtp]`, or `make fetch-faults SERVER=imap`, kills Dovecot
at each reply and after each 4000 octets, starts it again, and lets a second run finish.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import selectors
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from faults.fetch.killing import Command, run
from faults.fetch.letters import letters, tally
from faults.fetch.matrix import PASSWORD, Row
from faults.fetch.places import DESTINATION_PASSWORD, ImapFolder
from faults.fetch.programs import Restante, Source
from restante import testing
from support.dovecot import IMAP, Dovecot, set_up
from support.live import PATIENCE
from support.other_user import public_folder
from support.process import free_port, wait_for_port

STEP = 4000  # octets between two kills, in a campaign
UNAVAILABLE = 12  # the exit code where a destination failed

_LMTP = """
protocols = pop3 imap lmtp
postmaster_address = postmaster@example.com
hostname = mx.example.com
service lmtp {{
  chroot =
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
}}
"""
_SCHEMES = {"imap": "imap://ann@127.0.0.1:{port}/INBOX", "lmtp": "lmtp:127.0.0.1:{port}?rcpt=ann"}
_MAX_DOUBLES = {"imap": 0, "lmtp": 1}
_trials = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Point:
    """When the server is killed.

    Attributes:
        octets: after this number of octets to it.
        at_reply: only at the next reply, which does not arrive.
    """

    octets: int
    at_reply: bool = False

    def __str__(self) -> str:
        return f"{'the reply after ' if self.at_reply else ''}octet {self.octets}"


class Proxy:
    """Passes connections on to a server, and calls a function at a point.

    Attributes:
        port: where it listens.
        octets: how many have gone to the server since `arm`.
        replied: after how many of them there was a reply.
        fired: whether the point has come.
    """

    def __init__(self, port: int, kill: Callable[[], None]) -> None:
        self._target, self._kill = port, kill
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.arm(None)
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def arm(self, point: Point | None) -> None:
        """Count anew, and kill at a point."""
        self.octets = 0
        self.replied: list[int] = []
        self.fired = False
        self._point = point

    def close(self) -> None:
        """Stop listening; a connection ends with its client."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE)
        self._listening.close()

    def _accept(self) -> None:
        """Serve one connection after the other, as `pop3 fetch` has them."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                with client, contextlib.suppress(OSError):
                    self._serve(client)

    def _serve(self, client: socket.socket) -> None:
        with (
            socket.create_connection(("127.0.0.1", self._target)) as server,
            selectors.DefaultSelector() as selector,
        ):
            selector.register(client, selectors.EVENT_READ)
            selector.register(server, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    octets = client.recv(65536) if key.fileobj is client else server.recv(65536)
                    passes = self._passes(octets, reply=key.fileobj is server)
                    (client if key.fileobj is server else server).sendall(octets[:passes])
                    if self.fired:
                        self._kill()
                    if self.fired or not octets:
                        return

    def _passes(self, octets: bytes, *, reply: bool) -> int:
        """Return how many of some octets pass; fewer than all at the point."""
        before = self.octets
        if reply:
            self.replied.append(before)
        else:
            self.octets += len(octets)
        point = self._point
        if point is None or point.at_reply != reply or self.octets < point.octets:
            return len(octets)
        self.fired = True
        return 0 if reply else point.octets - before


class KilledServer:
    """Dovecot with IMAP and LMTP, which can be killed and started again."""

    def __init__(self, folder: Path, protocol: str) -> None:
        self.protocol = protocol
        ports = {"imap": free_port(), "lmtp": free_port()}
        more = IMAP.replace("PORT", str(ports["imap"])) + _LMTP.format(port=ports["lmtp"])
        self._dovecot: Dovecot = set_up(folder, more=more, password=DESTINATION_PASSWORD)
        self._ports = ports
        self._process: subprocess.Popen[bytes] | None = None
        self.inbox = ImapFolder(ports["imap"])
        self.proxy = Proxy(ports[protocol], self.kill)
        self.url = _SCHEMES[protocol].format(port=self.proxy.port)

    def start(self) -> None:
        """Start it where it does not run."""
        if self._process is None:
            self._process = subprocess.Popen(self._dovecot.command, start_new_session=True)
            for port in self._ports.values():
                wait_for_port(port, self._process)

    def kill(self) -> None:
        """Kill all its processes, which are a process group."""
        process, self._process = self._process, None
        if process is not None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(PATIENCE)


@contextlib.contextmanager
def killed_server(protocol: str) -> Iterator[KilledServer]:
    """Run a server that a test kills."""
    with public_folder() as folder:
        server = KilledServer(folder, protocol)
        try:
            server.start()
            yield server
        finally:
            server.proxy.close()
            server.kill()


class Kills:
    """Kills of the server, each in a run of its own."""

    def __init__(self, source: testing.MemoryServer, server: KilledServer, folder: Path) -> None:
        self._source, self._server, self._folder = source, server, folder

    def points(self) -> list[Point]:
        """Return each reply of a whole run, and some places in what is sent."""
        _, command = self._begin()
        proxy = self._server.proxy
        proxy.arm(None)
        ended = run(command)
        assert ended.code == 0, ended.output
        found = [Point(octets, at_reply=True) for octets in sorted({*proxy.replied})]
        return found + [Point(octets) for octets in range(1, proxy.octets, STEP)]

    def kill(self, point: Point, row: Row) -> None:
        """Kill the server in a run, let another run finish, and add what came of it."""
        sent, command = self._begin()
        proxy, most = self._server.proxy, _MAX_DOUBLES[self._server.protocol]
        proxy.arm(point)
        first = run(command)
        if not proxy.fired:
            return  # another run of the same may have fewer replies
        proxy.arm(None)
        self._server.start()
        again = run(command)
        left = self._source.messages(self._user)
        found = tally(sent, self._server.inbox.inboxes()[0], left)
        failed = first.code not in (0, 1, UNAVAILABLE) or again.code not in (
            (0, 1) if most else (0,)
        )
        row.kills += 1
        row.lost += found.lost
        row.runs_with_doubles += found.doubles > 0
        row.most_doubles = max(row.most_doubles, found.doubles)
        row.damaged += found.damaged
        row.left += found.left
        row.failed += failed
        if found.lost or found.damaged or found.left or failed or found.doubles > most:
            outputs = f"{first.code}: {first.output[-400:]}, {again.code}: {again.output[-400:]}"
            row.stories.append(f"{point}: {found}, {outputs}")

    def _begin(self) -> tuple[list[bytes], Command]:
        """Return letters, and what fetches them into the empty inbox."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        self._server.start()
        self._server.inbox.reset()
        trial = next(_trials)
        self._user = f"user{trial}"
        sent = letters(str(trial))
        self._source.add(self._user, PASSWORD, *sent)
        source = Source(self._source.host, self._source.port, self._user, PASSWORD)
        return sent, Restante().command(self._folder, source, [self._server.url], keep=False)


@click.command()
@click.argument("protocol", type=click.Choice([*_SCHEMES]))
def main(protocol: str) -> None:
    """Kill Dovecot at each reply, and in the middle of what it gets."""
    begun = time.monotonic()
    row = Row("pop3 fetch", f"{protocol}, the server is killed")
    with tempfile.TemporaryDirectory(prefix="restante-kills-") as name:
        with testing.serving() as source, killed_server(protocol) as server:
            kills = Kills(source, server, Path(name) / "program")
            for point in kills.points():
                kills.kill(point, row)
    click.echo(f"{row}, {time.monotonic() - begun:.0f} seconds")
    for story in row.stories[:20]:
        click.echo(f"  {story}")


if __name__ == "__main__":
    main()
