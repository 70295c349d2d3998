"""Host names outside ASCII are IDNA 2008, in every place where a person writes them."""

from __future__ import annotations

import re

import pytest

from restante.client import blocking, mail_address
from restante.client.options import Options, Target, parse_url
from restante.net import host_names
from restante.net.addresses import is_address
from support.authority import ROOT, make, trusting
from support.command import pop3
from support.faulty_server import PASSWORD, faulty_server

LIKE_APPLE = "\u0430\u0440\u0440\u04cf\u0435"  # Cyrillic letters
SHARP = "xn--fa-hia.example"  # faß.example; IDNA 2003 made it fass.example


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("faß.example", SHARP),
        ("FAẞ.example.", SHARP),
        ("f%C3%A4.example", "xn--f-0fa.example"),
        ("βόλος.example", "xn--nxasmm1c.example"),
        ("bücher。example", "xn--bcher-kva.example"),
        ("\uff42ücher.example", "xn--bcher-kva.example"),
        ("example.com.", "example.com"),
        ("localhost", "localhost"),
        ("[::1]", "::1"),
        ("127.0.0.1", "127.0.0.1"),
    ],
)
def test_hosts_of_urls(host: str, known: str) -> None:
    """URLs, targets, options and addresses have the same form of a name."""
    assert parse_url(f"pop3s://ann@{host}").host == known
    if "%" in host or "[" in host:
        return
    assert Target(host, 995, "implicit").host == known
    options = Options(server_name=host, resolve={(host, 995): "127.0.0.1"})
    assert (options.server_name, *options.resolve) == (known, (known, 995))
    if not is_address(host):
        assert mail_address.parse_address(f"ann@{host}").domain == known.lower()


@pytest.mark.parametrize("domain", ["127.0.0.1:1110", "[::1]", "mail.example.com:995"])
def test_server_as_domain(domain: str) -> None:
    """An address with a server in place of its domain gets the form of a URL as the remedy."""
    with pytest.raises(ValueError, match="use pop3s://user@host:port"):
        mail_address.parse_address(f"ann@{domain}")


NOT_A_DOMAIN = "is not a domain|is too long for a domain"


@pytest.mark.parametrize("host", ["\u2260.example", "a\u200db.example", "\u0378", "ß" * 5000])
def test_names_that_cannot_be(host: str) -> None:
    """A name that IDNA 2008 does not take is refused in words, by the command too."""
    for make_host in (parse_url, lambda url: Target(host, 995, "implicit")):
        with pytest.raises(ValueError, match=NOT_A_DOMAIN):
            make_host(f"pop3s://ann@{host}")
    with pytest.raises(ValueError, match=NOT_A_DOMAIN):
        mail_address.parse_address(f"ann@{host}")
    for words in (("ls", f"pop3s://ann@{host}"), ("ls", f"ann@{host}", "--host", host)):
        ran = pop3(*words)
        assert ran.code == 2
        assert re.search(NOT_A_DOMAIN, ran.err)


def test_certificate_of_such_a_name() -> None:
    """SNI and the certificate have the form of the DNS."""
    certified = make("w", issuer=ROOT, hosts=(SHARP,))
    with faulty_server(tls=certified.serving()) as server:
        assert server.tls_port
        resolve = {("faß.example", server.tls_port): "127.0.0.1"}
        url = f"pop3s://ann@faß.example:{server.tls_port}"
        with blocking.connect(url, PASSWORD, context=trusting(), resolve=resolve) as drop:
            assert drop.session.target.host == SHARP


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        (SHARP, f"{SHARP} (faß.example)"),
        (
            "xn--80ak6aa92e.example",
            "xn--80ak6aa92e.example (\u0430\u0440\u0440\u04cf\u0435.example)",
        ),
        ("xn--a.example", "xn--a.example"),
        ("example.com", "example.com"),
    ],
)
def test_names_for_people(host: str, shown: str) -> None:
    """Punycode stands beside the letters, which could deceive."""
    assert host_names.display_host(host) == shown
