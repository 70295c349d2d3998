"""The issuer in a mail domain's PACC file. draft-ietf-mailmaint-pacc.

The file counts only if a TXT record of the domain has its digest.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Any

from restante.client.mail_address import is_below
from restante.oauth.json_objects import read_object

if TYPE_CHECKING:
    from collections.abc import Iterable


def file_url(domain: str) -> str:
    """Return the URL of the file of a domain."""
    return f"https://ua-auto-config.{domain}/.well-known/user-agent-configuration.json"


def record_name(domain: str) -> str:
    """Return the name of the TXT record with the file's digest."""
    return f"_ua-auto-config.{domain}"


def read_issuer(octets: bytes, records: Iterable[str], host: str, domain: str) -> str:
    """Return the issuer that a file names for a mail server of the domain, "" for none.

    Args:
        octets: the file.
        records: the TXT records.
        host: the mail server: one of those in the file, or one in the domain.
        domain: the mail domain.
    """
    digest = hashlib.sha256(octets).digest()
    if not any(hmac.compare_digest(digest, _digest(text)) for text in records):
        return ""
    document = read_object(octets)
    protocols = _table(document, "protocols")
    hosts = [_table(protocols, name).get("host") for name in protocols]
    if host not in hosts and not is_below(host, domain):
        return ""
    issuer = _table(_table(document, "authentication"), "oauth-public").get("issuer")
    return issuer if isinstance(issuer, str) and issuer.startswith("https://") else ""


def _digest(text: str) -> bytes:
    """Return the digest of a record "v=UAAC1; a=sha256; d=BASE64", b"" for another record."""
    pairs = (part.partition("=") for part in text.split(";"))
    tags = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if tags.get("v", "").upper() != "UAAC1" or tags.get("a", "").lower() != "sha256":
        return b""
    try:
        return base64.b64decode(tags.get("d", ""), validate=True)
    except ValueError:  # binascii.Error among them; another one if the text is not ASCII
        return b""


def _table(value: Any, name: str) -> dict[str, Any]:
    """Return a table of a JSON object, an empty one if it has no such table."""
    table = value.get(name) if isinstance(value, dict) else None
    return table if isinstance(table, dict) else {}
