"""A second query shows why a name could not be looked up."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from dns.resolver import Resolver

from restante.client import failed_lookup, name_resolution
from restante.client.discovery.sources import (
    DeadAliasError,
    LookupFailedError,
    NetworkSources,
    NullMxError,
)
from restante.client.failed_lookup import describe_alias, describe_failure, find_dead_alias
from restante.client.options import Options, Target
from restante.net import connecting
from restante.protocol.errors import ServerUnreachableError

SERVERS = ("127.0.0.1",)
UNCHECKED = "without the checks of DNSSEC it answers"
ALIAS = "an alias of gone.example, which does not exist"


@contextlib.contextmanager
def nameserver(change: Callable[[dns.message.Message], None]) -> Iterator[int]:
    """Answer each query by UDP on a free port, as a function changes the answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))

        def serve() -> None:
            while (received := sock.recvfrom(4096))[0] != b"over":
                asked = dns.message.from_wire(received[0])
                answer = dns.message.make_response(asked)
                answer.flags |= asked.flags & dns.flags.CD
                change(answer)
                sock.sendto(answer.to_wire(), received[1])

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            sock.sendto(b"over", sock.getsockname())
            thread.join(5)


@pytest.mark.parametrize("code", [socket.EAI_AGAIN, socket.EAI_NONAME])
@pytest.mark.parametrize("seconds", [0.0, 0.5, 60.0])
def test_time_of_the_second_query(
    monkeypatch: pytest.MonkeyPatch, code: int, seconds: float
) -> None:
    """The second query has the time that the first one has left, and none if nothing is left."""
    limits: list[float] = []

    def fail(*_: object) -> None:
        raise socket.gaierror(code, "words of the local library")

    def note(_: str, limit: float) -> str:
        limits.append(limit)
        return ""

    monkeypatch.setattr(connecting, "resolve", fail)
    monkeypatch.setattr(failed_lookup, "describe_failure", note)
    monkeypatch.setattr(failed_lookup, "find_dead_alias", note)
    with pytest.raises(ServerUnreachableError):
        name_resolution.addresses(Target("a.example", 995, "implicit"), Options(), seconds)
    assert all(0 < limit <= min(seconds, failed_lookup.SECONDS) for limit in limits)
    assert len(limits) == (seconds > 0)


def add_dead_alias(answer: dns.message.Message) -> None:
    answer.set_rcode(dns.rcode.NXDOMAIN)
    name = answer.question[0].name
    answer.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", "gone.example."))


def add_null_mx(answer: dns.message.Message) -> None:
    name = answer.question[0].name
    answer.answer.append(dns.rrset.from_text(name, 60, "IN", "MX", "0 ."))


def fail(answer: dns.message.Message) -> None:
    answer.set_rcode(dns.rcode.SERVFAIL)


def truncate(answer: dns.message.Message) -> None:
    answer.flags |= dns.flags.TC


def test_dead_alias() -> None:
    """A CNAME record whose target does not exist is named, and not called a missing domain."""
    with nameserver(add_dead_alias) as port:
        assert find_dead_alias("pop.example.com", 2, SERVERS, port) == ALIAS
        with pytest.raises(DeadAliasError, match=ALIAS):
            NetworkSources(2, SERVERS, port).mx("example.com")
    assert find_dead_alias("pop.example.com", 0.1, SERVERS, port) == ""


def test_no_alias() -> None:
    """A name that does not exist itself is not called an alias."""
    assert describe_alias("pop.example.com", "POP.example.com.") == ""


def test_failing_name_server() -> None:
    """A name server that replies with an error is named, and one that is silent is not."""
    with nameserver(fail) as port:
        said = "the name server 127.0.0.1 replied SERVFAIL"
        assert describe_failure("pop.example.com", 2, SERVERS, port) == said
        with pytest.raises(LookupFailedError, match=said):
            NetworkSources(2, SERVERS, port).srv("_pop3s._tcp.example.com")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        assert describe_failure("a.example", 0.1, SERVERS, port) == "no name server replied in time"


def test_invalid_signatures() -> None:
    """A name server that fails only with the checks of DNSSEC is said to do so."""

    def check(answer: dns.message.Message) -> None:
        answer.set_rcode(dns.rcode.NOERROR if answer.flags & dns.flags.CD else dns.rcode.SERVFAIL)

    with nameserver(check) as port:
        said = describe_failure("pop.example.com", 2, SERVERS, port)
        assert said == f"the name server 127.0.0.1 replied SERVFAIL; {UNCHECKED}"
        with pytest.raises(LookupFailedError, match=UNCHECKED):
            NetworkSources(2, SERVERS, port).mx("example.com")


def test_invalid_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine whose settings have no address of a name server is said to have none."""
    read, settings = Resolver.read_resolv_conf, tmp_path / "resolv.conf"
    for text in ("", "nameserver not-an-address\n"):
        settings.write_text(text)
        with monkeypatch.context() as patch:
            patch.setattr(Resolver, "read_resolv_conf", lambda self, _: read(self, str(settings)))
            assert "no usable name server" in describe_failure("pop.example.com", 2)
            with pytest.raises(LookupFailedError, match="no usable name server"):
                NetworkSources(2).mx("example.com")


def test_endless_alias() -> None:
    """An alias of itself is named, and its reply is not called an error."""

    def loop(answer: dns.message.Message) -> None:
        name = answer.question[0].name
        answer.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", str(name)))

    with nameserver(loop) as port:
        said = "the name server 127.0.0.1 has an alias that leads to itself"
        assert describe_failure("pop.example.com", 2, SERVERS, port) == said


def test_truncated_reply() -> None:
    """A reply that is cut leads to TCP, and the error says that TCP failed."""
    with nameserver(truncate) as port:
        said = "the name server 127.0.0.1 failed by TCP (Connection refused)"
        assert describe_failure("pop.example.com", 2, SERVERS, port) == said


def test_domain_without_mail() -> None:
    """A domain whose MX record has the target "." declares that it has no mail: RFC 7505."""
    with nameserver(add_null_mx) as port:
        with pytest.raises(NullMxError, match="it has no mail"):
            NetworkSources(2, SERVERS, port).mx("example.com")
