"""To which server of an address a password may go, where the DNS can be forged."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from typing import Any, assert_type

import pexpect
import pytest

import restante
from restante import blocking
from restante.client import mail_address, name_resolution
from restante.client.discovery import lookup
from restante.client.discovery.discover import Discovery, discover
from restante.client.discovery.lookup import OtherDomainError
from restante.client.discovery.sources import (
    NetworkSources,
    NotFoundError,
    SilentHostError,
    SrvRecord,
)
from restante.client.options import Options, Target
from restante.diagnosis.explanations import EXPLANATIONS
from restante.protocol.errors import ServerUnreachableError

BANK = "bank.example"
SRV = f"_pop3s._tcp.{BANK}"


class Forged:
    """A network in which an attacker answers for the DNS."""

    def __init__(self, *, srv: str = "", mx: str = "", files: dict[str, str] | None = None) -> None:
        self._srv, self._mx, self._files = srv, mx, files or {}

    def srv(self, name: str) -> list[SrvRecord]:
        if self._srv and name.startswith("_pop3s."):
            return [SrvRecord(0, 0, 995, self._srv)]
        raise NotFoundError("no such record")

    def mx(self, domain: str) -> list[str]:
        return [self._mx] if self._mx else []

    def fetch(self, url: str) -> bytes:
        for start, host in self._files.items():
            if url.startswith(f"https://{start}"):
                return autoconfig(host)
        raise NotFoundError("HTTP 404")

    def reachable(self, host: str, port: int) -> None:
        if host != self._mx or port != 995:
            raise NotFoundError("refused")


def autoconfig(host: str, user: str = "%EMAILADDRESS%", kind: str = "SSL") -> bytes:
    return (
        '<clientConfig><emailProvider><incomingServer type="pop3">'
        f"<hostname>{host}</hostname><port>995</port><socketType>{kind}</socketType>"
        f"<username>{user}</username></incomingServer></emailProvider></clientConfig>"
    ).encode()


def found(sources: Forged, address: str = f"ann@{BANK}") -> Discovery:
    return discover(address, timeout=5, sources=sources)


@pytest.mark.parametrize(
    "sources",
    [
        Forged(srv="pop.evil.example"),
        Forged(mx="mx.evil.example"),
        Forged(srv="evilbank.example"),
        Forged(srv="bank.example.evil.example"),
        Forged(srv="example"),
        Forged(files={"autoconfig.thunderbird.net/": "pop.evil.example"}),
        Forged(srv="xn--bnk-hoa.example"),
    ],
)
def test_a_server_of_another_domain_gets_no_password(
    sources: Forged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library raises OtherDomainError, and `check` fails with the command that goes on."""
    monkeypatch.setattr(lookup, "discover_server", lambda address, seconds: found(sources, address))
    monkeypatch.setattr(socket, "create_connection", never)
    with pytest.raises(OtherDomainError) as caught:
        blocking.connect(f"ann@{BANK}", "hunter22")
    assert caught.value.id in EXPLANATIONS

    async def opened() -> None:
        async with restante.connect(f"ann@{BANK}", "hunter22"):
            pass

    with pytest.raises(OtherDomainError) as caught:
        asyncio.run(opened())
    target = assert_type(caught.value.target, Target)
    assert target.looked_up
    report = restante.check(f"ann@{BANK}", "hunter22")
    assert report.id == "other-domain"
    assert report.failure is not None
    assert report.failure.commands == (f"pop3 check pop3s://ann@{BANK}@{target.host}",)


def never(*_: object, **__: object) -> Any:
    raise AssertionError("nothing may be connected to")


@pytest.mark.parametrize(
    ("sources", "host"),
    [
        (Forged(srv="pop.bank.example"), "pop.bank.example"),
        (Forged(srv="bank.example"), "bank.example"),
        (Forged(mx="a.b.bank.example"), "a.b.bank.example"),
        (Forged(files={f"autoconfig.{BANK}/": "pop.provider.example"}), "pop.provider.example"),
        (Forged(files={"bank.example/.well": "POP.Provider.example."}), "pop.provider.example"),
        (
            Forged(srv="pop.evil.example", files={"bank.example/.well": "pop.provider.example"}),
            "pop.provider.example",
        ),
    ],
)  # fmt: skip
def test_domains_own_server_trusted(sources: Forged, host: str) -> None:
    """The mail domain's own names, and its own files by https, are believed."""
    discovery = found(sources)
    lookup.check_vouched(discovery)
    assert lookup.choose_server(discovery).host == host


@pytest.mark.parametrize(
    ("host", "mail", "below"),
    [
        ("pop.example.com", "example.com", True),
        ("example.com", "example.com", True),
        ("popexample.com", "example.com", False),
        ("example.com", "mail.example.com", False),
        ("example.com.evil.net", "example.com", False),
        ("evil.uk", "uk", False),
        ("evil.co.uk", "co.uk", False),
        ("autoconfig.com.au", "com.au", False),
        ("co.uk", "co.uk", True),
        ("pop.bank.co.uk", "bank.co.uk", True),
        ("127.0.0.1", "0.0.1", False),
        ("uk", "uk", True),
    ],
)
def test_what_is_below_a_domain(host: str, mail: str, *, below: bool) -> None:
    """Labels are compared, not letters; domains below a public suffix are unrelated."""
    assert mail_address.is_below(host, mail) is below


LOCAL = [
    "localhost", "LOCALHOST", "pop.localhost", "localhost.localdomain", "127.0.0.1", "127.8.8.8",
    "0.0.0.0", "169.254.169.254", "ip6-localhost",
]  # fmt: skip


@pytest.mark.parametrize("host", LOCAL)
def test_what_was_looked_up_is_never_this_machine(host: str) -> None:
    """Neither SRV nor a file of the domain may name loopback, in any form."""
    assert found(Forged(srv=host.lower())).winner is None
    discovery = found(Forged(files={"autoconfig.bank.example/": host}))
    assert discovery.winner is None
    assert "this machine" in " ".join(f.note for f in discovery.findings)
    assert not Target(host, 110, "starttls", "ann", looked_up=True).loopback


ADDRESSES = [
    "127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", "169.254.1.1", "fe80::1%2",
    "::7f00:1", "64:ff9b::7f00:1", "2002:7f00:1::1", "224.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("looked_up", [False, True])
@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_blocked_name(
    address: str,
    looked_up: bool,  # a row of the table
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The address by which filters block a name, which would lead to this machine, is not used."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [(0, 0, 0, "", (address, 995))])
    target = Target("pop.bank.example", 995, "implicit", "ann", looked_up=looked_up)
    with pytest.raises(ServerUnreachableError) as caught:
        name_resolution.addresses(target, Options())
    assert caught.value.id == "dns-blocked"
    with pytest.raises(ConnectionRefusedError):
        name_resolution.connect_public("pop.bank.example", 995, float("inf"))


@pytest.mark.parametrize("address", ADDRESSES)
def test_own_address_not_connected_to(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A looked-up name with an address of this machine is not connected to."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [(0, 0, 0, "", (address, 995))])
    target = Target("pop.bank.example", 995, "implicit", "ann", looked_up=True)
    with pytest.raises(ServerUnreachableError) as caught:
        name_resolution.addresses(target, Options())
    assert caught.value.id == "looked-up-local"
    assert caught.value.id in EXPLANATIONS
    with pytest.raises(ConnectionRefusedError):
        name_resolution.connect_public("pop.bank.example", 995, float("inf"))
    named = Target("pop.bank.example", 995, "implicit", "ann")
    assert name_resolution.addresses(named, Options()) == [address]


COMMAND = """
import sys
from restante.cli.main import main
from restante.client.discovery import lookup
from restante.client.discovery.discover import discover
sys.path.insert(0, {tests!r})
import importlib.util
spec = importlib.util.spec_from_file_location("vouching", {file!r})
vouching = importlib.util.module_from_spec(spec)
spec.loader.exec_module(vouching)
forged = vouching.Forged(srv="pop.evil.example")
lookup.discover_server = lambda address, seconds: vouching.found(forged)
main()
"""


def forged(tmp_path: Any, *words: str) -> list[str]:
    script = tmp_path / "forged.py"
    tests = os.path.dirname(os.path.dirname(__file__))
    script.write_text(COMMAND.format(tests=tests, file=__file__))
    return [str(script), *words]


@pytest.mark.parametrize("words", ["check {}", "ls {}", "{}", "show {} 1"])
def test_a_person_is_asked_and_no_is_the_answer(tmp_path: Any, words: str) -> None:
    """At a terminal each command asks, names the host, and sends nothing where Enter is pressed."""
    command = forged(tmp_path, *words.format(f"ann@{BANK}").split())
    child = pexpect.spawn(sys.executable, command, timeout=30, encoding="utf-8")
    child.expect(r"Log in at pop\.evil\.example\? \[y/N\]")
    child.sendline("")
    child.expect("FAIL")
    child.expect(r"--host pop\.evil\.example|pop3s://ann@bank\.example@pop\.evil\.example")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == EXPLANATIONS["other-domain"].exit


def test_a_program_is_told_the_command_that_goes_on(tmp_path: Any) -> None:
    """Without a terminal there is no prompt, and the exit code is the verdict's."""
    for words in (("ls", f"ann@{BANK}"), ("show", f"ann@{BANK}", "3"), ("check", f"ann@{BANK}")):
        done = subprocess.run(
            [sys.executable, *forged(tmp_path, *words)],
            capture_output=True,
            text=True,
            env={**os.environ, "POP3_PASSWORD": "hunter22"},
            check=False,
        )
        assert done.returncode == EXPLANATIONS["other-domain"].exit
        said = done.stdout + done.stderr
        assert "other-domain" in said
        assert "Traceback" not in said
        if words[0] != "check":
            number = " 3" if words[0] == "show" else ""
            assert f"pop3 {words[0]} ann@{BANK}{number} --host pop.evil.example" in said


def test_the_command_that_goes_on_with_other_options(tmp_path: Any) -> None:
    """The port of `pop3 login` is another one, and `pop3 fetch` may have several accounts."""
    to = f"maildir:{tmp_path}/Mail"
    state = ("--state", f"{tmp_path}/fetch.db")
    for words, goes_on in (
        (("login", f"ann@{BANK}"), f"pop3 login ann@{BANK} --host pop.evil.example:995\n"),
        (
            ("fetch", f"ann@{BANK}", f"bob@{BANK}", "--to", to, *state),
            f'Set account = "pop3s://ann@{BANK}@pop.evil.example:995" in accounts.toml',
        ),
    ):
        done = subprocess.run(
            [sys.executable, *forged(tmp_path, *words)],
            capture_output=True,
            text=True,
            env={**os.environ, "POP3_PASSWORD": "hunter22", "HOME": str(tmp_path)},
            check=False,
        )
        assert done.returncode == EXPLANATIONS["other-domain"].exit
        assert goes_on in done.stdout + done.stderr


def test_a_prompt_is_harmless(tmp_path: Any) -> None:
    """A name with escapes is shown as text, and a host in both of its forms."""
    url = "pop3s://a%1b%5b2J%e2%80%ae@b\u00fccher.example"
    environment = {k: v for k, v in os.environ.items() if k != "POP3_PASSWORD"}
    command = [*forged(tmp_path, "ls", url)]
    child = pexpect.spawn(
        sys.executable,
        command,
        timeout=30,
        encoding="utf-8",
        env=environment,
    )
    child.expect_exact(r"Password of a\x1b[2J\u202e at xn--bcher-kva.example (bücher.example): ")
    child.close(force=True)


@pytest.mark.parametrize(
    ("failure", "kind"),
    [(TimeoutError(), SilentHostError), (ConnectionRefusedError(), NotFoundError)],
)
def test_a_port(
    monkeypatch: pytest.MonkeyPatch, failure: OSError, kind: type[NotFoundError]
) -> None:
    """A host that does not answer at a port is not one that refuses a connection."""

    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr("restante.client.name_resolution.connect_public", fail)
    with pytest.raises(NotFoundError) as caught:
        NetworkSources().reachable("mail.example.com", 995)
    assert type(caught.value) is kind
