"""TLS on sockets: implicit, by STLS, and all that may go wrong on the way. RFC 2595, RFC 8314."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import ssl
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import scramp

from restante.protocol.server.settings import AuthOffer, ProtocolSettings
from restante.server.connection.transport import ListenerPolicy
from restante.server.tls import self_signed
from restante.server.tls.certificate_files import CertificateError, CertificateFiles
from restante.server.tls.certificates import Certificates
from support.live import Client, Live, serving, wait_until

MECHANISMS = frozenset({"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "EXTERNAL"})


def pair(folder: Path, *hosts: str) -> CertificateFiles:
    made = self_signed.create_self_signed(hosts, ("127.0.0.1",))
    certificate, key = folder / f"{hosts[0]}.pem", folder / f"{hosts[0]}.key"
    certificate.write_bytes(made.certificate)
    key.write_bytes(made.key)
    return CertificateFiles(certificate, key)


def trusting(*pairs: CertificateFiles) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for each in pairs:
        context.load_verify_locations(each.certificate)
    return context


def go_over_to_tls(client: Client, context: ssl.SSLContext, name: str = "localhost") -> Client:
    client.start_tls(context, name)
    return client


def connect(live: Live, context: ssl.SSLContext, name: str = "localhost") -> Client:
    return go_over_to_tls(live.connect(), context, name)


@pytest.fixture
def known(tmp_path: Path) -> CertificateFiles:
    return pair(tmp_path, "localhost")


@pytest.fixture
def live(known: CertificateFiles) -> Iterator[Live]:
    endpoint = ListenerPolicy(certificates=Certificates([known]), implicit_tls=True)
    with serving(endpoint=endpoint, offer=lambda: AuthOffer(mechanisms=MECHANISMS)) as live:
        live.add("ann", "secret", b"Subject: a\n\n" + b"x" * 1_000_000)
        yield live


@pytest.fixture
def starting(known: CertificateFiles) -> Iterator[Live]:
    with serving(endpoint=ListenerPolicy(certificates=Certificates([known]))) as live:
        live.add("ann", "secret", b"Subject: a\n\n")
        yield live


def test_implicit_tls(live: Live, known: CertificateFiles) -> None:
    """The handshake comes before the greeting.

    rfc8314-s3.2/port-995, rfc8314-s4/log-tls: the log names the version and the cipher.
    """
    with connect(live, trusting(known)) as client:
        client.log_in("ann", "secret")
        assert client.say("RETR 1") == b"+OK 1000016 octets\r\n"
        assert sum(map(len, client.read_lines())) == 1_000_016
        assert client.say("QUIT") == b"+OK Logging out.\r\n"
        assert client.read_all() == b""  # TLS says goodbye, or this would raise an error
    live.wait_for_log('tls="TLSv1.3 ', "end=quit")


def test_stls_goes_over_to_tls_without_another_greeting(
    starting: Live, known: CertificateFiles
) -> None:
    """rfc2595-s4/stls."""
    with starting.connect() as client:
        client.read_line()
        assert client.say("STLS") == b"+OK Begin TLS now.\r\n"
        go_over_to_tls(client, trusting(known))
        assert client.say("NOOP") == b"-ERR Log in first.\r\n"
        client.say("USER ann")
        assert client.say("PASS secret") == b"+OK Logged in.\r\n"
        client.say("QUIT")


@pytest.mark.parametrize(
    "behind", [b"USER ann\r\n", b"USER ann\r\nPASS secret\r\nDELE 1\r\nQUIT\r\n"]
)
def test_what_came_in_clear_behind_stls_is_thrown_away(
    starting: Live, known: CertificateFiles, behind: bytes
) -> None:
    """rfc2595-s4/stls-discards, known-bug/tls-scope."""
    with starting.connect() as client:
        client.read_line()
        client.send(b"STLS\r\n" + behind)
        assert client.read_line() == b"+OK Begin TLS now.\r\n"
        go_over_to_tls(client, trusting(known))
        assert client.say("PASS secret") == b"-ERR Send USER first.\r\n"


def test_no_handshake(
    live: Live,
) -> None:
    """A client that sends no handshake is disconnected, and the log says so."""
    with live.connect() as client:
        client.send(b"USER ann\r\n")
        client.read_all()
    live.wait_for_log('problem="not TLS: ', "tls= octets_in=10", 'end="no TLS"')


@pytest.mark.parametrize("broken", [b"USER ann\r\n", b"\x17\x03\x03\0\x20" + b"x" * 32])
def test_broken_tls(live: Live, known: CertificateFiles, broken: bytes) -> None:
    """TLS that breaks after the handshake is not called missing: it has its version and cipher."""
    with live.connect() as client:
        raw = client.socket.dup()
        go_over_to_tls(client, trusting(known))
        client.say("NOOP")
        raw.sendall(broken)
        while raw.recv(65536):
            pass
        raw.close()
    live.wait_for_log("event=connection_failed", 'tls="TLSv1.3 TLS_', 'end="broken TLS"')


def test_failed_handshake_in_the_log(live: Live, known: CertificateFiles) -> None:
    """A failed handshake has no version and no cipher in the log.

    A client that does not know the issuer has agreed upon a cipher before it fails.
    """
    with live.connect() as client, pytest.raises(ssl.SSLCertVerificationError):
        go_over_to_tls(client, ssl.create_default_context())
    live.wait_for_log("unknown ca", 'end="no TLS"')
    with live.connect() as client:
        client.send(b"\x16\x03\x01")
    live.wait_for_log("octets_in=3 ")
    sessions = [line for line in live.log.getvalue().splitlines() if "event=session" in line]
    assert [" tls= octets_in=" in line for line in sessions] == [True, True]


@pytest.mark.parametrize("octets", [b"", b"\x16\x03\x01"])
def test_a_port_scan_does_not_keep_a_connection(live: Live, octets: bytes) -> None:
    """A client that closes without a handshake is disconnected."""
    with live.connect() as client:
        client.send(octets)
        client.socket.shutdown(socket.SHUT_WR)
        assert client.read_all() == b""
    live.wait_for_log("end=disconnected")


def test_handshake_timeout(known: CertificateFiles) -> None:
    """A client that never ends its handshake is disconnected in time."""
    endpoint = ListenerPolicy(certificates=Certificates([known]), implicit_tls=True)
    with (
        serving(endpoint=endpoint, settings=ProtocolSettings(login_timeout=0.3)) as live,
        live.connect() as client,
    ):
        client.send(b"\x16\x03\x01")
        assert client.read_all() == b""
        live.wait_for_log("end=timeout")


def test_a_half_closed_client_still_gets_its_replies(live: Live, known: CertificateFiles) -> None:
    """policy/half-close, on TLS: close_notify says that no more comes."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trusting(known).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with live.connect() as client:

        def exchange() -> None:
            client.send(outgoing.read())
            incoming.write(client.socket.recv(65536))

        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                exchange()
        tls.write(b"USER ann\r\nPASS secret\r\nDELE 1\r\nQUIT\r\n")
        with pytest.raises(ssl.SSLWantReadError):
            tls.unwrap()
        client.send(outgoing.read())
        while octets := client.socket.recv(65536):
            incoming.write(octets)
    live.wait_for_log("deleted=1", "end=quit")


def test_old_versions(live: Live) -> None:
    """Old versions are rejected, and the log names the client.

    rfc8314-s4/tls-1-2, rfc2595-s2.5/check-handshake, rfc2595-s9/weak-ciphers.
    """
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1
    with live.connect() as client, pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(client.socket)
    live.wait_for_log('problem="client offers TLS 1.0 only"')


def test_the_legacy_profile_lets_old_clients_in(known: CertificateFiles) -> None:
    """The legacy profile accepts TLS 1.0."""
    endpoint = ListenerPolicy(certificates=Certificates([known], "legacy"), implicit_tls=True)
    context = trusting(known)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1
    with serving(endpoint=endpoint) as live, connect(live, context) as client:
        assert client.read_line() == b"+OK POP3 server ready.\r\n"
        assert isinstance(client.socket, ssl.SSLSocket)
        assert client.socket.version() == "TLSv1"


def test_server_name(tmp_path: Path) -> None:
    """The name that the client requests chooses the certificate."""
    pairs = [pair(tmp_path, name) for name in ("localhost", "mail.example.com", "*.example.org")]
    endpoint = ListenerPolicy(certificates=Certificates(pairs), implicit_tls=True)
    context = trusting(*pairs)
    with serving(endpoint=endpoint) as live:
        for name in ("localhost", "mail.example.com", "pop.example.org"):
            with connect(live, context, name) as client:
                assert client.read_line().startswith(b"+OK")
        with pytest.raises(ssl.SSLCertVerificationError):
            connect(live, context, "pop.example.net")


def test_renewed_certificate(tmp_path: Path, known: CertificateFiles) -> None:
    """A new certificate is used without a restart, and a broken one is not."""
    certificates = Certificates([known], check_every=0)
    endpoint = ListenerPolicy(certificates=certificates, implicit_tls=True)
    old, new = trusting(known), self_signed.create_self_signed(("localhost",))
    with serving(endpoint=endpoint) as live:
        with connect(live, old) as client:
            assert client.read_line().startswith(b"+OK")
        known.certificate.write_bytes(b"half of a certif")
        with connect(live, old) as client:
            assert client.read_line().startswith(b"+OK")
        known.certificate.write_bytes(new.certificate)
        known.key.write_bytes(new.key)
        with connect(live, trusting(known)) as client:
            assert client.read_line().startswith(b"+OK")


@pytest.mark.parametrize("file", ["certificate", "key"])
def test_a_certificate_that_cannot_be_used_is_named(known: CertificateFiles, file: str) -> None:
    """A missing file of a certificate is named in the error."""
    missing: Path = getattr(known, file)
    missing.unlink()
    with pytest.raises(CertificateError, match=f"{re.escape(str(missing))}: No such file"):
        Certificates([known])


@pytest.mark.parametrize(
    ("version", "always", "announced"),
    [
        (ssl.TLSVersion.TLSv1_2, False, True),
        (ssl.TLSVersion.TLSv1_3, False, False),
        (ssl.TLSVersion.TLSv1_3, True, True),
    ],
)
def test_bindings_are_announced_where_clients_know_ours(
    known: CertificateFiles, version: ssl.TLSVersion, *, always: bool, announced: bool
) -> None:
    """Clients that require tls-exporter on TLS 1.3, as mutt does, need another mechanism."""
    certificates = Certificates([known])
    endpoint = ListenerPolicy(
        certificates=certificates, implicit_tls=True, announce_bindings=always
    )
    context = trusting(known)
    context.maximum_version = version
    offer = AuthOffer(mechanisms=MECHANISMS)
    with (
        serving(endpoint=endpoint, offer=lambda: offer) as live,
        connect(live, context) as client,
    ):
        live.add("ann", "secret")
        client.read_line()
        client.say("AUTH")
        assert (b"SCRAM-SHA-256-PLUS\r\n" in client.read_lines()) == announced
        # rfc5802-s6/channel-binding: "you cannot bind" contradicts an offer that includes -PLUS.
        hello = base64.b64encode(b"y,,n=ann,r=abc").decode()
        assert client.say(f"AUTH SCRAM-SHA-256 {hello}").startswith(b"-ERR" if announced else b"+ ")


def test_an_offer_without_bindings(known: CertificateFiles) -> None:
    """A client that sees no -PLUS may say "you cannot bind". rfc5802-s6/channel-binding"""
    context = trusting(known)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    endpoint = ListenerPolicy(certificates=Certificates([known]), implicit_tls=True)
    offer = AuthOffer(mechanisms=MECHANISMS - {"SCRAM-SHA-256-PLUS"})
    with (
        serving(endpoint=endpoint, offer=lambda: offer) as live,
        connect(live, context) as client,
    ):
        live.add("ann", "secret")
        client.read_line()
        hello = base64.b64encode(b"y,,n=ann,r=abc").decode()
        assert client.say(f"AUTH SCRAM-SHA-256 {hello}").startswith(b"+ ")


@pytest.mark.parametrize(
    ("version", "binding"),
    [
        (ssl.TLSVersion.TLSv1_2, "tls-unique"),
        (ssl.TLSVersion.TLSv1_2, "tls-server-end-point"),
        (ssl.TLSVersion.TLSv1_3, "tls-server-end-point"),
    ],
)
def test_scram_is_bound_to_the_channel(
    live: Live, known: CertificateFiles, version: ssl.TLSVersion, binding: str
) -> None:
    """rfc5802-s6/channel-binding: with what the client computes from its own end."""
    context = trusting(known)
    context.maximum_version = version
    with connect(live, context) as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        data: object = client.socket
        if binding == "tls-server-end-point":  # RFC 5929 section 4
            data = hashlib.sha256(ssl.PEM_cert_to_DER_cert(known.certificate.read_text())).digest()
        scram = scramp.ScramClient(
            ["SCRAM-SHA-256-PLUS"], "ann", "secret", channel_binding=(binding, data)
        )
        client.read_line()
        assert log_in_by_scram(client, scram) == b"+OK Logged in.\r\n"


def log_in_by_scram(client: Client, scram: scramp.ScramClient) -> bytes:
    def ask(line: str) -> str:
        return base64.b64decode(client.say(line).removeprefix(b"+ ")).decode()

    def b64(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    scram.set_server_first(ask(f"AUTH SCRAM-SHA-256-PLUS {b64(scram.get_client_first())}"))
    scram.set_server_final(ask(b64(scram.get_client_final())))
    return client.say("")


def test_external(tmp_path: Path, known: CertificateFiles) -> None:
    """Only a verified client certificate logs in by EXTERNAL.

    rfc2595-s4/stls: it is still AUTHORIZATION with a certificate.
    """
    anns, strangers = pair(tmp_path, "ann"), pair(tmp_path, "stranger")
    endpoint = ListenerPolicy(
        certificates=Certificates([known], client_ca=anns.certificate), implicit_tls=True
    )
    offer = AuthOffer(mechanisms=MECHANISMS)
    with serving(endpoint=endpoint, offer=lambda: offer) as live:
        live.add("ann", "secret", b"Subject: a\n\n")
        context = trusting(known)
        context.load_cert_chain(anns.certificate, anns.key)
        with connect(live, context) as client:
            client.read_line()
            assert client.say("STAT") == b"-ERR Log in first.\r\n"
            refused = b"-ERR [AUTH] The certificate is not valid for this account.\r\n"
            assert client.say("AUTH EXTERNAL Ym9i") == refused
            assert client.say("AUTH EXTERNAL =") == b"+OK Logged in.\r\n"
        with connect(live, trusting(known)) as client:
            client.read_line()
            assert client.say("AUTH EXTERNAL =").startswith(b"-ERR [AUTH]")
        context = trusting(known)
        context.load_cert_chain(strangers.certificate, strangers.key)
        with pytest.raises((ssl.SSLError, ConnectionError)), connect(live, context) as client:
            assert client.socket.recv(1)


def test_stop_ends_idle_tls(known: CertificateFiles) -> None:
    """A stop ends idle TLS connections without delay."""
    endpoint = ListenerPolicy(certificates=Certificates([known]), implicit_tls=True)
    with serving(endpoint=endpoint, stop_patience=3600) as live:
        clients = [connect(live, trusting(known)) for _ in range(3)]
        for client in clients:
            client.read_line()
        silent = socket.create_connection(("127.0.0.1", live.port))
        wait_until(lambda: len(live.context.connections) == 4)
        live.stop()
        for client in clients:
            assert client.read_all() == b""
            client.close()
        silent.close()


def test_refused_in_clear_then_tls(
    known: CertificateFiles,
) -> None:
    """A client that starts TLS after a rejected password has no login_refused in the log."""
    endpoint = ListenerPolicy(certificates=Certificates([known]), clear_text="never")
    with serving(endpoint=endpoint) as live:
        live.add("ann", "secret")
        with live.connect() as client:
            client.read_line()
            assert client.say("USER ann").startswith(b"-ERR [AUTH] No logins in clear text")
            client.say("STLS")
            go_over_to_tls(client, trusting(known))
            client.say("USER ann")
            assert client.say("PASS secret") == b"+OK Logged in.\r\n"
        live.wait_for_log("event=session")
        assert "login_refused" not in live.log.getvalue()
