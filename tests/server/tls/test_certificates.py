"""Certificates whose files change, while the server runs."""

from __future__ import annotations

import contextlib
import os
import ssl
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from restante.server.tls import self_signed
from restante.server.tls.certificate_files import CertificateError, CertificateFiles
from restante.server.tls.certificates import Certificates


def write(pair: CertificateFiles, *hosts: str) -> bytes:
    """Write a new certificate and its key, and return the certificate."""
    made = self_signed.create_self_signed(hosts)
    pair.certificate.write_bytes(made.certificate)
    pair.key.write_bytes(made.key)
    return made.certificate


TRUSTING = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
TRUSTING.check_hostname, TRUSTING.verify_mode = False, ssl.CERT_NONE


def shake_hands(
    certificates: Certificates, name: str = "localhost", begun: ssl.SSLSession | None = None
) -> ssl.SSLObject:
    """Return the client's side of a connection, on which the server said something."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = TRUSTING.wrap_bio(to_client, to_server, server_hostname=name, session=begun)
    server = certificates.context().wrap_bio(to_server, to_client, server_side=True)
    for end in (client, server, client, server):
        with contextlib.suppress(ssl.SSLWantReadError):
            end.do_handshake()
    server.write(b"+OK")
    assert client.read() == b"+OK"  # tickets come before it
    return client


def served(certificates: Certificates, name: str = "localhost") -> bytes:
    """Return the certificate that a client gets for a server name."""
    der = shake_hands(certificates, name).getpeercert(binary_form=True)
    assert der
    return ssl.DER_cert_to_PEM_cert(der).encode()


checked = partial(Certificates, check_every=0)  # its files are looked at for each connection


@pytest.fixture
def pair(tmp_path: Path) -> CertificateFiles:
    pair = CertificateFiles(tmp_path / "mail.pem", tmp_path / "mail.key")
    write(pair, "localhost")
    return pair


@pytest.mark.usefixtures("one_tick")
def test_two_renewals_in_one_tick(pair: CertificateFiles) -> None:
    """The second of two certificates that the files' times do not tell apart is served."""

    def renew() -> bytes:
        made = write(pair, "localhost")
        for file in (pair.certificate, pair.key):
            file.write_bytes(file.read_bytes().ljust(4096, b"\n"))
        return made

    first = renew()
    certificates = checked([pair])
    assert served(certificates) == first
    second = renew()
    assert served(certificates) == second


class Unreadable:
    """Lets no key be read for a while, and leaves the files as they are."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = False
        load = ssl.SSLContext.load_cert_chain

        def load_cert_chain(context: ssl.SSLContext, *files: Any, **options: Any) -> None:
            if self.now:
                raise PermissionError(13, "Permission denied")
            load(context, *files, **options)

        monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", load_cert_chain)


def test_no_certificate() -> None:
    """Without a certificate each handshake would fail."""
    with pytest.raises(CertificateError, match="no certificate is given"):
        Certificates([])


def test_unreadable_key_loaded_later(
    pair: CertificateFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that could not be read for a moment is loaded later."""
    unreadable, certificates = Unreadable(monkeypatch), checked([pair])
    old, new = served(certificates), write(pair, "localhost")
    unreadable.now = True
    assert [served(certificates) for _ in range(3)] == [old] * 3
    unreadable.now = False
    assert served(certificates) == new


def test_same_size_and_time_reloaded(pair: CertificateFiles) -> None:
    """Files are loaded again even if size and time are unchanged, as rsync with --inplace and
    --times leaves them.
    """
    certificates = checked([pair])
    old = pair.certificate.read_bytes()
    before = {file: file.stat() for file in (pair.certificate, pair.key)}
    while len(new := write(pair, "localhost")) != len(old):
        pass
    for file, status in before.items():
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert file.stat().st_mtime_ns == status.st_mtime_ns
    assert served(certificates) == new


def test_broken_pair_harms_no_other(pair: CertificateFiles, tmp_path: Path) -> None:
    """A broken pair does not stop the renewal of others."""
    other = CertificateFiles(tmp_path / "other.pem", tmp_path / "other.key")
    kept = write(other, "other.example.com")
    certificates = checked([pair, other])
    other.key.unlink()
    new = write(pair, "localhost")
    assert served(certificates) == new
    assert served(certificates, "other.example.com") == kept


def test_an_authority_of_clients_that_changed_is_loaded(
    pair: CertificateFiles, tmp_path: Path
) -> None:
    """A changed client authority is loaded."""
    authority = tmp_path / "ca.pem"
    authority.write_bytes(self_signed.create_self_signed(("first",)).certificate)
    certificates = checked([pair], client_ca=authority)
    authority.write_bytes(second := self_signed.create_self_signed(("second",)).certificate)
    assert certificates.context().get_ca_certs(binary_form=True) == [
        ssl.PEM_cert_to_DER_cert(second.decode())
    ]


def test_a_reload_loads_what_has_not_changed(pair: CertificateFiles) -> None:
    """A reload loads unchanged files too."""
    certificates = checked([pair])
    before = certificates.context()
    assert certificates.context() is before
    certificates.reload()
    assert certificates.context() is not before


def test_a_reload_that_fails_says_so_and_changes_nothing(
    pair: CertificateFiles, tmp_path: Path
) -> None:
    """A reload that fails raises an error and changes nothing."""
    other = CertificateFiles(tmp_path / "other.pem", tmp_path / "other.key")
    write(other, "other.example.com")
    certificates = checked([pair, other])
    before = certificates.context()
    other.key.unlink()
    with pytest.raises(CertificateError, match=r"other\.key: No such file"):
        certificates.reload()
    assert certificates.context() is before


def test_binding_outlives_reload(pair: CertificateFiles) -> None:
    """RFC 5929 section 4: a connection from before a reload stays bound to its own certificate."""
    certificates = checked([pair])
    context = certificates.context()
    binding = certificates.end_point_binding(context)
    write(pair, "localhost")
    certificates.reload()
    assert certificates.end_point_binding(context) == binding != b""
    assert certificates.end_point_binding(certificates.context()) != binding


def test_tickets_end_with_their_certificate(pair: CertificateFiles) -> None:
    """A client that resumes would be bound to a certificate that the server no longer has."""
    certificates = checked([pair])
    begun = shake_hands(certificates).session
    assert begun is not None
    assert shake_hands(certificates, begun=begun).session_reused
    write(pair, "localhost")
    assert not shake_hands(certificates, begun=begun).session_reused
