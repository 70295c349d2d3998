"""A lookup ends at its time, with few threads, whatever answers it."""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, as_completed

import pytest
import trustme

from restante.client import blocking, name_resolution
from restante.client.discovery.discover import GUESSES, MAX_EXCHANGERS, MAX_SERVERS, discover
from restante.client.discovery.sources import NetworkSources, NotFoundError, SrvRecord
from restante.client.options import Options, Target
from restante.net import connecting
from restante.protocol.errors import ServerUnreachableError

HOST = "autoconfig.example.com"
URL = f"https://{HOST}/mail/config-v1.1.xml"
OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"


@contextlib.contextmanager
def serving(hold: Callable[[socket.socket], None]) -> Iterator[int]:
    """Hold each connection in a thread; at the end all of them are cut."""
    socks: list[socket.socket] = []

    def held(sock: socket.socket) -> None:
        with contextlib.suppress(OSError), sock:
            hold(sock)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                socks.append(sock)
                threading.Thread(target=held, args=(sock,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            for sock in socks:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def https(speak: Callable[[ssl.SSLSocket], None]) -> Iterator[NetworkSources]:
    """Give sources whose files come from a server that does as it likes behind TLS."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST, "www.example.com").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    def hold(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as tls:
            tls.recv(65536)
            speak(tls)

    with serving(hold) as port:
        where = {HOST: f"127.0.0.1:{port}", "www.example.com": f"127.0.0.1:{port}"}
        yield NetworkSources(0.5, context=trusting, resolve=where, domain="example.com")


@pytest.mark.parametrize(
    ("error", "note"),
    [
        (socket.gaierror(), "no such name"),
        (TimeoutError(), "no reply"),
        (ConnectionRefusedError(), "refused"),
        (UnicodeError(), "refused"),
    ],
)
def test_unreachable(error: Exception, note: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The result of a guess says why it cannot be reached."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(name_resolution, "connect_public", fail)
    with pytest.raises(NotFoundError, match=note):
        NetworkSources().reachable("pop.example.com", 995)


def drip(start: bytes, octet: bytes) -> Callable[[ssl.SSLSocket], None]:
    def speak(tls: ssl.SSLSocket) -> None:
        tls.sendall(start)
        for _ in range(2000):  # 100 seconds, unless it is cut
            tls.sendall(octet)
            threading.Event().wait(0.05)

    return speak


@pytest.mark.parametrize(
    "speak",
    [drip(OK, b"x"), drip(b"HTTP/1.1 200 OK\r\nX: ", b"x"), drip(b"", b"HTTP/1.1 100 C\r\n\r\n")],
    ids=["body", "header", "continue"],
)
def test_dripping_server(speak: Callable[[ssl.SSLSocket], None]) -> None:
    """Each octet comes in time, and the file does not: the whole question has one end."""
    begun = time.monotonic()
    with https(speak) as sources, pytest.raises(NotFoundError, match="in time"):
        sources.fetch(URL)
    assert time.monotonic() - begun < 20  # of 100 seconds


def test_silent_handshake() -> None:
    """A server that never ends the handshake of TLS is given up."""
    over = threading.Event()
    with serving(lambda _: (over.wait(30), None)[1]) as port:
        sources = NetworkSources(0.3, resolve={HOST: f"127.0.0.1:{port}"})
        with pytest.raises(NotFoundError, match="in time"):
            sources.fetch(URL)
        over.set()


def answer(octets: bytes) -> Callable[[ssl.SSLSocket], None]:
    return lambda tls: tls.sendall(octets)


def redirect(to: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nConnection: close\r\n\r\n".encode("latin-1")


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (OK + b"x" * 300_000, "over 256 KiB"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000, "is not HTTP"),
        (redirect("https://www.example.com/"), "too many redirects"),
        (redirect("https://www.evil.example/"), "of another domain"),
        (redirect("http://www.example.com/"), "away from https"),
        (redirect("//localhost/"), "of another domain"),
        (redirect("https://127.0.0.1/"), "of another domain"),
        (redirect("https://b\xfccher.example/"), "of another domain"),
        (redirect("https://[::1]/"), "of another domain"),
        (redirect("https://" + "a" * 5000), "address is not valid"),
        (b"\x00\xff" * 100 + b"\r\n\r\n", "is not HTTP"),
    ],
)
def test_answers_of_any_kind(octets: bytes, why: str) -> None:
    """A file is bounded, and redirects stay in the mail domain and in https."""
    with https(answer(octets)) as sources:
        sources.seconds = 20
        with pytest.raises(NotFoundError, match=why):
            sources.fetch(URL)


def test_packed_file_stays_packed() -> None:
    """Nothing is unpacked, so that a small answer cannot become a large one."""
    import gzip

    packed = gzip.compress(bytes(10_000_000))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n"
    with https(answer(head + packed)) as sources:
        sources.seconds = 20
        assert sources.fetch(URL) == packed


class Slow:
    """A network without end: each question takes until the test is over."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.hosts: list[str] = []

    def srv(self, name: str) -> list[SrvRecord]:
        return [SrvRecord(0, 0, 995, f"h{n}.example.com") for n in range(10_000)]

    def mx(self, domain: str) -> list[str]:
        return [f"mx{number}.example.com" for number in range(600)]

    def fetch(self, url: str) -> bytes:
        self.over.wait(60)
        raise NotFoundError("late")

    def reachable(self, host: str, port: int) -> None:
        self.hosts.append(host)
        if host == "pop.example.com":
            return
        self.over.wait(60)
        raise NotFoundError("late")


def wait_for_answers(futures: Iterable[Future[object]], _seconds: float) -> None:
    """Wait for what can answer, in place of a time: two SRV records and a guess, or its host.

    The try of the servers in the SRV records does not answer.
    """
    asked = list(futures)
    known = {1: 0, len(GUESSES) + MAX_EXCHANGERS: 1}.get(len(asked), 3)
    for _ in itertools.islice(as_completed(asked, 60), known):
        pass


def test_many_records_few_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """600 mail exchangers and 10,000 SRV records are a few servers; all threads end."""
    before = threading.active_count()
    sources = Slow()
    try:
        monkeypatch.setattr("restante.client.discovery.discover.wait", wait_for_answers)
        found = discover("ann@example.com", timeout=60, sources=sources)
        assert threading.active_count() - before <= 6 + len(GUESSES) + MAX_EXCHANGERS
        assert len(found.findings[0].candidates) == 6
        assert [f.note for f in found.findings[2:5]] == ["no reply in time"] * 3
        assert [c.host for c in found.findings[5].candidates] == ["pop.example.com"] * 2
    finally:
        sources.over.set()
    ours = [t for t in threading.enumerate() if t.name == "discover"]
    for thread in ours:
        thread.join(10)
    assert not any(thread.is_alive() for thread in ours)
    most = len(GUESSES) + MAX_EXCHANGERS + 2 * MAX_SERVERS
    assert len(GUESSES) + MAX_EXCHANGERS < len(set(sources.hosts)) <= most


def test_hanging_name_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look-up of a host's address that hangs ends with the time for a connection."""
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: over.wait(60))
    target = Target("pop.example.com", 995, "implicit", "ann")
    try:
        with pytest.raises(ServerUnreachableError) as caught:
            blocking.connect(target, "pw", connect_seconds=0.2)
        assert caught.value.id == "dns-temp"
        with pytest.raises(ServerUnreachableError):
            name_resolution.addresses(target, Options(connect_seconds=0.2))
    finally:
        over.set()


HANGING = """
import asyncio, socket, threading, time
import restante
from restante import blocking
from restante.client.discovery import sources
from restante.protocol.errors import RemoteError

def hang(*_, **__):
    time.sleep(100)

socket.getaddrinfo = hang
for question in ("srv", "mx", "fetch"):
    setattr(sources.NetworkSources, question, hang)
async def face():
    async with restante.connect("ann@example.com", "pw", total_seconds=0.5):
        pass
async def resolving():
    async with restante.connect("pop3s://ann@pop.example.com", "pw", total_seconds=0.5):
        pass
for work in (
    lambda: blocking.connect("ann@example.com", "pw", total_seconds=0.5),
    lambda: asyncio.run(face()),
    lambda: asyncio.run(resolving()),
    lambda: blocking.connect("pop3s://ann@pop.example.com", "pw", total_seconds=0.5),
):
    try:
        work()
    except RemoteError as error:
        print(error.id)
report = restante.check("ann@example.com", "pw", total_seconds=0.5)
print(report.id)
"""


def test_process_ends_at_its_time() -> None:
    """Threads that hang hold neither a call nor the end of the process up."""
    done = subprocess.run(
        [sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    assert done.stdout.split() == ["dns-temp"] * 5
    assert done.returncode == 0


def test_many_addresses_few_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with a thousand addresses is tried at six of them."""
    found = [(0, 0, 0, "", (f"203.0.113.{number}", 995)) for number in range(1, 200)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found)
    target = Target("pop.example.com", 995, "implicit", "ann")
    assert len(name_resolution.addresses(target, Options())) == connecting.MAX_ADDRESSES


def test_host_that_is_a_dead_alias(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host without address that is an alias is not called missing."""

    def fail(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    alias = "an alias of gone.example, which does not exist"
    monkeypatch.setattr(socket, "getaddrinfo", fail)
    monkeypatch.setattr("restante.client.failed_lookup.find_dead_alias", lambda *_: alias)
    with pytest.raises(ServerUnreachableError, match=f"pop.example.com is {alias}") as caught:
        name_resolution.addresses(Target("pop.example.com", 995, "implicit", "ann"), Options())
    assert caught.value.id == "dns-alias"
