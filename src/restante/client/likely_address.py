"""The address that was probably meant by a text that is not an account, for error messages."""

from __future__ import annotations

import re
import unicodedata

from restante.client.mail_address import parse_address, unwrap_address
from restante.client.options import redact_account

_LONGEST = 1024  # characters that are examined
_AT = re.compile(r"\s*[(\[{<]\s*(?:at|@)\s*[)\]}>]\s*|\s+at\s+|\s*@\s*", re.IGNORECASE)
_DOT = re.compile(r"\s*[(\[{<]\s*(?:dot|\.)\s*[)\]}>]\s*|\s+dot\s+", re.IGNORECASE)
_LABEL = re.compile(r"[\w-]+:\s+|(?:pop3?s?|imaps?|smtps?|mailto):/*", re.IGNORECASE)
_AROUND = " \t,;.<>\"'()[]{}"
_ADDRESS = re.compile(r"""[^\s@:/<>()\[\]{},;"]+@[^\s@<>()\[\]{};"]+""")
_SERVER_WORDS = {"pop", "pop3", "imap", "mail", "smtp", "mx", "webmail", "www"}


def suggest(text: str) -> str:
    """Return a question for the end of an error, such as "; did you mean ann@example.com?".

    Returns "" if nothing, or more than one address, may have been meant. No password is in it.
    """
    likely = find_likely(text)
    return f"; did you mean {likely}?" if likely else ""


def find_likely(text: str) -> str:
    """Return the account that was probably meant, "" if there is none, or more than one."""
    text = "".join(c for c in text[:_LONGEST] if unicodedata.category(c) != "Cf")
    text = _LABEL.sub("", unwrap_address(text), count=1)
    if redact_account(text) != text:  # what follows the colon may be a password
        return ""
    text = _DOT.sub(".", _AT.sub("@", text))
    text = re.sub("@+", "@", text)
    candidates = _ADDRESS.findall(text) if text.count("@") == 1 else []
    return _repair(candidates[0]) if candidates else ""


def _repair(candidate: str) -> str:
    """Return a text with one "@" as an account, "" if it cannot be one."""
    local, _, domain = candidate.rpartition("@")
    domain, colon, port = re.sub(r"/.*", "", domain).partition(":")
    domain = re.sub(r"[.,]+", ".", domain).strip(_AROUND)
    try:
        address = str(parse_address(f"{local.strip(_AROUND)}@{domain}"))
    except ValueError:
        return ""
    if "." not in domain:
        return ""
    return f"pop3s://{address}:{port}" if colon and port.isdecimal() else address


def mail_domain(host: str) -> str:
    """Return the domain that addresses at a server probably have: gmail.com of pop.gmail.com."""
    label, _, parent = host.partition(".")
    return parent if label.lower() in _SERVER_WORDS and "." in parent else host
