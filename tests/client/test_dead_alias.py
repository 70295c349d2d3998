"""A CNAME record whose target does not exist."""

from __future__ import annotations

import socket
import threading

import dns.message
import dns.rcode
import dns.rrset
import pytest

from restante.client.dead_alias import describe_alias, find_dead_alias
from restante.client.discovery.sources import DeadAliasError, NetworkSources


def alias_nameserver(sock: socket.socket) -> None:
    """Answer that each name is an alias of gone.example, which does not exist, until "over"."""
    while (received := sock.recvfrom(4096))[0] != b"over":
        query = dns.message.from_wire(received[0])
        answer = dns.message.make_response(query)
        answer.set_rcode(dns.rcode.NXDOMAIN)
        name = query.question[0].name
        answer.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", "gone.example."))
        sock.sendto(answer.to_wire(), received[1])


def test_dead_alias() -> None:
    """A CNAME record whose target does not exist is named, and not called a missing domain."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=alias_nameserver, args=(sock,), daemon=True)
        thread.start()
        port = sock.getsockname()[1]
        servers = ("127.0.0.1",)
        alias = "an alias of gone.example, which does not exist"
        assert find_dead_alias("pop.example.com", 2, servers, port) == alias
        with pytest.raises(DeadAliasError, match=alias):
            NetworkSources(2, servers, port).mx("example.com")
        sock.sendto(b"over", sock.getsockname())
        thread.join(5)
    assert find_dead_alias("pop.example.com", 0.1, servers, port) == ""


def test_no_alias() -> None:
    """A name that does not exist itself is not called an alias."""
    assert describe_alias("pop.example.com", "POP.example.com.") == ""
