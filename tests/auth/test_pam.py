"""Logging in by PAM, with a service of its own that asks a script."""

from __future__ import annotations

import asyncio
import contextlib
import os
import poplib
import pwd
import secrets
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
import structlog

from restante.auth.app_passwords.accounts import AppPasswordAccounts
from restante.auth.app_passwords.file import AppPasswordFile, create
from restante.auth.app_passwords.uses import FileUses
from restante.auth.client_address import CLIENT_ADDRESS
from restante.auth.file.accounts import FileAuthenticator
from restante.auth.interfaces import CredentialsError, UnavailableError
from restante.auth.masters import Masters
from restante.auth.pam import AT_ONCE, PamAuthenticator
from restante.protocol.secret import Secret
from restante.protocol.server.settings import Identity
from restante.server import Listener, Server
from restante.server.context import ServerContext
from restante.storage.memory import MemoryStore
from support.live import PATIENCE
from support.passwords import quick_hash

T = TypeVar("T")

SERVICES = Path("/etc/pam.d")
SCRIPT = """#!/bin/sh
echo "$PAM_RHOST" >> "$0.addresses"
[ "$PAM_USER" = ann ] && [ "$(tr -d '\\000')" = "Straße 7" ]
"""

# A script's failure alone would be an error of the system.
SERVICE = """\
auth [success=1 default=ignore] pam_exec.so quiet expose_authtok {script}
auth requisite pam_deny.so
auth required pam_permit.so
account required {account}
"""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Callable[[str], PamAuthenticator]]:
    """A function which makes a service with this line for accounts."""
    if os.geteuid() != 0 or not SERVICES.is_dir():
        text = f"root: a test of PAM writes a file to {SERVICES}"
        pytest.fail(text) if os.environ.get("CI") else pytest.skip(text)
    name = f"restante-test-{secrets.token_hex(4)}"
    script = tmp_path / "script"
    script.write_text(SCRIPT)
    script.chmod(0o755)

    def make(account: str) -> PamAuthenticator:
        (SERVICES / name).write_text(SERVICE.format(script=script, account=account))
        return PamAuthenticator(name)

    yield make
    (SERVICES / name).unlink(missing_ok=True)


def verify(accounts: PamAuthenticator, user: str, password: str) -> Identity:
    return asyncio.run(accounts.verify(user, Secret(password.encode())))


def test_the_right_password_proves_who_it_is(
    service: Callable[[str], PamAuthenticator],
) -> None:
    """The correct password authenticates the user."""
    assert verify(service("pam_permit.so"), "ann", "Straße 7") == Identity("ann")


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("ann", "wrong"),
        ("bob", "Straße 7"),
        ("", "Straße 7"),
        ("ann\0", "Straße 7"),
        ("\udc80", "x"),
        ("ann", "Straße 7\0"),
        ("ann", ""),
    ],
)
def test_all_else_is_refused_alike(
    service: Callable[[str], PamAuthenticator], user: str, password: str
) -> None:
    """A wrong name and a wrong password get the same error."""
    with pytest.raises(CredentialsError, match="wrong name or password"):
        verify(service("pam_permit.so"), user, password)


def test_capitals_name_system_user(
    service: Callable[[str], PamAuthenticator], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name in capitals is the system's user of that name in lower case."""
    users = {"ann": "ann"}

    def getpwnam(name: str) -> pwd.struct_passwd:
        return pwd.struct_passwd((users[name], "x", 1, 1, "", "/", "/bin/sh"))

    monkeypatch.setattr(pwd, "getpwnam", getpwnam)
    accounts = service("pam_permit.so")
    assert verify(accounts, "Ann", "Straße 7") == Identity("ann")
    users["Ann"] = "ann"  # as where the system's names have no case
    assert verify(accounts, "Ann", "Straße 7") == Identity("ann")
    users["Ann"] = "Ann"  # another user
    with pytest.raises(CredentialsError):
        verify(accounts, "Ann", "Straße 7")
    users.clear()  # users that PAM alone knows are called as they say
    with pytest.raises(CredentialsError):
        verify(accounts, "Ann", "Straße 7")


def test_user_of_the_system(service: Callable[[str], PamAuthenticator], tmp_path: Path) -> None:
    """The system's users are found without a password, and their modules are asked for accounts."""

    async def identify(accounts: PamAuthenticator, name: str) -> Identity:
        CLIENT_ADDRESS.set("192.0.2.1")
        return await accounts.identify(name)

    accounts = service(f"pam_exec.so quiet {tmp_path}/account")
    script = tmp_path / "account"
    script.write_text('#!/bin/sh\necho "$PAM_USER $PAM_RHOST" >> "$0.asked"\n')
    script.chmod(0o755)
    assert asyncio.run(identify(accounts, "Nobody")) == Identity("nobody")
    assert (tmp_path / "account.asked").read_text() == "nobody 192.0.2.1\n"
    assert not (tmp_path / "script.addresses").exists()  # no password was tried
    assert asyncio.run(accounts.owner("nobody")) == "nobody"
    for name in ("no-such-user", "", "a\0b", "Nobody"):
        with pytest.raises(CredentialsError):
            asyncio.run(accounts.owner(name))
    with pytest.raises(CredentialsError) as caught:
        asyncio.run(identify(accounts, "no-such-user"))
    assert caught.value.reason.startswith("unknown name")
    with pytest.raises(CredentialsError) as caught:
        asyncio.run(identify(service("pam_deny.so"), "nobody"))
    assert caught.value.reason.startswith("PAM: ")


def test_app_password_and_master_user(
    service: Callable[[str], PamAuthenticator], tmp_path: Path
) -> None:
    """An app password and a master user open the account of a user of the system."""
    made, letters = create("nobody", "phone", 0)
    (tmp_path / "app-passwords").write_text(f"{made}\n")
    (tmp_path / "masters").touch(0o600)
    (tmp_path / "masters").write_text(f"admin:{quick_hash(b'other')}\n")
    passwords = AppPasswordFile(tmp_path / "app-passwords", print, print)
    uses = FileUses(tmp_path / "app-passwords", print)

    async def log_in(source: PamAuthenticator) -> tuple[Identity, Identity]:
        accounts = AppPasswordAccounts(source, passwords, uses)
        masters = Masters(FileAuthenticator(tmp_path / "masters", print), accounts, "*")
        found = await accounts.verify("nobody", Secret(letters.encode()))
        await uses.write()
        return found, await masters.verify("nobody", "admin", Secret(b"other"))

    app, master = asyncio.run(log_in(service("pam_permit.so")))
    assert (app.name, app.app_password) == ("nobody", "phone")
    assert (master.name, master.master) == ("nobody", "admin")
    with pytest.raises(CredentialsError):  # the account has expired, say
        asyncio.run(log_in(service("pam_deny.so")))


def test_the_administrator_is_told_what_pam_says(
    service: Callable[[str], PamAuthenticator],
) -> None:
    """The reason for the log is PAM's own."""
    with pytest.raises(CredentialsError) as caught:
        verify(service("pam_permit.so"), "ann", "wrong")
    assert caught.value.reason == "PAM: Authentication failure"


def test_an_account_that_is_shut_may_not_log_in(
    service: Callable[[str], PamAuthenticator],
) -> None:
    """An account that PAM denies cannot log in with the correct password."""
    with pytest.raises(CredentialsError):
        verify(service("pam_deny.so"), "ann", "Straße 7")


def test_a_module_that_is_missing_is_nobodys_fault(
    service: Callable[[str], PamAuthenticator],
) -> None:
    """A missing PAM module never lets a user in, and the error says what to check."""
    with pytest.raises(UnavailableError, match=r"; check /etc/pam\.d/\S+ and the system's log$"):
        verify(service("pam_no_such_module.so"), "ann", "Straße 7")


def test_many_log_in_at_once(service: Callable[[str], PamAuthenticator]) -> None:
    """Forty logins at once each get their own result."""
    accounts = service("pam_permit.so")

    async def all_at_once() -> list[Identity | BaseException]:
        said = [Secret(b"wrong") if n % 2 else Secret("Straße 7".encode()) for n in range(40)]
        work = (accounts.verify("ann", password) for password in said)
        return await asyncio.gather(*work, return_exceptions=True)

    results = asyncio.run(all_at_once())
    assert results[::2] == [Identity("ann")] * 20
    assert all(isinstance(result, CredentialsError) for result in results[1::2])


def test_a_message_that_is_not_utf_8(
    service: Callable[[str], PamAuthenticator], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A module's text in another encoding causes neither an error nor a traceback."""
    (tmp_path / "said").write_bytes(b"Gr\xfc\xdfe\n")
    accounts = service(f"pam_permit.so\nauth optional pam_echo.so file={tmp_path}/said")
    assert verify(accounts, "ann", "Straße 7") == Identity("ann")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1", ""])
def test_address_of_the_client(
    service: Callable[[str], PamAuthenticator], tmp_path: Path, address: str
) -> None:
    """PAM's modules get the address of the client."""
    accounts = service("pam_permit.so")

    async def log_in() -> Identity:
        CLIENT_ADDRESS.set(address)
        return await accounts.verify("ann", Secret("Straße 7".encode()))

    assert asyncio.run(log_in()) == Identity("ann")
    assert (tmp_path / "script.addresses").read_text() == f"{address}\n"


@pytest.fixture
def syslog() -> Iterator[socket.socket]:
    """A syslog of this machine, which has none."""
    if Path("/dev/log").exists() or os.geteuid() != 0:
        pytest.skip("another program reads /dev/log, or it cannot be made")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("/dev/log")
        listening.settimeout(PATIENCE)
        try:
            yield listening
        finally:
            Path("/dev/log").unlink()


def test_address_in_the_log_of_pam_unix(syslog: socket.socket) -> None:
    """The line of Debian's pam_unix names the address of the client, sent by POP3."""
    name = f"restante-test-{secrets.token_hex(4)}"
    service = SERVICES / name
    service.write_text("auth required pam_unix.so nodelay\naccount required pam_unix.so\n")
    with Server(MemoryStore(), PamAuthenticator(name), [Listener(port=0)]) as server:
        address = server.addresses[0]
        client = poplib.POP3(address.host, address.port, timeout=PATIENCE)
        client.user("nobody")
        with pytest.raises(poplib.error_proto):
            client.pass_("wrong")
        client.close()
    service.unlink()
    lines: list[str] = []
    while "authentication failure" not in "".join(lines):
        lines.append(syslog.recv(4096).decode())
    assert f"pam_unix({name}:auth): authentication failure" in lines[-1]
    assert f" rhost={address.host} " in lines[-1]


HANGING = """#!/bin/sh
case "$PAM_USER" in hangs*) [ -e "$0.works" ] || cat "$0.fifo" >/dev/null;; esac
[ "$(tr -d '\\000')" = right ]
"""


def test_module_that_hangs(service: Callable[[str], PamAuthenticator], tmp_path: Path) -> None:
    """While a module hangs, logins without it work, others fail; later all work again."""
    service("pam_permit.so")
    name = next(SERVICES.glob("restante-test-*")).name
    (tmp_path / "script").write_text(HANGING)
    os.mkfifo(tmp_path / "script.fifo")
    pam = PamAuthenticator(name, patience=0.1, longest=0.1)
    made, letters = create("nobody", "phone", 0)
    (tmp_path / "app-passwords").write_text(f"{made}\n")
    passwords = AppPasswordFile(tmp_path / "app-passwords", print, print)
    accounts = AppPasswordAccounts(pam, passwords, FileUses(tmp_path / "app-passwords", print))
    context = ServerContext(store=MemoryStore(), authenticator=accounts, log=structlog.get_logger())

    async def at_last(call: Callable[..., Coroutine[Any, Any, T]], *arguments: Any) -> T:
        """Return an answer: on a busy machine the first ones may come too late."""
        while True:
            with contextlib.suppress(UnavailableError):
                return await call(*arguments)
            await asyncio.sleep(0.01)

    async def fill_threads() -> None:
        """Log in as users whose logins hang, until a login without them fails, too."""
        while True:
            hung = [pam.verify(f"hangs{n % 6}", Secret(b"right")) for n in range(24)]
            results = await asyncio.gather(*hung, return_exceptions=True)
            assert {type(each) for each in results} == {UnavailableError}
            await pam.verify("ann", Secret(b"right"))

    async def log_in() -> None:
        assert context.hash_queue is None  # no login waits for a turn of PAM's
        with pytest.raises(UnavailableError, match=f"PAM service {name}: no answer|not answer"):
            await fill_threads()
        threads = [each for each in threading.enumerate() if name in each.name]
        assert len(threads) <= AT_ONCE
        found = await at_last(accounts.verify, "nobody", Secret(letters.encode()))
        assert found.app_password == "phone"
        assert await at_last(pam.owner, "nobody") == "nobody"
        (tmp_path / "script.works").touch()  # the module answers again
        with (tmp_path / "script.fifo").open("r+b", buffering=0):  # all that open it meet its end
            (tmp_path / "script.fifo").unlink()
        assert await at_last(pam.verify, "ann", Secret(b"right")) == Identity("ann")

    async def within_time() -> None:
        async with asyncio.timeout(PATIENCE):
            await log_in()

    asyncio.run(within_time())
