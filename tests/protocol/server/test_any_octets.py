"""Whatever a client says, the core answers or hangs up: no exception, and bounded memory."""

from __future__ import annotations

import base64

from hypothesis import given, settings
from hypothesis import strategies as st

from restante.protocol.server.commands import OF_PROXIES, VERBS
from restante.protocol.server.sasl import SERVER_MECHANISMS
from restante.protocol.server.settings import AuthOffer, ConnectionSecurity, ProtocolSettings
from support.world import Talk, World

ALL = AuthOffer(mechanisms=frozenset(SERVER_MECHANISMS))
CHANNELS = (
    ConnectionSecurity(can_start_tls=True),
    ConnectionSecurity(can_start_tls=True, clear_text=False),
    ConnectionSecurity(tls=True, certified=True, bindings=frozenset({"tls-unique"})),
)
ARGUMENTS = [b"ann", b"secret", b"1", b"0", b"99", b"de", b"*", b"=", b"", b"\xff", b"x" * 300]
ARGUMENTS += [b"ADDR=192.0.2.7", b"ADDR=::", b"ADDR=ann", b"TTL=6"]
MESSAGES = [
    b"\0ann\0secret",
    b"n,,n=ann,r=abc",
    b"y,,n=ann,r=abc",
    b"p=tls-unique,,n=ann,r=abc",
    b"c=biws,r=abc,p=AAAA",
    b"n,a=ann,\x01auth=Bearer token of ann\x01\x01",
    b"user=ann\x01auth=Bearer stolen\x01\x01",
    b"ann 0123456789abcdef0123456789abcdef",
]

words = st.one_of(
    st.sampled_from(sorted({*VERBS, *OF_PROXIES})),
    st.sampled_from(sorted(name.encode() for name in SERVER_MECHANISMS)),
    st.sampled_from(ARGUMENTS),
    st.sampled_from(MESSAGES).map(base64.b64encode),
    st.binary(max_size=40),
    st.binary(max_size=40).map(base64.b64encode),
)
lines = st.builds(
    lambda parts, end: b" ".join(parts) + end,
    st.lists(words, max_size=4),
    st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b""]),
)


@settings(max_examples=400)
@given(
    said=st.lists(lines, max_size=25),
    channel=st.sampled_from(CHANNELS),
    apop=st.booleans(),
    proxy=st.booleans(),
)
def test_every_line_gets_a_reply_of_pop3_or_an_end(
    said: list[bytes], channel: ConnectionSecurity, *, apop: bool, proxy: bool
) -> None:
    """Every line gets a valid reply or ends the session."""
    world = World(bindings={"tls-unique": b"data"})
    world.add("ann", "secret", b"Subject: a\n\n.\n", b"")
    options = ProtocolSettings(apop=apop)
    talk = Talk(world, options, offer=ALL, channel=channel, names_client=proxy)
    answered = talk.send()
    for line in said:
        if talk.over:
            break
        answered += talk.send(line)
    assert answered.endswith(b"\r\n")
    assert b"\n" not in answered.replace(b"\r\n", b"")
    assert answered.startswith(b"+OK [XCLIENT] POP3" if proxy else b"+OK POP3")
    for reply in answered.split(b"\r\n")[:-1]:
        assert len(reply) <= 510 or reply.startswith(b"+ ")
    talk.hang_up()
    assert not world.locked


@settings(max_examples=100)
@given(octets=st.binary(max_size=2000), pieces=st.lists(st.integers(1, 300), max_size=20))
def test_noise_is_answered_or_hung_up_on(octets: bytes, pieces: list[int]) -> None:
    """Random octets get valid replies or end the session."""
    talk = Talk(World(), offer=ALL)
    talk.send()
    for piece in [*pieces, len(octets)]:
        if talk.over:
            break
        said = talk.send(octets[:piece])
        octets = octets[piece:]
        assert said == b"" or said.startswith((b"-ERR ", b"+OK", b"+ "))
