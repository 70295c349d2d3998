"""The server inside another program."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import os
import poplib
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, MutableMapping
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import pytest
import structlog

import restante.server
from delivery.door import Known
from restante import RemoteError, blocking
from restante.net import daemon_threads
from restante.protocol.secret import Secret
from restante.server import (
    AuthOffer,
    CertificateFiles,
    Certificates,
    Listener,
    ListenError,
    ProtocolSettings,
    Server,
    ServerLimits,
)
from restante.server.config.addresses import ListenAddress
from restante.server.demo import ensure_certificate
from restante.storage.errors import StoreError
from restante.storage.memory import MemoryMaildrop, MemoryStore
from support.live import PATIENCE, Client
from support.passwords import Passwords

LETTER = b"Subject: a\n\nhello\n"
FREE = (Listener(port=0),)


@pytest.fixture
def accounts() -> Passwords:
    accounts = Passwords()
    accounts.known["ann"] = "secret"
    return accounts


def test_second_start(accounts: Passwords) -> None:
    """A server that was started cannot start again, also after its end."""

    async def start_twice() -> None:
        async with Server(MemoryStore(), accounts, FREE) as server:
            pass
        await server.start()

    with pytest.raises(RuntimeError, match="starts only once"):
        asyncio.run(start_twice())


def test_stop_ends_a_connection_that_was_just_accepted(accounts: Passwords) -> None:
    """When `stop` returns, a connection is closed that the event loop had not yet announced."""

    async def stop_early() -> bytes:
        server = Server(MemoryStore(), accounts, FREE)
        await server.start()
        with socket.create_connection(("127.0.0.1", server.addresses[0].port), PATIENCE) as client:
            for _ in range(2):
                await asyncio.sleep(0)
            await server.stop()
            return client.recv(100)

    assert asyncio.run(stop_early()).startswith(b"+OK")


def begin_at_once(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, object], **_: object
) -> asyncio.Future[object]:
    """Begin a task of Restante within this call, as `asyncio.eager_task_factory` of Python 3.12."""
    if "restante" not in work.cr_code.co_filename:  # type: ignore[attr-defined]
        return asyncio.Task(work, loop=loop)
    ended: asyncio.Future[object] = loop.create_future()
    with pytest.raises(StopIteration) as end:  # here, the work never waits
        work.send(None)
    ended.set_result(end.value.value)
    return ended


def test_tasks_that_begin_at_once(accounts: Passwords) -> None:
    """Sessions and deliveries end as usual on a loop whose tasks begin at once."""

    async def say(address: ListenAddress, octets: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(octets)
        async with asyncio.timeout(PATIENCE):
            with contextlib.closing(writer):
                return await reader.read()

    async def serve() -> tuple[bytes, bytes]:
        known, smtp = Known("ann"), "127.0.0.1:0"
        server = Server(MemoryStore(), accounts, FREE, smtp=smtp, recipients=known)
        async with server:
            asyncio.get_running_loop().set_task_factory(begin_at_once)  # type: ignore[arg-type]
            assert server.smtp_address is not None
            pop3 = await say(server.addresses[0], b"USER ann\r\nPASS secret\r\nSTAT\r\nQUIT\r\n")
            recipients = b"RCPT TO:<ann>\r\n" * 99
            heard = await say(
                server.smtp_address, b"HELO me\r\nMAIL FROM:<>\r\n" + recipients + b"QUIT\r\n"
            )
            asyncio.get_running_loop().set_task_factory(None)
        return pop3, heard

    with structlog.testing.capture_logs() as logged:
        pop3, smtp = asyncio.run(serve())
    assert pop3.endswith(b"+OK 0 0\r\n+OK Logging out.\r\n")
    assert smtp.count(b"\r\n250 ") == 101
    assert [line["end"] for line in logged if line["event"] == "session"] == ["quit"]


def fetched(client: poplib.POP3) -> list[bytes]:
    """Log in, and return the first message's lines; then quit."""
    try:
        client.user("ann")
        client.pass_("secret")
        lines = client.retr(1)[1]
        client.quit()
    finally:
        client.close()
    return lines


def fetch(server: Server) -> list[bytes]:
    address = server.addresses[0]
    return fetched(poplib.POP3(address.host, address.port, timeout=PATIENCE))


def test_async(accounts: Passwords) -> None:
    """`async with` serves on the program's own loop, and the ports are free again afterwards."""

    async def program() -> int:
        store = MemoryStore()
        await store.deliver("ann", LETTER)
        async with Server(store, accounts, FREE) as server:
            assert await asyncio.to_thread(fetch, server) == [b"Subject: a", b"", b"hello"]
        return server.addresses[0].port

    port = asyncio.run(program())
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_thread(accounts: Passwords) -> None:
    """`with` serves in a thread, and runs coroutines there."""
    before = threading.active_count()
    store = MemoryStore()
    with Server(store, accounts, FREE) as server:
        server.call(store.deliver("ann", LETTER))
        assert fetch(server) == [b"Subject: a", b"", b"hello"]
    assert threading.active_count() <= before + 1  # a thread for the disk may stay


class Changing(Passwords):
    """Accounts that know when sessions must end."""

    def __init__(self) -> None:
        super().__init__()
        self.known["ann"] = "secret"
        self.removed: set[str] = set()

    async def take_ended(self) -> frozenset[str]:
        return frozenset(self.removed)


def test_removed_account() -> None:
    """The sessions of an account end that the program has removed, and those of others go on."""
    accounts = Changing()
    accounts.known["bob"] = "secret"
    with Server(MemoryStore(), accounts, FREE) as server:
        port = server.addresses[0].port
        with Client(port) as ann, Client(port) as bob:
            ann.log_in("ann", "secret")
            bob.log_in("bob", "secret")
            accounts.removed.add("ann")
            assert ann.read_all() == b""
            assert bob.say("NOOP").startswith(b"+OK")


def test_tls(accounts: Passwords, tmp_path: Path) -> None:
    """One certificate serves STLS and TLS from the first octet. Its paths may be texts."""
    certificate, key = ensure_certificate(tmp_path)
    paths: list[Any] = [str(certificate), str(key)]
    known = Certificates([CertificateFiles(*paths)])
    listeners = [
        Listener(port=0, certificates=known, clear_text="never"),
        Listener(port=0, certificates=known, implicit_tls=True),
    ]
    context = ssl.create_default_context(cafile=str(certificate))
    store = MemoryStore()
    with Server(store, accounts, listeners) as server:
        server.call(store.deliver("ann", LETTER))
        plain, sealed = server.addresses
        client = poplib.POP3(plain.host, plain.port, timeout=PATIENCE)
        with pytest.raises(poplib.error_proto, match="STLS"):
            client.user("ann")
        client.stls(context)
        assert fetched(client)
        assert fetched(poplib.POP3_SSL(sealed.host, sealed.port, timeout=PATIENCE, context=context))


def test_delivery(accounts: Passwords, tmp_path: Path) -> None:
    """LMTP and SMTP deliver into the program's store."""
    lmtp = tmp_path / "lmtp"
    server = Server(
        MemoryStore(),
        accounts,
        FREE,
        lmtp=str(lmtp),
        smtp="127.0.0.1:0",
        recipients=Known("ann"),
    )
    with server:
        with smtplib.LMTP(str(lmtp)) as client:
            client.sendmail("bob@example.org", ["ann@example.com"], LETTER.decode())
        assert fetch(server)[-1] == b"hello"
        assert server.smtp_address
        with smtplib.SMTP(server.smtp_address.host, server.smtp_address.port) as smtp:
            smtp.sendmail("bob@example.org", ["ann@example.com"], LETTER.decode())
    assert not lmtp.exists()


def test_recipients_unknown(accounts: Passwords) -> None:
    """Accounts that only verify passwords cannot list recipients."""
    with pytest.raises(ValueError, match="recipients"):
        Server(MemoryStore(), accounts, FREE, smtp="127.0.0.1:0").__enter__()


def test_port_taken(accounts: Passwords, tmp_path: Path) -> None:
    """A port in use is an error, after which nothing is left."""
    before = threading.active_count()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listeners = [Listener(port=taken.getsockname()[1])]
        server = Server(
            MemoryStore(),
            accounts,
            listeners,
            lmtp=str(tmp_path / "lmtp"),
            recipients=Known("ann"),
        )
        with pytest.raises(ListenError, match="in use"), server:
            pass
    assert threading.active_count() <= before
    assert not (tmp_path / "lmtp").exists()


def test_settings_and_limits(accounts: Passwords) -> None:
    """A program chooses the greeting, and how many may connect."""
    settings = ProtocolSettings(greeting="Hello.")
    limits = ServerLimits.create(connections=1)
    with Server(MemoryStore(), accounts, FREE, settings=settings, limits=limits) as server:
        address = server.addresses[0]
        first = poplib.POP3(address.host, address.port, timeout=PATIENCE)
        assert first.getwelcome() == b"+OK Hello."
        with socket.create_connection((address.host, address.port), PATIENCE) as second:
            assert b"Too many connections" in second.makefile("rb").read()
        first.close()


def test_starts_once(accounts: Passwords) -> None:
    """A second start is an error, and a second stop succeeds."""

    async def program() -> None:
        server = Server(MemoryStore(), accounts, FREE)
        await server.start()
        with pytest.raises(RuntimeError, match="once"):
            await server.start()
        await server.stop()
        await server.stop()

    asyncio.run(program())


def test_call_without_thread(accounts: Passwords) -> None:
    """`call` is for `with` only, and closes the coroutine that it does not run."""
    work = asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="thread"):
        Server(MemoryStore(), accounts, FREE).call(work)
    assert inspect.getcoroutinestate(work) == inspect.CORO_CLOSED


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"port": 99_999}, "port is 99999: it must be a number from 0 to 65535"),
        ({"port": "110"}, "port is '110': it must be a number"),
        ({"port": True}, "port is True: it must be a number"),
        ({"host": None}, "host is None: it must be text"),
        ({"clear_text": "sometimes"}, "clear_text is 'sometimes': it must be one of 'loopback'"),
        ({"implicit_tls": True}, "implicit_tls requires certificates"),
    ],
)
def test_invalid_listener(given: dict[str, Any], text: str) -> None:
    """Without this, another port would be served, all addresses, or none of its connections."""
    with pytest.raises(ValueError, match=text):
        Listener(**given)


@pytest.mark.parametrize(
    ("make", "given"),
    [
        (ProtocolSettings, {"login_timeout": -1}),
        (ProtocolSettings, {"idle_timeout": float("nan")}),
        (ProtocolSettings, {"authorization_timeout": "180"}),
        (ProtocolSettings, {"refused_logins": 0}),
        (ProtocolSettings, {"bad_commands_before_login": True}),
        (ProtocolSettings, {"bad_commands_after_login": 1.5}),
        (ProtocolSettings, {"apop": "no"}),
        (ProtocolSettings, {"greeting": "one\r\n-ERR two"}),
        (ProtocolSettings, {"implementation": "two words"}),
        (ServerLimits.create, {"connections": -1}),
        (ServerLimits.create, {"connections_per_address": "100"}),
        (ServerLimits.create, {"sessions_per_user": True}),
        (ServerLimits.create, {"count_loopback": "no"}),
        (partial(Server, MemoryStore(), Passwords()), {"lock_timeout": float("nan")}),
        (partial(Server, MemoryStore(), Passwords()), {"stop_timeout": -1}),
    ],
)
def test_invalid_settings(make: Callable[..., object], given: dict[str, Any]) -> None:
    """A value that cannot be meant is an error at once, with its name."""
    with pytest.raises(ValueError, match=f"{next(iter(given))} is .*: it must be"):
        make(**given)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"store": MemoryStore}, "store must be an object, and not the class MemoryStore"),
        ({"store": "/srv/mail"}, "store must have a method `acquire`: str has none"),
        ({"store": threading.Lock()}, "store must have a method `deliver`: lock has none"),
        ({"accounts": {"ann": "hunter2"}}, "accounts must have a method `verify`: dict has none"),
        ({"recipients": {"ann"}}, "recipients must have a method `owner`: set has none"),
        ({"listeners": Listener(port=0)}, r"listeners must be a list: write \[Listener"),
        ({"listeners": [("127.0.0.1", 0)]}, "each of listeners must be of type Listener, not tup"),
        ({"settings": {"greeting": "hi"}}, "settings must be of type ProtocolSettings, not dict"),
        ({"limits": 10}, "limits must be of type ServerLimits, not int"),
        ({"offer": AuthOffer()}, "offer must be a function that returns an AuthOffer"),
    ],
    ids=lambda given: next(iter(given)) if isinstance(given, dict) else "",
)
def test_wrong_types(accounts: Passwords, given: dict[str, Any], text: str) -> None:
    """An argument of another type is an error at once, and not in the first session."""
    every: dict[str, Any] = {"store": MemoryStore(), "accounts": accounts, "listeners": FREE}
    with pytest.raises(TypeError, match=text):
        Server(**every | given)


def test_wrong_offers(accounts: Passwords) -> None:
    """An offer that no client could use is an error at the start, and no port is open."""
    misspelt = AuthOffer(mechanisms=frozenset({"SCRAM-SHA256"}))
    with pytest.raises(ValueError, match="'SCRAM-SHA256' is not known; use some of SCRAM-SHA-256"):
        Server(MemoryStore(), accounts, FREE, offer=lambda: misspelt).__enter__()
    text: Any = "PLAIN"
    with pytest.raises(ValueError, match=r"mechanisms is 'PLAIN': write \['PLAIN'\]"):
        Server(MemoryStore(), accounts, FREE, offer=lambda: AuthOffer(mechanisms=text)).__enter__()
    names: Any = frozenset({"PLAIN"})
    with pytest.raises(TypeError, match="what offer returns must be of type AuthOffer, not froz"):
        Server(MemoryStore(), accounts, FREE, offer=lambda: names).__enter__()


def test_loggers(accounts: Passwords, caplog: pytest.LogCaptureFixture) -> None:
    """The log can be that of the standard library by structlog, but not a logger without it."""
    logger = logging.getLogger("pop3")
    caplog.set_level(logging.INFO, "pop3")
    log: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logger,
        processors=[structlog.stdlib.render_to_log_kwargs],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    with Server(MemoryStore(), accounts, FREE, log=log) as server:
        with blocking.connect(f"pop3://ann@{server.addresses[0]}", "secret"):
            pass
    records = [record for record in caplog.records if record.name == "pop3"]
    events = [(record.getMessage(), vars(record)["user"]) for record in records]
    assert events == [("login", "ann"), ("session", "ann")]
    with pytest.raises(TypeError, match="log must be a logger of structlog"):
        Server(MemoryStore(), accounts, FREE, log=logger)  # type: ignore[arg-type]


def test_call_after_the_end(accounts: Passwords) -> None:
    """`call` is for a server that runs, and for other threads than its own."""
    with Server(MemoryStore(), accounts, FREE) as server:

        async def call_itself() -> None:
            server.call(asyncio.sleep(0))

        with pytest.raises(RuntimeError, match="await"):
            server.call(call_itself())
    with pytest.raises(RuntimeError, match="stopped"):
        server.call(asyncio.sleep(0))


def test_call_during_the_end(accounts: Passwords) -> None:
    """A call that begins while the server ends is an error, and does not wait for ever."""
    begun, calls = threading.Event(), []

    def call() -> None:
        begun.set()
        server.call(asyncio.sleep(3600))

    async def call_at_the_end() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            calls.append(daemon_threads.start(call, "late"))
            await asyncio.to_thread(begun.wait)

    async def begin() -> asyncio.Task[None]:
        task = asyncio.create_task(call_at_the_end())
        await asyncio.sleep(0)
        return task

    with Server(MemoryStore(), accounts, FREE) as server:
        server.call(begin())
    with pytest.raises(RuntimeError, match="stopped"):
        calls[0].result(10)


def test_a_forked_child_leaves_the_block(accounts: Passwords) -> None:
    """A child without the server's thread does not wait for it, and its parent serves on."""
    with Server(MemoryStore(), accounts, FREE) as server:
        if (child := os.fork()) == 0:
            signal.alarm(round(PATIENCE))  # a child that waits ends by it
            with contextlib.suppress(RuntimeError):
                server.call(asyncio.sleep(0))
                os._exit(1)
            server.__exit__(None, None, None)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        server.call(server.store.deliver("ann", LETTER))
        assert fetch(server) == LETTER.splitlines()


def test_a_server_that_is_never_stopped() -> None:
    """Python ends, and says nothing, although the block of a server was never left."""
    text = "from restante import testing\nblock = testing.serving()\nblock.__enter__()\n"
    text += "class Program:\n    def run(self): ...\n"  # with it, modules end before the block does
    command = [sys.executable, "-c", text]
    run = subprocess.run(command, check=True, timeout=PATIENCE, capture_output=True)
    assert run.stderr == b""


def test_nested_block(accounts: Passwords) -> None:
    """A second `with` of a server that runs is an error, and the first one goes on."""
    with Server(MemoryStore(), accounts, FREE) as server:
        with pytest.raises(RuntimeError, match="starts only once"):
            server.__enter__()
        server.call(asyncio.sleep(0))


def test_names() -> None:
    """`restante.server` has the names that it lists, and loads none of them before."""
    assert set(restante.server.__all__) <= set(dir(restante.server))
    for name in restante.server.__all__:
        assert getattr(restante.server, name)
    program = "import sys, restante.server; print('asyncio' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_secret_stays(accounts: Passwords) -> None:
    """A server's text shows no password."""
    assert "secret" not in repr(Server(MemoryStore(), accounts, FREE)) + repr(Secret(b"secret"))


def test_variables_of_frames(accounts: Passwords) -> None:
    """An error of the program's accounts is logged with frames whose variables show no password."""
    frames: list[FrameType] = []

    def collect(_logger: object, _name: str, event: MutableMapping[str, Any]) -> NoReturn:
        error = event.get("exc_info")
        if isinstance(error, BaseException):
            frames.extend(frame for frame, _ in traceback.walk_tb(error.__traceback__))
        raise structlog.DropEvent

    async def verify(_user: str, _password: Secret) -> NoReturn:
        raise ZeroDivisionError

    accounts.verify = verify  # type: ignore[assignment,method-assign]
    log = structlog.wrap_logger(None, processors=[collect])
    with Server(MemoryStore(), accounts, FREE, log=log) as server:
        for mechanism in "USER", "PLAIN", "LOGIN":
            with pytest.raises(RemoteError, match="incident"):
                blocking.connect(
                    f"pop3://ann@{server.addresses[0]}", "hunter22", mechanisms=(mechanism,)
                )
    shown = [repr(value) for frame in frames for value in frame.f_locals.values()]
    assert shown
    assert not any("hunter22" in text for text in shown)


class LivingStore(MemoryStore):
    """A store that must be opened, and notes what happens to it."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        self.events.append("opened")
        yield
        self.events.append("closed")

    async def acquire(self, owner: str, patience: float) -> MemoryMaildrop:
        self.events.append("acquired")
        maildrop = await super().acquire(owner, patience)
        release = maildrop.release

        def note() -> None:
            self.events.append("released")
            release()

        maildrop.release = note  # type: ignore[method-assign]
        return maildrop


def test_store_that_must_be_opened(accounts: Passwords) -> None:
    """A store is opened before the server listens, and closed after the last session."""
    store = LivingStore()

    async def scenario() -> None:
        async with Server(store, accounts, FREE) as server:
            assert store.events == ["opened"]
            address = server.addresses[0]
            reader, writer = await asyncio.open_connection(address.host, address.port)
            writer.write(b"USER ann\r\nPASS secret\r\n")
            for _ in range(3):
                assert (await reader.readline()).startswith(b"+OK")
        writer.close()

    asyncio.run(scenario())
    assert store.events == ["opened", "acquired", "released", "closed"]


def test_store_that_cannot_be_opened(accounts: Passwords) -> None:
    """A store that cannot be opened keeps the server from listening."""
    store = LivingStore()
    store.open = refuse_to_open  # type: ignore[method-assign]

    async def scenario() -> None:
        server = Server(store, accounts, FREE)
        with pytest.raises(StoreError, match="schema"):
            await server.start()
        assert server.addresses == []

    asyncio.run(scenario())


def refuse_to_open() -> NoReturn:
    raise StoreError("the schema is newer than this program", permanent=True)


def test_failed_stop(accounts: Passwords) -> None:
    """A stop that fails leaves no thread."""
    before = threading.active_count()
    server = Server(MemoryStore(), accounts, FREE)
    server.__enter__()
    stop = server.stop

    async def fail() -> None:
        await stop()
        raise RuntimeError("no end")

    server.stop = fail  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="no end"):
        server.__exit__()
    assert threading.active_count() <= before
