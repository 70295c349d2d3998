"""Certificates and keys that cannot be used: the text names the file, and what is wrong with it."""

from __future__ import annotations

import datetime as dt
import os
import ssl
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from restante.input_files import read_octets
from restante.server.tls import certificate_files
from restante.server.tls.certificate_files import CertificateError, CertificateFiles
from restante.server.tls.certificates import Certificates
from support import authority
from support.authority import Certified, key_of

GOOD = authority.GOOD
OTHER = authority.make("localhost")
RSA = authority.make("localhost", key=rsa.generate_private_key(65537, 2048))
SMALL = authority.make("localhost", key=rsa.generate_private_key(65537, 1024))

BROKEN_KEY = b"-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\n"
BROKEN = b"-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n"


def problem(folder: Path, certificate: bytes, key: bytes, ca: bytes | None = None) -> str:
    pair = CertificateFiles(folder / "mail.pem", folder / "mail.key")
    pair.certificate.write_bytes(certificate)
    pair.key.write_bytes(key)
    client_ca = folder / "ca.pem" if ca is not None else None
    if client_ca and ca:
        client_ca.write_bytes(ca)
    with pytest.raises(CertificateError) as caught:
        Certificates([pair], client_ca=client_ca)
    assert "_ssl.c" not in str(caught.value)
    return str(caught.value).removeprefix(f"{folder}{os.sep}")


def test_an_encrypted_key_is_called_one(tmp_path: Path) -> None:
    """An encrypted key is an error that says so."""
    locked = key_of(GOOD, serialization.BestAvailableEncryption(b"tanstaaf"))
    assert problem(tmp_path, GOOD.pem, locked).startswith("mail.key: the key is encrypted; ")


@pytest.mark.parametrize("other", [OTHER, RSA])
def test_key_of_other_certificate(tmp_path: Path, other: Certified) -> None:
    """A key of another certificate is an error, with the dates of the certificate."""
    ends = f"{GOOD.certificate.not_valid_after_utc:%Y-%m-%d}"
    said = problem(tmp_path, GOOD.pem, key_of(other))
    assert said.startswith("mail.key: does not match the first certificate of ")
    assert f"mail.pem, valid from {GOOD.certificate.not_valid_before_utc:%Y-%m-%d}" in said
    assert f" to {ends}" in said


@pytest.mark.parametrize("key", [b"", b"half of a k", BROKEN_KEY])
def test_a_key_that_is_none_is_named(tmp_path: Path, key: bytes) -> None:
    """A file that is not a key is an error that names the file."""
    assert problem(tmp_path, GOOD.pem, key) == "mail.key: not a PEM private key"


@pytest.mark.parametrize("certificate", [b"", b"half of a certif", BROKEN, GOOD.pem + BROKEN])
def test_a_certificate_that_is_none_is_named(tmp_path: Path, certificate: bytes) -> None:
    """A file that is not a certificate is an error that names the file."""
    said = problem(tmp_path, certificate, key_of(GOOD))
    assert said == "mail.pem: not a valid PEM certificate"


def test_a_weak_certificate_is_explained(tmp_path: Path) -> None:
    """A certificate that OpenSSL rejects as too weak is an error that says what to do."""
    said = problem(tmp_path, SMALL.pem, key_of(SMALL))
    assert said.startswith("mail.pem: its key is too short; get a new certificate")


@pytest.mark.parametrize(
    ("oid", "octets"),
    [
        (x509.AuthorityInformationAccess.oid, b"junk"),
        (x509.SubjectAlternativeName.oid, b"\x30\x02\xa3\x00"),  # a name for X.400
    ],
)
def test_unreadable_extensions(tmp_path: Path, oid: x509.ObjectIdentifier, octets: bytes) -> None:
    """A certificate with unreadable extensions is an expected error, and is named."""
    junk = x509.UnrecognizedExtension(oid, octets)
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = GOOD.certificate.subject, dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + authority.DAY)
        .add_extension(junk, critical=False)
        .sign(key, hashes.SHA256())
    )
    broken = Certified(signed, key)
    assert problem(tmp_path, broken.pem, key_of(broken)).startswith("mail.pem: ")


@pytest.mark.parametrize(
    ("octets", "changed"),
    [(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x01"), (b"\x17\x0d", b"\x17\x0d9999")],
)
def test_certificate_that_cannot_be_parsed(tmp_path: Path, octets: bytes, changed: bytes) -> None:
    """A version that does not exist, or a month 99, is an error of this file."""
    der = GOOD.certificate.public_bytes(serialization.Encoding.DER)
    place = der.index(octets)
    der = der[:place] + changed + der[place + len(changed) :]
    pem = ssl.DER_cert_to_PEM_cert(der).encode()
    assert problem(tmp_path, pem, key_of(GOOD)).startswith("mail.pem: ")


def test_unsupported_curve_on_renewal(tmp_path: Path) -> None:
    """If a renewed key is of a kind that is not supported, the certificate before stays in use."""
    pair = CertificateFiles(tmp_path / "mail.pem", tmp_path / "mail.key")
    pair.certificate.write_bytes(GOOD.pem)
    pair.key.write_bytes(key_of(GOOD))
    certificates = Certificates([pair], check_every=0)
    before = certificates.context()
    for command in (
        "ecparam -name secp224k1 -genkey -noout -out mail.key",
        "req -x509 -new -key mail.key -subj /CN=localhost -out mail.pem",
    ):
        subprocess.run(["openssl", *command.split()], cwd=tmp_path, check=True)
    assert certificates.context() is before
    with pytest.raises(CertificateError, match=r"mail\.pem: .*not supported"):
        certificates.reload()


@pytest.mark.parametrize("name", ["mail.pem", "mail.key"])
def test_unreadable_file_is_named(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two files the one that cannot be read is named."""

    def denied(file: Path) -> bytes:  # as for users other than root
        if file.name == name:
            raise PermissionError(13, "Permission denied", str(file))
        return read_octets(file)

    monkeypatch.setattr(certificate_files, "read_octets", denied)
    assert problem(tmp_path, GOOD.pem, key_of(GOOD)).startswith(
        f"{name}: Permission denied; check "
    )


def test_unusable_client_authority(tmp_path: Path) -> None:
    """An authority of clients that cannot be used is named."""
    assert problem(tmp_path, GOOD.pem, key_of(GOOD), b"nothing") == "ca.pem: not PEM certificates"
    (tmp_path / "ca.pem").unlink()
    missing = problem(tmp_path, GOOD.pem, key_of(GOOD), b"")
    assert missing == "ca.pem: No such file or directory; check the path"
