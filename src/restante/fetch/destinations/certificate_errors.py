"""Errors of a destination's certificate, with what its user can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

_WRONG_NAME = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_UNKNOWN_ISSUER = (18, 19, 20, 21)  # X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT and the next ones


def describe_certificate_error(error: ssl.SSLCertVerificationError) -> str:
    """Return what is wrong with a server's certificate, and what to write into the URL."""
    text = f"its certificate is not valid: {error.verify_message.removesuffix('.')}"
    if error.verify_code in _WRONG_NAME:
        return f"{text}; write a name of the certificate into the URL"
    if error.verify_code in _UNKNOWN_ISSUER:
        return f"{text}; if its authority is your own, add cafile=FILE to the URL"
    return text
