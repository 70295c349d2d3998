"""Errors about texts that are not accounts, with the account that was probably meant."""

from __future__ import annotations

import re

from restante.cli.options.account_file import describe_unknown
from restante.cli.output.terminal import plain
from restante.client.likely_address import find_likely, mail_domain, suggest
from restante.diagnosis.wording import quantity

_SERVER = re.compile(r"((?:[\w-]+\.)+[a-z][\w-]*)\.?(:[0-9]+)?", re.IGNORECASE)


def describe_no_address(name: str, error: ValueError) -> str:
    """Return what is wrong with a text with an "@", by its error."""
    return plain(f"{error}{suggest(name)}")


def describe_no_user(name: str) -> str:
    """Return what is wrong with an account that names no user."""
    if likely := suggest(name):
        return f'"{plain(name)}" is not an account: it has no @{likely}'
    unknown = describe_unknown(name)
    server = _SERVER.fullmatch(name)
    if server is None or "did you mean" in unknown:
        return unknown
    return (
        f'"{name}" has no @, so it names no user; use the mail address, as in '
        f"user@{mail_domain(server[1])}, or add -u NAME; `pop3 probe {name}` checks the server "
        "without a login"
    )


def describe_no_host(name: str, error: ValueError) -> str:
    """Return what is wrong with a text without an "@" that cannot be a host, by its error."""
    return describe_no_user(name) if suggest(name) else plain(str(error))


def describe_url(url: str) -> str:
    """Return what is wrong with a URL of another protocol, "" if it is one of POP3."""
    scheme = url.partition("://")[0].lower()
    if scheme in {"http", "https"}:
        return "a web page is not an account; use the mail address, as in user@example.com"
    protocol = scheme.removesuffix("s").upper()
    if protocol in {"IMAP", "SMTP"}:
        return (
            f"{protocol} is another protocol than POP3, and its server may have another name; use "
            "the mail address, as in user@example.com, or pop3s://user@host"
        )
    return ""


def describe_colon(name: str) -> str:
    """Return what is wrong with an address that has a colon: a password, or half a URL."""
    if re.match(r"(pop3?|imap|smtp)s?:", name, re.IGNORECASE):
        return f"not an account; use pop3s://user@host or pop3://user@host:port{suggest(name)}"
    if re.match(r"[\w-]*(mail|url|user|login|account)[\w-]*:", name, re.IGNORECASE):
        return f"not an account; omit the word before the address{suggest(name)}"
    return "an account must not contain a password; omit it, and pop3 asks for it"


def describe_extra(account: object, extra: list[str], *, asks: bool) -> str:
    """Return what is wrong with words after all arguments, without them: one may be secret.

    `asks` says whether the command asks for a password.
    """
    likely = find_likely(" ".join([str(account), *extra]))
    if likely and likely != account:
        return f"an account is one word, without spaces; did you mean {likely}?"
    hint = "pop3 asks for a password, which is not an argument" if asks else "use one"
    return f"{quantity(len(extra), 'argument')} too many; {hint}"
