"""Logging in by an OpenLDAP server which the test starts."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import json
import os
import socket
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pytest
import structlog

from restante.auth.interfaces import (
    CredentialsError,
    RechecksUsers,
    UnavailableError,
    UnreadableAccountError,
)
from restante.delivery.recipients import AccountRecipients, find
from restante.protocol.secret import Secret
from restante.protocol.server.settings import Identity
from restante.quota import Quota
from restante.server import config_check
from restante.server.config import loader
from support.authority import root_file
from support.command import pop3
from support.live import PATIENCE, wait_until
from support.other_user import public_folder
from support.process import POP3
from support.programs import need_module
from support.slapd import BASE, LDIF, PERSON, SERVICE, Slapd, need_slapd

need_module("ldap")
import ldap  # noqa: E402

from restante.auth import silence  # noqa: E402
from restante.auth.ldap import accounts as ldap_accounts  # noqa: E402
from restante.auth.ldap.accounts import LdapAuthenticator, LdapSearch  # noqa: E402
from restante.auth.ldap.directory import LdapServer  # noqa: E402
from restante.auth.ldap.replies import refusal_reason  # noqa: E402

T = TypeVar("T")

PASSWORD = Secret(b"hunter2")
USER_DN = f"uid={{user}},{BASE}"
SEARCH = LdapSearch(
    base=BASE,
    logins="(&(objectClass=inetOrgPerson)(mail={user})(!(title=locked)))",
    mail="(&(objectClass=inetOrgPerson)(mail={user}))",
    name="uid",
    attributes={"expire_days": "employeeNumber", "allow_nets": "roomNumber"},
)

PEOPLE = {
    "ann": (
        "mail: ann.alias@example.com\nemployeeNumber: 30\nroomNumber: 192.0.2.0/24\npostalCode: 1\n"
    ),
    "shut": "title: locked\n",
    "odd": "uid: second\n",
    "a*(b)": "",
    "many": "employeeNumber: many\n",
    "guessed": "pwdPolicySubentry: cn=strict,dc=example,dc=com\n",
    "reset": "pwdReset: TRUE\n",
}


@pytest.fixture(scope="module")
def directory() -> Iterator[Slapd]:
    need_slapd()
    with public_folder() as folder:
        made = Slapd(folder)
        made.add(LDIF + "\n".join(PERSON.format(name) + more for name, more in PEOPLE.items()))
        made.start()
        yield made
        made.stop()


def made(directory: Slapd, search: LdapSearch = SEARCH, **server: Any) -> LdapAuthenticator:
    given: dict[str, Any] = {"uri": directory.uri, "bind_dn": SERVICE, "bind_password": PASSWORD}
    return LdapAuthenticator(LdapServer(**(given | server)), search)


def ask(accounts: LdapAuthenticator, work: Callable[[LdapAuthenticator], Awaitable[T]]) -> T:
    async def closing() -> T:
        async with contextlib.aclosing(accounts):
            return await work(accounts)

    return asyncio.run(closing())


def log_in(accounts: LdapAuthenticator, user: str, password: bytes = b"secret") -> Identity:
    return ask(accounts, lambda each: each.verify(user, Secret(password)))


def refusal(accounts: LdapAuthenticator, user: str, password: bytes = b"secret") -> str:
    with pytest.raises(CredentialsError, match="wrong name or password") as caught:
        log_in(accounts, user, password)
    return caught.value.reason


ANN = Identity("ann", expire_days=30, networks=("192.0.2.0/24",))


@pytest.mark.parametrize("user", ["ann@example.com", "Ann@Example.com", "ann.alias@example.com"])
def test_login_by_a_search_and_a_bind(directory: Slapd, user: str) -> None:
    """The entry that the search finds names the account, and has its settings."""
    assert log_in(made(directory), user) == ANN


@pytest.mark.parametrize("user", ["ann", "Ann", "a*(b)"])
def test_login_by_a_template(directory: Slapd, user: str) -> None:
    """A template gives the DN without a search. The name of the account is in lower case."""
    search = LdapSearch(user_dn=USER_DN)
    assert log_in(made(directory, search, bind_dn=""), user) == Identity(user.lower())


@pytest.mark.parametrize(
    ("user", "password", "reason"),
    [
        ("ann@example.com", b"wrong", "wrong password"),
        ("ann@example.com", b"", "no name or no password"),
        ("ann@example.com", b"secret\0", "wrong password"),
        ("ann@example.com", b"\xff", "wrong password"),
        ("nobody@example.com", b"secret", "unknown name"),
        ("shut@example.com", b"secret", "unknown name"),
        ("", b"secret", "unknown name"),
        ("*", b"secret", "unknown name"),
        ("ann*", b"secret", "unknown name"),
        ("ann@example.com)(uid=*", b"secret", "unknown name"),
        ("*)(|(mail=ann@example.com", b"secret", "unknown name"),
        ("ann@example.com\\", b"secret", "unknown name"),
        ("ann@example.com\\2a", b"secret", "unknown name"),
        ("ann\0@example.com", b"secret", "unknown name"),
        ("ann\udc80@example.com", b"secret", "unknown name"),
        ("a*)(b)", b"secret", "unknown name"),
    ],
)
def test_search_that_a_name_cannot_change(
    directory: Slapd, user: str, password: bytes, reason: str
) -> None:
    """implied/no-user-enumeration: a name is data in a filter, and an empty password is wrong."""
    assert refusal(made(directory), user, password) == reason


@pytest.mark.parametrize(
    "user",
    [
        f"ann,{BASE}", "ann+cn=ann", "ann,ou=people", "ann\\", "ann\\2c", 'ann"', "#616e6e", " ann",
        "ann ", "a\u00adnn", "\uff41nn", "ann\0", "",
    ],
)  # fmt: skip
def test_template_that_a_name_cannot_change(directory: Slapd, user: str) -> None:
    """A name is data in a DN, and another spelling of a name gives no second account."""
    refusal(made(directory, LdapSearch(user_dn=USER_DN), bind_dn=""), user)


def test_template_of_active_directory() -> None:
    """A template without "=" is a name, in which nothing is escaped."""
    assert ldap_accounts.fill("{user}@ad.example.com", "o'neil+x", dn=True) == (
        "o'neil+x@ad.example.com"
    )
    assert ldap_accounts.fill("(cn={local})", "a*b@example.com") == "(cn=a\\2ab)"
    assert ldap_accounts.fill("(cn={local})(d={domain})", "ann") == "(cn=ann)(d=)"


def test_locked_by_too_many_failures(directory: Slapd) -> None:
    """The log says what the password policy has decided."""
    user, locked = "guessed@example.com", "the account is locked"
    accounts = made(directory)
    assert [refusal(accounts, user, b"wrong") for _ in range(3)] == ["wrong password"] * 3
    # slapd reads two clocks. One lags by some milliseconds, in which the lock lies in the future.
    wait_until(lambda: refusal(accounts, user, b"wrong") == locked)
    assert refusal(accounts, user) == locked


def test_password_that_must_be_changed(directory: Slapd) -> None:
    """A password that the administrator has reset does not log in."""
    assert refusal(made(directory), "reset@example.com") == "the password must be changed first"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("52e", "wrong password"),
        ("533", "the account is disabled"),
        ("775", "the account is locked"),
    ],
)
def test_reasons_of_active_directory(data: str, reason: str) -> None:
    """The number in Active Directory's text says why a bind was refused."""
    info = f"80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, data {data}, v"
    assert refusal_reason(ldap.INVALID_CREDENTIALS({"desc": "x", "info": info})) == reason


@pytest.mark.parametrize(
    ("search", "text"),
    [
        (LdapSearch(base="ou=nowhere,dc=example,dc=com"), "No such object; check ldap.base"),
        (LdapSearch(base=BASE, logins="(mail={user})(", mail="("), "; correct ldap.filter"),
        (
            LdapSearch(base=BASE, logins="(nothing={user})", mail="x"),
            "no account at all; check ldap.base",
        ),
        (LdapSearch(base=BASE, logins="(sn={user})", name="mail"), "mail has 2 values, not one"),
        (
            LdapSearch(base=BASE, logins="(|(sn={user})(sn=odd))", name="sn"),
            "several entries; narrow ldap.filter",
        ),
        (
            LdapSearch(base=BASE, logins="(sn=many)", attributes={"expire_days": "employeeNumber"}),
            "expire_days must be a whole number",
        ),
    ],
)
def test_wrong_settings(directory: Slapd, search: LdapSearch, text: str) -> None:
    """A filter or attribute that does not work names the fault, and proves nothing."""
    with pytest.raises(UnavailableError) as caught:
        log_in(made(directory, search), "ann")
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("server", "text"),
    [
        (
            {"bind_password": Secret(b"wrong-hunter2")},
            f"{SERVICE} cannot bind: Invalid credentials; check ldap.bind_dn",
        ),
        ({"bind_dn": "", "bind_password": Secret(b"")}, "No such object"),
        ({"uri": "ldapi://%2Fnowhere"}, "Can't contact LDAP server"),
        ({"uri": "ldap://127.0.0.1:1"}, "; check that the directory runs, and accounts.ldap"),
    ],
)
def test_directory_that_cannot_be_asked(
    directory: Slapd, server: dict[str, Any], text: str
) -> None:
    """The error says why, and does not show the password."""
    with pytest.raises(UnavailableError) as caught:
        log_in(made(directory, **server), "ann@example.com")
    assert text in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("start_tls", [True, False])
@pytest.mark.parametrize("trusted", [True, False])
def test_tls_to_the_directory(
    directory: Slapd, tmp_path: Path, *, trusted: bool, start_tls: bool
) -> None:
    """StartTLS and ldaps verify the certificate, by the authority that is configured."""
    ca_file = root_file(tmp_path) if trusted else None
    uri = f"ldaps://127.0.0.1:{directory.tls_port}"
    if start_tls:
        uri = f"ldap://127.0.0.1:{directory.port}"
    accounts = made(directory, uri=uri, start_tls=start_tls, ca_file=ca_file)
    if trusted:
        assert log_in(accounts, "ann@example.com") == ANN
        return
    with pytest.raises(UnavailableError, match="certificate"):
        log_in(accounts, "ann@example.com")


@pytest.mark.parametrize("start_tls", [True, False])
def test_tls_to_another_name(directory: Slapd, tmp_path: Path, *, start_tls: bool) -> None:
    """A certificate for another host is rejected; to libldap, localhost is this host's name."""
    uri = f"ldaps://localhost:{directory.tls_port}"
    if start_tls:
        uri = f"ldap://localhost:{directory.port}"
    accounts = made(directory, uri=uri, start_tls=start_tls, ca_file=root_file(tmp_path))
    with pytest.raises(UnavailableError, match="check its certificate"):
        log_in(accounts, "ann@example.com")


def test_lax_ldap_conf(directory: Slapd, tmp_path: Path) -> None:
    """A certificate must be trusted even if the settings of libldap accept any."""
    file = configure(directory, tmp_path)
    uri = f"ldaps://127.0.0.1:{directory.tls_port}"
    file.write_text(file.read_text().replace(directory.uri, uri))
    lax = os.environ | {"LDAPTLS_REQCERT": "never"}
    ran = subprocess.run(
        [POP3, "config", "check", "--config", file],
        env=lax, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert (ran.returncode, "check its certificate" in ran.stderr) == (2, True)


def test_directory_that_was_away(directory: Slapd) -> None:
    """After a restart of the directory, the next login succeeds, in spite of idle connections."""
    login = "ann@example.com", Secret(b"secret")

    async def log_in_again(accounts: LdapAuthenticator) -> None:
        assert await accounts.verify(*login) == ANN
        directory.stop()
        with pytest.raises(UnavailableError):
            await accounts.verify(*login)
        directory.start()
        assert await accounts.verify(*login) == ANN
        directory.stop()
        directory.start()
        assert await accounts.verify(*login) == ANN

    ask(made(directory), log_in_again)


def test_first_of_two_directories_is_off(directory: Slapd) -> None:
    """A server that is switched off, and does not even refuse, keeps no login from the next one."""
    with socket.socket() as off, contextlib.ExitStack() as clients:
        off.bind(("127.0.0.1", 0))
        off.listen(0)
        for _ in range(4):  # the queue is full then, and the kernel ignores more clients
            client = clients.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(off.getsockname())
        uri = f"ldap://127.0.0.1:{off.getsockname()[1]} {directory.uri}"
        assert log_in(made(directory, uri=uri), "ann@example.com") == ANN


def test_password_of_the_service_in_latin_1(directory: Slapd) -> None:
    """A wrong password of the server itself is an error that names it, whatever its octets are."""
    accounts = made(directory, bind_password=Secret(b"w\xfcrong"))
    with pytest.raises(UnavailableError, match=r"cannot bind.*ldap\.bind_password_file"):
        log_in(accounts, "ann@example.com")


def test_silent_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that says nothing costs a login 5 seconds, and the next ones nothing."""
    monkeypatch.setattr(ldap_accounts, "PATIENCE", 0.05)
    monkeypatch.setattr(silence, "SILENCE", 0.04)
    monkeypatch.setattr(silence, "PAUSE", 3600)
    connections = 0

    async def wait() -> None:
        ended = asyncio.Event()

        async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            await reader.read()
            writer.close()
            ended.set()

        listening = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        server = LdapServer(f"ldap://127.0.0.1:{port}", bind_dn=SERVICE, bind_password=Secret(b"x"))
        async with listening:
            accounts = LdapAuthenticator(server, SEARCH)
            for _ in range(20):
                with pytest.raises(UnavailableError):
                    await accounts.verify("ann", Secret(b"secret"))
            await ended.wait()

    asyncio.run(wait())
    assert connections == 1


def test_mail_for_accounts_in_a_directory(directory: Slapd) -> None:
    """Mail is accepted for a locked account, too, and rejected for an unknown name."""

    async def deliver(accounts: LdapAuthenticator) -> list[str | None]:
        recipients = AccountRecipients(accounts)
        names = (
            "Ann+x@example.com",
            "ann.alias@example.com",
            "shut@example.com",
            "eve@example.com",
        )
        return [await find(recipients, name, "+") for name in names]

    assert ask(made(directory), deliver) == ["ann", "ann", "shut", None]


def test_token_of_an_account(directory: Slapd) -> None:
    """After a token was verified, the entry must be one that can log in."""
    assert ask(made(directory), lambda each: each.identify("ann@example.com")) == ANN
    for user in ("shut@example.com", "eve@example.com"):
        with pytest.raises(CredentialsError):
            ask(made(directory), functools.partial(LdapAuthenticator.identify, user=user))
    template = made(directory, LdapSearch(user_dn=USER_DN))
    with pytest.raises(CredentialsError):
        ask(template, lambda each: each.identify("ann"))


def test_list_of_the_accounts_in_a_directory(directory: Slapd) -> None:
    """A long list comes in pages, each account once; one that cannot be read stops no other."""
    search = LdapSearch(base=BASE, mail="(mail={user})", attributes=SEARCH.attributes)
    people = [PERSON.format(f"p{number}") + "employeeNumber: 7\n" for number in range(1100)]
    directory.stop()
    directory.add("\n".join(people))
    directory.start()

    async def pages(accounts: LdapAuthenticator) -> list[list[tuple[str, int | None]]]:
        readable: dict[str, int | None] = {}
        with pytest.raises(UnreadableAccountError, match=r"cannot be read: 2, the first is uid="):
            async for page in accounts.list_accounts():
                readable |= dict(page)
        assert {"ann", "shut", "p0", "p1099"} < readable.keys()
        assert {"odd", "many"}.isdisjoint(readable)
        only = LdapSearch(base=BASE, mail="(uid=p*)", attributes=SEARCH.attributes)
        listed = made(directory, only)
        async with contextlib.aclosing(listed):
            return [list(page) async for page in listed.list_accounts()]

    found = ask(made(directory, search), pages)
    assert [len(page) for page in found] == [1000, 100]
    assert len({pair for page in found for pair in page}) == 1100
    assert found[0][0][1] == 7


class SlowDirectory(LdapAuthenticator):
    """A directory whose answers take the given times; pauses are noted, and not made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(LdapServer("ldap://127.0.0.1"), SEARCH)
        self.now = 0.0
        self.answers: list[tuple[float, bool]] = []
        self.paused: list[float] = []
        monkeypatch.setattr(ldap_accounts, "monotonic", lambda: self.now)
        monkeypatch.setattr(ldap_accounts, "sleep", self._pause)

    async def _pause(self, seconds: float) -> None:
        self.paused.append(round(seconds, 3))

    async def _call(self, user: str, work: object) -> Any:
        seconds, refused = self.answers.pop(0)
        self.now += seconds
        if refused:
            raise CredentialsError
        return ANN


def test_refusals_take_the_time_of_a_login(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal ends no sooner than the slowest of the last logins, at most a second."""
    slow = SlowDirectory(monkeypatch)
    slow.answers = [(0.3, False), (0.1, False), (0.01, True), (7, False), (0.01, True)]
    while slow.answers:
        with contextlib.suppress(CredentialsError):
            asyncio.run(slow.verify("ann", Secret(b"secret")))
    assert slow.paused == [0.29, 0.99]


def test_users_of_sessions_are_looked_up() -> None:
    """A directory is asked again about the users of open sessions."""
    assert issubclass(LdapAuthenticator, RechecksUsers)


def test_quota_in_a_directory(directory: Slapd) -> None:
    """The quota of an account is that of its entry."""
    search = dataclasses.replace(SEARCH, attributes={"quota_messages": "employeeNumber"})

    async def quotas(accounts: LdapAuthenticator) -> list[Quota]:
        assert await accounts.owner("ann@example.com") == "ann"
        return [await accounts.own_quota(name) for name in ("ann", "shut", "eve")]

    found = ask(made(directory, search), quotas)
    assert found == [Quota(messages=30), Quota(), Quota()]


def configure(directory: Slapd, folder: Path, *more: str) -> Path:
    """Return a configuration whose accounts are the people with a postal code."""
    (folder / "password").write_text("hunter2\n")
    (folder / "mail").mkdir()
    settings = [
        'mail.folder = "mail"',
        f'accounts.ldap = "{directory.uri}"',
        f'ldap.base = "{BASE}"',
        'ldap.filter = "(&(mail={user})(postalCode=1))"',
        f'ldap.bind_dn = "{SERVICE}"',
        'ldap.bind_password_file = "password"',
        *more,
    ]
    file = folder / "restante.toml"
    file.write_text("".join(f"{line}\n" for line in settings))
    return file


def test_quota_of_an_entry_is_kept(directory: Slapd, tmp_path: Path) -> None:
    """`pop3 quota` shows the quota in a directory, and delivery keeps it."""
    file = configure(directory, tmp_path, 'ldap.quota_messages = "postalCode"')

    def usage(*words: str) -> tuple[str, int, int]:
        ran = pop3("quota", *words, "--json", "--config", file)
        assert (ran.code, ran.err) == (0, "")
        shown = json.loads(ran.out)
        return shown["user"], shown["messages"], shown["quota_messages"]

    assert usage("ann@example.com") == usage() == ("ann", 0, 1)
    for code in (0, 75):
        text = b"From: bob@example.com\n\nhello\n"
        ran = pop3("deliver", "ann@example.com", "--config", file, stdin=text)
        assert (ran.code, "4.2.2" in ran.err) == (code, code == 75)
    assert usage("ann@example.com") == ("ann", 1, 1)


def test_lock_of_an_entry(directory: Slapd, tmp_path: Path) -> None:
    """`pop3 user lock` finds the account of an alias, and the list shows the lock."""
    file = configure(directory, tmp_path, 'accounts.locks = "locks"')
    ran = pop3("user", "lock", "ann.alias@example.com", "--config", file)
    assert (ran.code, ran.err) == (0, "")
    assert (tmp_path / "locks").read_text().splitlines()[1:] == ["ann"]
    listed = [
        json.loads(line) for line in pop3("user", "list", "--json", "-c", file).out.splitlines()
    ]
    assert [(each["name"], each["locked"]) for each in listed] == [("ann", "accounts.locks")]
    assert pop3("user", "unlock", "ann@example.com", "--config", file).code == 0
    directory.stop()
    ran = pop3("user", "lock", "ann", "--config", file)
    directory.start()
    assert (ran.code, "the list has ann as it is" in ran.err) == (0, True)


def test_configuration_with_a_directory(directory: Slapd, tmp_path: Path) -> None:
    """`pop3 config check` asks the directory, and names what is wrong with a setting."""
    (tmp_path / "password").write_text("hunter2\n")
    file = tmp_path / "restante.toml"
    missing = "ou=peeple,dc=example,dc=com"
    settings = f"""
[mail]
folder = "."
[accounts]
ldap = "{directory.uri}"
[ldap]
bind_dn = "{SERVICE}"
bind_password_file = "password"
mail_filter = "(&(mail={{user}})(!(uid=odd)))"
"""
    log = structlog.wrap_logger(None, processors=[_drop])
    found = []
    for base, text in ((BASE, "(uid={user})"), (missing, "(uid={user})"), (BASE, "(uid={user}")):
        file.write_text(f'{settings}base = "{base}"\nfilter = "{text}"\n')
        found += config_check.find_problems(loader.load(file, {}), log)
    assert found == [
        "accounts: LDAP: No such object; check ldap.base, and that ldap.bind_dn may read it",
        "accounts: LDAP: Bad search filter; correct ldap.filter",
    ]


def test_configuration_without_a_search(directory: Slapd) -> None:
    """Without a search, a bind shows whether the directory answers."""
    search = LdapSearch(user_dn=USER_DN)
    ask(made(directory, search, bind_dn=""), LdapAuthenticator.try_source)
    with pytest.raises(UnavailableError, match="Can't contact"):
        ask(made(directory, search, uri="ldapi://%2Fnowhere"), LdapAuthenticator.try_source)


def _drop(*_: object) -> NoReturn:
    raise structlog.DropEvent
