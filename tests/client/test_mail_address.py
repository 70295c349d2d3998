"""Accounts as people paste them, and texts that cannot be an account."""

from __future__ import annotations

import pytest

from restante.client.mail_address import is_this_machine, parse_address, unwrap_address
from restante.client.maildrop import target_of
from support.command import pop3
from support.process import free_port

PASTED = [
    "ann@example.com\r\n",
    "\N{NO-BREAK SPACE}ann@example.com\t",
    "\N{ZERO WIDTH NO-BREAK SPACE}ann@example.com\N{ZERO WIDTH SPACE}",
    "<ann@example.com>",
    "Ann Smith <ann@example.com>",
    '"Smith, Ann" <ann@example.com>;',
    '"ann@example.com" <ann@example.com>',
    "mailto:ann@example.com",
    "<MAILTO:ann@example.com?subject=Hello%20Ann>",
    '"ann@example.com"',
    "ann@example.com,",
    "ann\N{FULLWIDTH COMMERCIAL AT}example.com",
    "'ann@example.com'",
    "(ann@example.com)",
    "\u201cann@example.com\u201d",
    "\u201eann@example.com\u201c",
    "\u2018ann@example.com\u2019",
    "\u00abann@example.com\u00bb",
]


@pytest.mark.parametrize("text", PASTED)
def test_pasted(text: str) -> None:
    """What programs copy around an address does not belong to it."""
    assert unwrap_address(text) == "ann@example.com"
    assert str(parse_address(text)) == "ann@example.com"


@pytest.mark.parametrize(
    "text",
    [
        "pop3s://ann@example.com",
        "pop3://info@example.com@127.0.0.1:1110",
        '"a@b"@example.com',
        '"a,b"@example.com',
        "work",
        " ",
        "<>",
    ],
)
def test_unchanged(text: str) -> None:
    """URLs, names of the accounts file and quoted names stay the same."""
    assert unwrap_address(text) == text


def test_pasted_url() -> None:
    """A URL loses the spaces and the brackets around it, and nothing else."""
    for text in (" pop3s://ann@example.com\n", "<pop3s://ann@example.com>"):
        assert unwrap_address(text) == "pop3s://ann@example.com"


LITERALS = [
    ("ann@192.0.2.25", "pop3s://ann@192.0.2.25:995"),
    ("<ann@[192.0.2.25]>", "pop3s://ann@192.0.2.25:995"),
    ("ann@[2001:db8::1]", "pop3s://ann@[2001:db8::1]:995"),
    ("ann@[IPv6:2001:db8::1]", "pop3s://ann@[2001:db8::1]:995"),
]


@pytest.mark.parametrize(("text", "url"), LITERALS)
def test_address_literal(text: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An IP address in place of a domain is the server, without a look-up."""
    monkeypatch.setattr("restante.client.discovery.lookup.discover_server", None)
    assert str(target_of(text)) == url


def test_command_with_an_address_literal() -> None:
    """Commands connect to an IP address at once; options replace its parts."""
    port = free_port()
    ended = pop3("ls", "ann@[127.0.0.1]", "--port", str(port), "--password-command", "echo x")
    assert ended.code == 4
    assert f"127.0.0.1 port {port} refused the connection" in ended.err


REJECTED = [
    ("ann@", "'ann@' is not a mail address"),
    ("ann@example.com;bob@example.com", "is more than one address; name one"),
    ("ann@example.com, Bob <bob@example.com>, eve@example.com", "is more than one address"),
    ("ann@example.com:995", "use pop3s://user@host:port"),
    ("pop3s//ann@host.example", "is neither an address nor a URL; use pop3s://user@host"),
    ("ann@@example.com", "'ann@@example.com' has two @ in a row; use user@example.com"),
    ("ann@1.2.3", "'1.2.3' is neither a domain nor an IP address"),
    (f"ann@{'a' * 64}.example", "at most 63 characters without a dot"),
    (f"ann@{'a.' * 127}example", "a name of 261 characters is too long for a domain: at most 253"),
]


@pytest.mark.parametrize(("text", "said"), REJECTED)
@pytest.mark.parametrize("command", ["check", "ls", "discover"])
def test_rejected(command: str, text: str, said: str) -> None:
    """A text that cannot be an address is an error with its reason, before any look-up."""
    ended = pop3(command, text)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err


SERVERS = [
    (("ann or bob",), '"ann or bob" is not an account; use user@domain'),
    (("E-Mail: ann@example.com",), "not an account; omit the word before the address"),
    (("pop3s:ann@example.com",), "not an account; use pop3s://user@host"),
    (("pop3s:///ann@example.com",), "the URL has three slashes; use pop3s://user@host"),
    (("pop3s://ann@mail..example.com",), "'mail..example.com' is not a host"),
    ((f"pop3s://ann@{'a' * 64}.example",), "at most 63 characters without a dot"),
    (("localhost:99999", "-u", "ann"), "99999 is not a port: ports are 1 to 65535"),
    (("localhost:0", "-u", "ann"), "0 is not a port: ports are 1 to 65535"),
    (("ann@example.com", "--host", "pop3s://localhost"), "'pop3s://localhost' is not a host"),
    (("ann@example.com", "--host", "localhost/mail"), "'localhost/mail' is not a host"),
    (("ann@example.com", "--host", "localhost:99999"), "99999 is not a port"),
]


@pytest.mark.parametrize(("words", "said"), SERVERS, ids=lambda row: " ".join(row)[:40])
@pytest.mark.parametrize("command", ["check", "ls"])
def test_rejected_server(command: str, words: tuple[str, ...], said: str) -> None:
    """A server that cannot exist is an error of the command line, and not of the DNS."""
    ended = pop3(command, *words)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err


LOCAL = [
    "localhost.", "a.localhost", "127.0.0.1", "127.9.9.9", "0.0.0.0", "0.1.2.3", "169.254.1.1",
    "224.0.0.1", "::1", "[::1]", "::", "fe80::1", "ff02::1", "::127.0.0.1", "::ffff:127.0.0.1",
    "64:ff9b::7f00:1", "2002:7f00:1::",
]  # fmt: skip
OTHERS = ["192.0.2.1", "[2001:db8::1]", "::ffff:192.0.2.1", "64:ff9b::c000:201", "mail.example.com"]


@pytest.mark.parametrize("host", LOCAL + OTHERS)
def test_this_machine(host: str) -> None:
    """Loopback is known in all its forms, to which the DNS of a domain must not lead."""
    assert is_this_machine(host) is (host in LOCAL)
