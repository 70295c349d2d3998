"""The three ways with headers in UTF-8, over a socket: rfc6856-s2/downgrade, rfc6856-s2/list-size,
policy/utf8-headers.
"""

from __future__ import annotations

import pytest

from restante.server.policies import Utf8HeaderPolicy
from support.live import Client, Live, serving

PLAIN = b"Subject: a\n\nhello\n"
UTF8 = "Subject: Grüße\n\nÄpfel\n".encode()
STORED = UTF8.replace(b"\n", b"\r\n")


def opened(live: Live, *, utf8: bool) -> Client:
    client = live.connect()
    client.read_line()
    if utf8:
        assert client.say("UTF8").startswith(b"+OK")
    client.say("USER ann")
    assert client.say("PASS secret") == b"+OK Logged in.\r\n"
    return client


def unique_ids(client: Client) -> list[bytes]:
    client.say("UIDL")
    return client.read_lines()


@pytest.mark.parametrize("headers", ["as-stored", "surrogate", "refuse"])
@pytest.mark.parametrize("utf8", [False, True])
def test_what_is_sent_has_the_size_that_is_listed(headers: Utf8HeaderPolicy, *, utf8: bool) -> None:
    """LIST gives the size that RETR sends, with each policy for UTF-8 headers."""
    with serving(utf8_headers=headers) as live:
        live.add("ann", "secret", PLAIN, UTF8)
        with opened(live, utf8=utf8) as client:
            before = unique_ids(client)
            said = client.say("LIST 2")
            if headers == "refuse" and not utf8:
                refusal = b"-ERR [UTF8] The header is in UTF-8: say UTF8 before you log in.\r\n"
                assert said == refusal
                assert client.say("RETR 2") == refusal
                assert client.say("TOP 2 0") == refusal
            else:
                assert client.say("RETR 2").startswith(b"+OK")
                fetched = b"".join(client.read_lines())
                assert said == f"+OK 2 {len(fetched)}\r\n".encode()
                ascii_header = headers == "surrogate" and not utf8
                assert fetched.startswith(b"Subject: =?utf-8?" if ascii_header else STORED)
                assert fetched.endswith("\r\n\r\nÄpfel\r\n".encode())
            assert client.say("RETR 1") == b"+OK 21 octets\r\n"
            client.read_lines()
            client.say("QUIT")
        with opened(live, utf8=not utf8) as client:
            assert unique_ids(client) == before
            assert client.say("DELE 2") == b"+OK Marked to be deleted.\r\n"
            assert client.say("QUIT") == b"+OK Logging out.\r\n"
        with opened(live, utf8=utf8) as client:
            assert client.say("STAT") == b"+OK 1 21\r\n"
