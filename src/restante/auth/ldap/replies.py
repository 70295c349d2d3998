"""The meaning of LDAP servers' replies to a bind, in words for the log."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import ldap
from ldap.controls import DecodeControlTuples
from ldap.controls.ppolicy import PasswordPolicyControl

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

REFUSALS = (
    ldap.INVALID_CREDENTIALS,
    ldap.INAPPROPRIATE_AUTH,  # the entry has no password
    ldap.INVALID_DN_SYNTAX,
    ldap.NO_SUCH_OBJECT,
    ldap.CONSTRAINT_VIOLATION,  # 389 Directory Server: too many failures
    ldap.UNWILLING_TO_PERFORM,  # the account is inactive
)
"""Replies to a bind that are about its name and password."""

POLICY = {
    0: "the password has expired",
    1: "the account is locked",
    2: "the password must be changed first",
}
"""Errors of the control for password policies: draft-behera-ldap-password-policy section 6.2."""

ACTIVE_DIRECTORY = {
    "525": "unknown name",
    "52e": "wrong password",
    "530": "logins are not allowed at this time",
    "531": "logins are not allowed from this machine",
    "532": "the password has expired",
    "533": "the account is disabled",
    "701": "the account has expired",
    "773": "the password must be changed first",
    "775": "the account is locked",
}
"""Numbers in Active Directory's text for a bind that failed, such as "data 52e"."""

LONGEST = 200  # characters of a text in the log


def refusal_reason(error: ldap.LDAPError) -> str:
    """Return why a bind was refused."""
    details = _details(error)
    by_policy = policy_refusal(DecodeControlTuples(details.get("ctrls")))
    if by_policy:
        return by_policy
    info = str(details.get("info", ""))
    code = re.search(r"\bdata ([0-9a-f]{3})\b", info)
    if code and code[1] in ACTIVE_DIRECTORY:
        return ACTIVE_DIRECTORY[code[1]]
    if isinstance(error, ldap.INVALID_CREDENTIALS):
        return "wrong password"
    return f"LDAP: {describe(error)}"


def policy_refusal(controls: Sequence[Any]) -> str:
    """Return why a password policy allows no login, "" if it does."""
    kind = PasswordPolicyControl.controlType
    codes = [control.error for control in controls or () if control.controlType == kind]
    return next((POLICY[code] for code in codes if code in POLICY), "")


_UNREACHED = "check that the directory runs, and accounts.ldap"
_REMEDIES: Mapping[type[ldap.LDAPError], str] = {
    ldap.SERVER_DOWN: _UNREACHED,
    ldap.CONNECT_ERROR: _UNREACHED,
    ldap.TIMEOUT: _UNREACHED,
    ldap.NO_SUCH_OBJECT: "check ldap.base, and that ldap.bind_dn may read it",
    ldap.FILTER_ERROR: "correct ldap.filter",
    ldap.INVALID_DN_SYNTAX: "correct ldap.base and ldap.bind_dn",
    ldap.INVALID_CREDENTIALS: "check ldap.bind_dn and ldap.bind_password_file",
    ldap.INSUFFICIENT_ACCESS: "let ldap.bind_dn read the accounts",
    ldap.STRONG_AUTH_REQUIRED: "use TLS: set ldap.start_tls, or ldaps:// in accounts.ldap",
    ldap.CONFIDENTIALITY_REQUIRED: "use TLS: set ldap.start_tls, or ldaps:// in accounts.ldap",
    ldap.SIZELIMIT_EXCEEDED: "raise the directory's limits for ldap.bind_dn",
    ldap.TIMELIMIT_EXCEEDED: "raise the directory's limits for ldap.bind_dn",
    ldap.ADMINLIMIT_EXCEEDED: "raise the directory's limits for ldap.bind_dn",
}


def explain(error: ldap.LDAPError) -> str:
    """Return an error of the service, not of a user, and what administrators can do."""
    return f"{describe(error)}; {_REMEDIES.get(type(error), 'search the log of the directory')}"


def describe(error: ldap.LDAPError) -> str:
    """Return an error in the words of the library and the server."""
    details = _details(error)
    if isinstance(error, ldap.FILTER_ERROR):  # its `info` is the error of an earlier call
        return str(details["desc"])
    words = [str(details.get(key, "")) for key in ("desc", "info")]
    text = ": ".join(filter(None, words)) or type(error).__name__
    return "".join(character if character.isprintable() else " " for character in text)[:LONGEST]


def _details(error: ldap.LDAPError) -> dict[str, Any]:
    details = error.args[0] if error.args else {}
    return details if isinstance(details, dict) else {}
