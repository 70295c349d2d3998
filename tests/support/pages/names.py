"""A name server of example.com for the pages: its mail server is at 192.0.2.25."""

from __future__ import annotations

import socket

import dns.message
import dns.rcode
import dns.rrset

RECORDS = {
    ("_pop3s._tcp.example.com.", "SRV"): "0 1 995 mail.example.com.",
    ("mail.example.com.", "A"): "192.0.2.25",
    ("example.com.", "A"): "192.0.2.25",
    ("pop.provider.example.", "A"): "192.0.2.25",
}


def answer(octets: bytes) -> bytes:
    """Return the reply to a query."""
    query = dns.message.from_wire(octets)
    reply = dns.message.make_response(query)
    name, kind = query.question[0].name.to_text(), dns.rdatatype.to_text(query.question[0].rdtype)
    if (name, kind) in RECORDS:
        reply.answer.append(dns.rrset.from_text(name, 60, "IN", kind, RECORDS[name, kind]))
    elif name not in {known for known, _ in RECORDS}:
        reply.set_rcode(dns.rcode.NXDOMAIN)
    return reply.to_wire()


def main() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 53))
        while True:
            octets, client = server.recvfrom(4096)
            server.sendto(answer(octets), client)


if __name__ == "__main__":
    main()
