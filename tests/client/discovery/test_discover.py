"""Where a mail address's server is found, in made-up worlds and once over a real network."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dns.message
import dns.rdatatype
import dns.rrset
import pytest
import trustme

from restante.client import blocking, mail_address
from restante.client.discovery import autoconfig, lookup
from restante.client.discovery.discover import (
    NOT_OFFERED,
    Discovery,
    DiscoveryNote,
    discover,
    sort_srv_records,
)
from restante.client.discovery.sources import (
    DeadAliasError,
    LookupFailedError,
    NetworkSources,
    NoSuchNameError,
    NotFoundError,
    NullMxError,
    SilentHostError,
    SrvRecord,
)
from restante.protocol.errors import ServerUnreachableError
from support.process import free_port

XML = b"""<?xml version="1.0"?>
<clientConfig version="1.1"><emailProvider id="example.com">
<incomingServer type="imap"><hostname>imap.example.com</hostname></incomingServer>
<incomingServer type="pop3"><hostname>pop.%EMAILDOMAIN%</hostname><port>110</port>
<socketType>STARTTLS</socketType><username>%EMAILLOCALPART%</username></incomingServer>
<incomingServer type="pop3"><hostname>pops.example.com</hostname><port>995</port>
<socketType>SSL</socketType><username>%EMAILADDRESS%</username></incomingServer>
</emailProvider></clientConfig>"""


@dataclass
class MadeUp:
    records: dict[str, list[SrvRecord]] = field(default_factory=dict)
    exchangers: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    ports: set[tuple[str, int]] = field(default_factory=set)
    fetched: list[str] = field(default_factory=list)

    def srv(self, name: str) -> list[SrvRecord]:
        if name not in self.records:
            raise NotFoundError("no such record")
        return self.records[name]

    def mx(self, domain: str) -> list[str]:
        return self.exchangers

    def fetch(self, url: str) -> bytes:
        self.fetched.append(url)
        for start, octets in self.files.items():
            if url.startswith(start):
                return octets
        raise NotFoundError("HTTP 404")

    def reachable(self, host: str, port: int) -> None:
        if (host, port) not in self.ports:
            raise NotFoundError("refused")


def test_srv_and_implicit_tls_win() -> None:
    """SRV records win, and implicit TLS is preferred."""
    sources = MadeUp(
        {
            "_pop3s._tcp.example.com": [SrvRecord(10, 1, 995, "mail.example.com")],
            "_pop3._tcp.example.com": [SrvRecord(0, 1, 110, "old.example.com")],
        },
        files={"https://autoconfig.example.com/": XML},
    )
    found = discover("ann@example.com", sources=sources)
    assert found.winner is not None
    assert (found.winner.host, found.winner.port, found.winner.tls) == (
        "mail.example.com",
        995,
        "implicit",
    )
    assert found.winner.user == "ann@example.com"
    assert [len(f.candidates) for f in found.findings] == [1, 1, 2, 0, 0, 0]


def test_a_service_that_is_not_offered_is_said_to_be_so() -> None:
    """A domain that declares in the DNS that it has no POP3 is reported so."""
    sources = MadeUp({"_pop3s._tcp.example.com": [SrvRecord(0, 0, 0, "")]})
    found = discover("ann@example.com", sources=sources)
    assert found.winner is None
    assert "not offered" in found.findings[0].note


def test_lower_priorities_come_first_and_weights_share() -> None:
    """SRV records are sorted by priority, and at random by weight."""
    records = [
        SrvRecord(20, 1, 995, "b"),
        SrvRecord(10, 0, 995, "none"),
        SrvRecord(10, 100, 995, "a"),
    ]
    firsts = [sort_srv_records(records)[0].host for _ in range(200)]
    assert firsts.count("a") > 150
    assert {sort_srv_records(records)[-1].host for _ in range(20)} == {"b"}


POP3S = "_pop3s._tcp.example.com"
FIRST, SECOND = (SrvRecord(n, 1, 995, f"{n}.example.com") for n in (1, 2))
FOREIGN = SrvRecord(3, 1, 995, "pop.example.net")
STLS = SrvRecord(0, 1, 110, "3.example.com")


@pytest.mark.parametrize(
    ("records", "listening", "winner", "skipped"),
    [
        ([FIRST, SECOND], {("2.example.com", 995)}, "2.example.com", ["1.example.com"]),
        ([FIRST, SECOND], {("1.example.com", 995), ("2.example.com", 995)}, "1.example.com", []),
        ([FIRST, SECOND], set(), "1.example.com", []),
        ([FIRST, FOREIGN], {("pop.example.net", 995)}, "1.example.com", []),
        ([FIRST], {("3.example.com", 110)}, "3.example.com", ["1.example.com"]),
    ],
)
def test_next_server_of_a_domain(
    records: list[SrvRecord], listening: set[tuple[str, int]], winner: str, skipped: list[str]
) -> None:
    """A server that accepts no connection gives way to the next one that is as trusted."""
    stls = {} if len(records) > 1 else {"_pop3._tcp.example.com": [STLS]}
    sources = MadeUp({POP3S: records, **stls}, ports=listening)
    found = discover("ann@example.com", sources=sources)
    assert found.winner is not None
    assert found.winner.host == winner
    assert [server.host for server in found.skipped] == skipped


def test_autoconfig_sends_only_the_domain() -> None:
    """Autoconfig gives host and user name, and third parties get only the domain."""
    sources = MadeUp(files={"https://example.com/.well-known/": XML})
    found = discover("ann@example.com", sources=sources)
    assert found.winner is not None
    assert (found.winner.host, found.winner.tls) == ("pops.example.com", "implicit")
    assert found.findings[3].candidates[0].user == "ann"
    strange = [url for url in sources.fetched if "thunderbird" in url]
    assert strange == ["https://autoconfig.thunderbird.net/v1.1/example.com"]


def test_guesses_come_last_and_take_what_listens() -> None:
    """Guessed hosts are tried last, and the first that accepts a connection is used."""
    sources = MadeUp(exchangers=["mx.example.net"], ports={("mx.example.net", 995)})
    found = discover("ann@example.com", sources=sources)
    assert found.winner is not None
    assert found.winner.host == "mx.example.net"
    assert found.winner.source == "guesses"


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"<html>", "not XML"),
        (b"<html/>", "not a clientConfig"),
        (b'<?xml version="1.0" encoding="foo"?><clientConfig/>', "not XML"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><clientConfig/>', "document type"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><clientConfig/>'.encode("utf-16"), "document type"),
        (b"<clientConfig/>", "no POP3 server$"),
        (b"<clientConfig><incomingServer type='imap'/></clientConfig>", "server, only imap$"),
        (XML.replace(b"<port>", b"<port>" + b"9" * 5000), 'the port "9999'),
        (
            re.sub(rb">(SSL|STARTTLS)<", b">ssl<", XML),
            'the socketType "ssl" .* is not SSL, STARTTLS',
        ),
        (XML.replace(b"<hostname>", b"<hostname>http://"), 'the hostname "http://'),
    ],
)
def test_a_file_that_is_no_autoconfig_is_said_to_be_so(octets: bytes, why: str) -> None:
    """A file that is not an autoconfig file is reported with the reason."""
    with pytest.raises(autoconfig.NoAutoconfigError, match=why):
        autoconfig.parse(octets, mail_address.parse_address("ann@example.com"))


@pytest.mark.parametrize("name", ["%REALNAME%", "%MAILBOX%", "x-%NUMBER%", "", " "])
def test_user_that_a_file_cannot_know(name: str) -> None:
    """A place that only the user can fill never becomes a part of the name to log in with."""
    start, end = XML.index(b"<username>") + len(b"<username>"), XML.index(b"</username>")
    octets = XML[:start] + name.encode() + XML[end:]
    found = autoconfig.parse(octets, mail_address.parse_address("ann@example.com"))
    assert {server.user for server in found} == {"ann@example.com"}


def test_autoconfig_file_of_the_how_to() -> None:
    """The file that administrators copy names the server and the user."""
    page = Path(__file__).parents[3] / "docs" / "how-to" / "discover.md"
    octets = page.read_text().partition("```xml\n")[2].partition("```")[0].encode()
    found = autoconfig.parse(octets, mail_address.parse_address("ann@example.com"))
    server = autoconfig.IncomingServer("mail.example.com", 995, "implicit", "ann@example.com")
    assert found == [server]


def test_domain_in_dns_form() -> None:
    """A domain with letters outside ASCII is looked up in the DNS's form."""
    assert mail_address.parse_address("ann@Bücher.example").domain == "xn--bcher-kva.example"
    assert mail_address.parse_address('"a@b"@example.com').domain == "example.com"


@pytest.mark.parametrize("text", ["ann", "@example.com", "ann@", "a n@example.com", "ann@-x.de"])
def test_what_is_no_address_is_refused_with_words(text: str) -> None:
    """A text that is not a mail address is an error that says why."""
    with pytest.raises(ValueError, match=r"not a mail address|not a domain|space"):
        mail_address.parse_address(text)


def test_a_slow_world_is_given_up_in_time() -> None:
    """Discovery ends after its time, and reports the source that did not answer."""
    over = threading.Event()

    class Slow(MadeUp):
        def fetch(self, url: str) -> bytes:
            over.wait(20)
            raise NotFoundError("late")

    try:
        found = discover("ann@example.com", timeout=0.3, sources=Slow())
    finally:
        over.set()
    assert "in time" in found.findings[2].note


@pytest.mark.parametrize("waits", [True, False])
def test_silent_hosts(waits: bool) -> None:
    """A host that gives no reply is named, be it at the end of its time or of all."""
    over = threading.Event()

    class Silent(MadeUp):
        def reachable(self, host: str, port: int) -> None:
            if host != "mail.example.com":
                raise NotFoundError("refused")
            if waits:
                over.wait(20)
            raise SilentHostError("no reply")

    try:
        found = discover("ann@example.com", timeout=0.5, sources=Silent())
    finally:
        over.set()
    assert found.findings[-1].verdict == "no-server"
    note = "no reply came in time from mail.example.com: a firewall may drop the connections; "
    assert found.findings[-1].note.startswith(note + "nothing answers at pop.example.com, pop3.")
    assert note[:-2] in lookup.not_found_error(found).text


@contextlib.contextmanager
def nameserver(answers: dict[tuple[str, str], str]) -> Iterator[int]:
    """Answer questions by (name, type) over UDP on a free port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                try:
                    octets, peer = sock.recvfrom(4096)
                except OSError:
                    return
                if octets == b"over":
                    return
                query = dns.message.from_wire(octets)
                asked = query.question[0]
                kind = dns.rdatatype.to_text(asked.rdtype)
                answer = dns.message.make_response(query)
                text = answers.get((str(asked.name), kind))
                if text:
                    answer.answer.append(dns.rrset.from_text(asked.name, 60, "IN", kind, text))
                sock.sendto(answer.to_wire(), peer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.sendto(b"over", sock.getsockname())
            thread.join(5)


def test_domain_that_is_a_dead_alias() -> None:
    """A mail domain that is an alias of a name that does not exist has its own verdict."""
    found = discover("ann@old.example.com", 2, NoAnswers(error=DeadAliasError))
    error = lookup.not_found_error(found)
    assert (error.id, error.text) == (
        "dns-alias", "the domain old.example.com is no such thing",
    )  # fmt: skip


def test_domain_that_has_no_mail() -> None:
    """A mail domain with a null MX has its own verdict, unless a server is found."""
    found = discover("ann@example.com", 2, NoAnswers(error=NullMxError))
    error = lookup.not_found_error(found)
    said = "the domain example.com declares that it has no mail"
    assert (error.id, error.text) == ("no-mail", said)
    found = discover("ann@example.com", 2, NoAnswers(error=NotFoundError))
    assert "the domain has no MX record" in found.findings[-1].note


def test_domain_without_dot() -> None:
    """A domain without a dot that does not exist is called incomplete."""
    found = discover("ann@example", 2, NoAnswers(error=NoSuchNameError))
    assert found.findings[-1].note == (
        "the domain example does not exist: it has no dot, as example.com has"
    )


def test_domain_of_this_machine() -> None:
    """The name of this machine is guessed, although no DNS has it."""
    found = discover("ann@localhost", 2, NoAnswers(error=NoSuchNameError))
    assert "does not exist" not in found.findings[-1].note


@contextlib.contextmanager
def https(context: ssl.SSLContext, answer: bytes) -> Iterator[int]:
    """Answer each request with the same octets."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    sock, _ = listener.accept()
                    with context.wrap_socket(sock, server_side=True) as tls:
                        if tls.recv(4096).startswith(b"over"):
                            return
                        tls.sendall(answer)
                except OSError:
                    continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            client = ssl.create_default_context()
            client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
            with (
                socket.create_connection(listener.getsockname()) as sock,
                client.wrap_socket(sock) as tls,
            ):
                tls.sendall(b"over")
            thread.join(5)


def test_the_real_thing_asks_the_dns_and_https() -> None:
    """Discovery sends its requests by DNS and by verified HTTPS only."""
    authority = trustme.CA()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("autoconfig.example.com", "xn--bcher-kva.example").configure_cert(serving)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(XML)}\r\nConnection: close\r\n\r\n".encode()
    records = {("_pop3s._tcp.example.com.", "SRV"): "0 1 995 mail.example.com."}
    with nameserver(records) as dns_port, https(serving, head + XML) as https_port:
        sources = NetworkSources(2, ("127.0.0.1",), dns_port, trusting)
        assert sources.srv("_pop3s._tcp.example.com") == [SrvRecord(0, 1, 995, "mail.example.com")]
        with pytest.raises(NotFoundError, match="no such record"):
            sources.srv("_pop3._tcp.example.com")
        sources.resolve["autoconfig.example.com"] = f"localhost:{https_port}"
        assert sources.fetch("https://autoconfig.example.com/mail/config-v1.1.xml") == XML
        sources.resolve["xn--bcher-kva.example"] = f"localhost:{https_port}"
        assert sources.fetch("https://xn--bcher-kva.example/mail/config-v1.1.xml") == XML
        sources.resolve["elsewhere.example.com"] = f"localhost:{https_port}"
        with pytest.raises(NotFoundError, match="certificate"):
            sources.fetch("https://elsewhere.example.com/mail/config-v1.1.xml")
    sources.resolve["gone.example.com"] = f"localhost:{free_port()}"
    with pytest.raises(NotFoundError, match=r"^refused$"):
        sources.fetch("https://gone.example.com/")
    with pytest.raises(NotFoundError, match=r"^its address is not valid$"):
        sources.fetch("https://" + "a" * 100_000)
    with pytest.raises(NotFoundError, match="away from https"):
        sources.fetch("http://autoconfig.example.com/")


def test_address_without_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address without a server is an error that names no command-line option."""
    nothing = Discovery("ann@example.invalid", "example.invalid", (), None)
    monkeypatch.setattr(lookup, "discover_server", lambda *_: nothing)
    with pytest.raises(ServerUnreachableError) as caught:
        blocking.connect("ann@example.invalid", "pw")
    assert (caught.value.phase, caught.value.id) == ("discover", "no-server")
    assert "--" not in caught.value.text
    assert "pop3s://ann@host" in caught.value.text


def test_domain_without_pop3(monkeypatch: pytest.MonkeyPatch) -> None:
    """SRV records with the target "." are named as the reason: RFC 6186 section 3.4."""
    notes = [DiscoveryNote(f"SRV {name}", (), 0, NOT_OFFERED) for name in ("a", "b")]
    nothing = Discovery("ann@example.com", "example.com", tuple(notes), None)
    monkeypatch.setattr(lookup, "discover_server", lambda *_: nothing)
    with pytest.raises(ServerUnreachableError, match="declares that it has no POP3") as caught:
        blocking.connect("ann@example.com", "pw")
    assert caught.value.id == "no-server"


@dataclass
class NoAnswers(MadeUp):
    """A network in which all questions to the DNS get the same error."""

    error: type[NotFoundError] = NotFoundError

    def srv(self, name: str) -> list[SrvRecord]:
        raise self.error("no such thing")

    def mx(self, domain: str) -> list[str]:
        raise self.error("no such thing")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (NotFoundError, "no-server"),
        (NoSuchNameError, "no-domain"),
        (LookupFailedError, "dns-temp"),
    ],
)
def test_reason(error: type[NotFoundError], expected: str) -> None:
    """A domain that does not exist, and a DNS that does not answer, are not a missing server."""
    found = discover("ann@example.com", sources=NoAnswers(error=error))
    with pytest.raises(ServerUnreachableError) as caught:
        lookup.choose_server(found)
    assert caught.value.id == expected
    assert "example.com" in caught.value.text


def test_server_without_dns() -> None:
    """A server that a file names is found whatever the DNS says."""
    sources = NoAnswers(error=LookupFailedError, files={"https://autoconfig.example.com/": XML})
    assert (
        lookup.choose_server(discover("ann@example.com", sources=sources)).host
        == "pops.example.com"
    )
