"""Certificates of several kinds of key for one name: each client gets one that it can use."""

from __future__ import annotations

import contextlib
import hashlib
import re
import ssl
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from restante.server.connection.transport import ListenerPolicy
from restante.server.tls.certificate_files import CertificateError, CertificateFiles
from restante.server.tls.certificates import Certificates
from restante.server.tls.client_hello import LONGEST_HELLO, MAX_RECORDS, Hello, read_hello
from restante.server.tls.key_fitting import requirements
from restante.server.tls.layer import ServerTlsLayer, TlsError
from support import authority
from support.live import serving
from support.programs import need

KEYS: dict[str, authority.Key] = {
    "rsa": rsa.generate_private_key(65537, 2048),
    "other-rsa": rsa.generate_private_key(65537, 2048),
    "ecdsa": ec.generate_private_key(ec.SECP256R1()),
    "p384": ec.generate_private_key(ec.SECP384R1()),
}


def write(folder: Path, name: str, kind: str, *hosts: str) -> CertificateFiles:
    """Write a certificate of one kind, and return its files."""
    made = authority.make(name, hosts=hosts or ("localhost",), key=KEYS[kind])
    pair = CertificateFiles(folder / f"{name}.pem", folder / f"{name}.key")
    pair.certificate.write_bytes(made.pem)
    pair.key.write_bytes(authority.key_of(made))
    return pair


def client(ciphers: str, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2) -> ssl.SSLContext:
    """Return the settings of a client that offers these suites of TLS 1.2."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers(ciphers)
    context.maximum_version = newest
    return context


def shaken(
    certificates: Certificates, context: ssl.SSLContext, name: str = "localhost", piece: int = 9999
) -> tuple[x509.Certificate, ServerTlsLayer]:
    """Shake hands, and return the certificate that the client got, and the server's side."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    end = context.wrap_bio(to_client, to_server, server_hostname=name)
    layer = ServerTlsLayer(certificates)
    for _ in range(3):
        with contextlib.suppress(ssl.SSLWantReadError):
            end.do_handshake()
        octets = to_server.read()
        for place in range(0, len(octets), piece):
            layer.receive(octets[place : place + piece])
        to_client.write(layer.outgoing())
    der = end.getpeercert(binary_form=True)
    assert der
    return x509.load_der_x509_certificate(der), layer


def name_of(certificate: x509.Certificate) -> str:
    return str(certificate.subject.rfc4514_string().removeprefix("CN="))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("days", [-1, 200])
def test_expired_certificate_comes_last(tmp_path: Path, days: int, version: ssl.TLSVersion) -> None:
    """A client that can use both gets the valid one, and one that cannot gets what it can use."""
    pairs = [write(tmp_path, "first", "rsa"), write(tmp_path, "second", "ecdsa")]
    begins, ends = (-200, days) if days < 0 else (days, 300)
    odd = authority.make(
        "first", key=KEYS["rsa"], begins=begins * authority.DAY, ends=ends * authority.DAY
    )
    pairs[0].certificate.write_bytes(odd.pem)
    both = client("ECDHE+AESGCM", version)
    assert name_of(shaken(Certificates(pairs), both)[0]) == "second"
    old = client("ECDHE-RSA-AES128-GCM-SHA256")
    assert name_of(shaken(Certificates(pairs), old)[0]) == "first"


@pytest.mark.parametrize("name", ["mail.example.com.", "MAIL.Example.com"])
def test_name_in_another_form(tmp_path: Path, name: str) -> None:
    """A server name is the same in capitals and with a dot at its end."""
    pairs = [write(tmp_path, "first", "rsa"), write(tmp_path, "mail", "ecdsa", "mail.example.com")]
    layer = shaken(Certificates(pairs), client("ECDHE+AESGCM"), name)
    assert name_of(layer[0]) == "mail"


@pytest.mark.parametrize("order", [("rsa", "ecdsa"), ("ecdsa", "rsa")])
@pytest.mark.parametrize("name", ["localhost", "unknown.example"])
@pytest.mark.parametrize("piece", [1, 100, 9999])
def test_each_client_gets_what_it_can_use(
    tmp_path: Path, order: tuple[str, str], name: str, piece: int
) -> None:
    """A client of one kind gets that kind, and its channel binding is of the certificate sent."""
    certificates = Certificates([write(tmp_path, kind, kind) for kind in order])
    for ciphers, kind in (
        ("ECDHE+aRSA+AESGCM", "rsa"),
        ("ECDHE+aECDSA+AESGCM", "ecdsa"),
        ("ECDHE+AESGCM", order[0]),
    ):
        got, layer = shaken(certificates, client(ciphers), name, piece)
        assert name_of(got) == kind
        digest = hashlib.sha256(got.public_bytes(Encoding.DER)).digest()
        assert layer.bindings()["tls-server-end-point"] == digest


@pytest.mark.parametrize(
    ("signatures", "kind"),
    [
        ("RSA-PSS+SHA256:RSA+SHA256", "rsa"),
        ("ECDSA+SHA256", "ecdsa"),
        ("ECDSA+SHA384", "p384"),
        ("ECDSA+SHA256:RSA-PSS+SHA256", "ecdsa"),
    ],
)
@pytest.mark.parametrize("version", ["-tls1_3", "-tls1_2"])
def test_signatures_decide(tmp_path: Path, signatures: str, kind: str, version: str) -> None:
    """The signatures that a client can verify choose the certificate, in TLS 1.3 also its curve."""
    openssl = need("openssl")
    pairs = [write(tmp_path, name, name) for name in ("ecdsa", "rsa")]
    if kind == "p384":
        if version == "-tls1_2":
            return
        pairs[0] = write(tmp_path, "p384", "p384")
    endpoint = ListenerPolicy(certificates=Certificates(pairs), implicit_tls=True)
    with serving(endpoint=endpoint) as live:
        done = subprocess.run(
            [openssl, "s_client", "-connect", f"127.0.0.1:{live.port}", version,
             "-sigalgs", signatures, "-servername", "localhost"],
            input=b"QUIT\r\n", capture_output=True, check=False, timeout=30,
        )  # fmt: skip
    assert re.search(f"subject=CN ?= ?{kind}\n", done.stdout.decode()), done.stdout


def test_names_come_first(tmp_path: Path) -> None:
    """The kind of key never gives a client the certificate of another name."""
    certificates = Certificates(
        [
            write(tmp_path, "first", "rsa"),
            write(tmp_path, "second", "other-rsa", "mail.example.com", "*.example.org"),
            write(tmp_path, "third", "ecdsa", "mail.example.com"),
        ]
    )
    for ciphers, name, got in (
        ("ECDHE+aECDSA+AESGCM", "mail.example.com", "third"),
        ("ECDHE+aRSA+AESGCM", "MAIL.example.com", "second"),
        ("ECDHE+AESGCM", "pop.example.org", "second"),
        ("ECDHE+aRSA+AESGCM", "localhost", "first"),
    ):
        assert name_of(shaken(certificates, client(ciphers), name)[0]) == got
    with pytest.raises((ssl.SSLError, TlsError)):
        shaken(certificates, client("ECDHE+aECDSA+AESGCM"))


def test_both_kinds_are_renewed(tmp_path: Path) -> None:
    """A renewed certificate of one kind is sent, with its own channel binding."""
    pairs = [write(tmp_path, kind, kind) for kind in ("rsa", "ecdsa")]
    certificates = Certificates(pairs, check_every=0)
    old, _ = shaken(certificates, client("ECDHE+aECDSA+AESGCM"))
    write(tmp_path, "ecdsa", "ecdsa")
    new, layer = shaken(certificates, client("ECDHE+aECDSA+AESGCM"))
    assert old != new
    digest = hashlib.sha256(new.public_bytes(Encoding.DER)).digest()
    assert layer.bindings()["tls-server-end-point"] == digest


def test_a_certificate_that_is_never_used_is_refused(tmp_path: Path) -> None:
    """Two of one kind for the same names are a mistake; a further name makes it useful."""
    first = write(tmp_path, "first", "rsa", "a.example", "b.example")
    second = write(tmp_path, "second", "other-rsa", "b.example")
    with pytest.raises(CertificateError, match=r"second\.pem: never used, .*first\.pem .*RSA"):
        Certificates([first, second])
    Certificates([second, first])
    Certificates([first, write(tmp_path, "third", "ecdsa", "b.example")])


def records(hello: bytes, size: int) -> bytes:
    """Return a ClientHello in records of this many octets each."""
    pieces = (hello[place : place + size] for place in range(0, len(hello), size))
    return b"".join(b"\x16\3\1" + len(piece).to_bytes(2) + piece for piece in pieces)


def hello_of(name: str = "mail.example.com") -> bytes:
    """Return a ClientHello, without the head of its record."""
    to_server = ssl.MemoryBIO()
    end = client("ECDHE", ssl.TLSVersion.TLSv1_3).wrap_bio(
        ssl.MemoryBIO(), to_server, server_hostname=name
    )
    with contextlib.suppress(ssl.SSLWantReadError):
        end.do_handshake()
    return to_server.read()[5:]


@pytest.mark.parametrize("count", [1, 2, MAX_RECORDS])
def test_a_client_hello_is_read_wherever_it_is_cut(count: int) -> None:
    """Records and packets may end anywhere in it."""
    hello = hello_of()
    sent = records(hello, -(-len(hello) // count))
    for end in range(len(sent)):
        assert read_hello(sent[:end]) is None
    found = read_hello(sent)
    assert found == read_hello(sent + b"\x14\3\3\0\1\1")
    assert found is not None
    assert found.name == b"mail.example.com"
    assert {0x0303, 0x0304} <= found.versions
    assert 0xC02F in found.suites
    assert {0x0403, 0x0804} <= found.signatures
    assert 23 in found.groups


@pytest.mark.parametrize(
    "octets",
    [
        b"CAPA\r\n",
        b"\x16\3\1\0\0",
        b"\x16\3\1\0\4\2\0\0\0",
        b"\x16\3\1\0\4\1\1\0\0",  # 65,536 octets
        b"\x16\3\1\0\4\1\0\0\0",
        b"\x16\3\1\0\1\1" * 9,
        records(hello_of()[:4] + b"\xff" * (len(hello_of()) - 4), 9999),
    ],
)
def test_what_is_no_client_hello(octets: bytes) -> None:
    """Noise, and a ClientHello that is too long, is an error at once."""
    with pytest.raises(ValueError, match="ClientHello"):
        read_hello(octets)
    assert LONGEST_HELLO < 65_536


def test_old_clients_fit_by_their_suites(tmp_path: Path) -> None:
    """A client without a list of signatures fits by its suites; curves count where it names any."""
    made = {kind: authority.make(kind, key=KEYS[kind]).certificate for kind in ("rsa", "p384")}
    context = client("ECDHE+AESGCM")
    rsa_fits, p384_fits = (requirements(made[kind], context) for kind in ("rsa", "p384"))
    old = Hello(frozenset({0x0303}), frozenset({0xC02F, 0xC02B}))
    assert rsa_fits.is_met_by(old)
    assert p384_fits.is_met_by(old)
    assert not p384_fits.is_met_by(Hello(old.versions, old.suites, groups=frozenset({23})))
    assert not p384_fits.is_met_by(Hello(old.versions, frozenset({0xC02F})))
    assert not rsa_fits.is_met_by(Hello(old.versions, old.suites, frozenset({0x0403})))
    newest = frozenset({0x0304})
    assert not p384_fits.is_met_by(Hello(newest, old.suites, frozenset({0x0403, 0x0804})))


def test_a_name_that_is_not_ascii_is_one_event(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The client gets an alert, the log one line, and the screen no traceback."""
    pairs = [write(tmp_path, "first", "rsa"), write(tmp_path, "second", "ecdsa", "b.example")]
    endpoint = ListenerPolicy(certificates=Certificates(pairs), implicit_tls=True)
    sent = records(hello_of().replace(b"mail.example.com", b"m\xc3\xa4il.example.co"), 9999)
    with serving(endpoint=endpoint) as live:
        with live.connect() as one:
            one.send(sent)
            assert one.read_all() == b"\x15\3\3\0\2\2\x2f"
        live.wait_for_log("event=connection_failed", "not ASCII", "event=session")
        with live.connect() as one:
            one.send(b"\x16\3\1\0\1\1" * 20)
            assert one.read_all() == b"\x15\3\3\0\2\2\x32"
        live.wait_for_log("an invalid ClientHello")
        assert live.log.getvalue().count("event=connection_failed") == 2
    assert capfd.readouterr().err == ""
