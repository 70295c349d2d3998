"""A summary of a server's certificate, whatever is in it."""

from __future__ import annotations

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from restante.diagnosis.certificate import summarise
from support import authority

OID, OTHER_OID = b"\x06\x03\x55\x1d\x62", b"\x06\x03\x55\x1d\x63"  # of no known extension


@pytest.mark.parametrize(
    "extensions",
    [
        [("2.5.29.17", b"\x30\x02\xa3\x00")],  # a name for X.400
        [("2.5.29.17", b"junk"), ("1.3.6.1.5.5.7.1.1", b"junk")],
        [("2.5.29.98", b"\x05\x00"), ("2.5.29.99", b"\x05\x00")],  # made one twice
    ],
)
def test_odd_extensions(extensions: list[tuple[str, bytes]]) -> None:
    """The rest of a certificate with extensions that cannot be read is described."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = authority.GOOD.certificate.subject, dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + authority.DAY)
    for number, octets in extensions:
        extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(number), octets)
        builder = builder.add_extension(extension, critical=False)
    der = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    found = summarise([der.replace(OTHER_OID, OID)])
    assert found is not None
    assert found.names == (found.subject,)
    assert not found.fetchable


@pytest.mark.parametrize(
    ("host", "names", "fits"),
    [
        ("mail.x.org", ("x.org", "*.X.org"), True),
        ("a.mail.x.org", ("x.org", "*.x.org"), False),
        ("Mail.x.org.", ("mail.x.org",), True),
        ("x.org", ("*.x.org", "*"), False),
        ("m\u00fcller.example", ("xn--mller-kva.example",), True),
        ("::1", ("0:0::1",), True),
    ],
)
def test_names_of_a_certificate(host: str, names: tuple[str, ...], *, fits: bool) -> None:
    """A name is for a host, a wildcard for one label, and an address for itself in any spelling."""
    summary = summarise([authority.GOOD.certificate.public_bytes(serialization.Encoding.DER)])
    assert summary is not None
    assert summary._replace(names=names).is_for(host) == fits
