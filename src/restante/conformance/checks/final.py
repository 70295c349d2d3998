"""The last checks: wrong passwords, and all replies of the run."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from restante.conformance.check import CheckGroup, NotTestable, require
from restante.conformance.context import LOGIN
from restante.conformance.raw_connection import ClosedError, quote

if TYPE_CHECKING:
    from restante.conformance.context import ConformanceContext
    from restante.conformance.raw_connection import RawConnection

GROUP = CheckGroup()

UNKNOWN_NAME = "restante-verify-nobody"

_CODES = {"LOGIN-DELAY", "IN-USE", "SYS/PERM", "SYS/TEMP", "AUTH", "UTF8"}


@GROUP.check(
    "rfc1939-s7/pass rfc3206-s6/auth-on-refusal",
    "a wrong password gets -ERR, with [AUTH] if AUTH-RESP-CODE is announced",
)
def wrong_password(context: ConformanceContext) -> None:
    answer = _wrong(context, context.server.user)
    require(answer.startswith(b"-ERR"), quote(answer))
    if "AUTH-RESP-CODE" in context.capabilities_before:
        require(b"[AUTH]" in answer.upper(), quote(answer))


@GROUP.check(
    "rfc1939-s13/password-or-apop implied/no-user-enumeration",
    "an unknown name gets the same reply as a wrong password",
)
def unknown_name(context: ConformanceContext) -> None:
    known, unknown = _wrong(context, context.server.user), _wrong(context, UNKNOWN_NAME)
    if known != unknown and known != _wrong(context, context.server.user):
        raise NotTestable(f"the reply is another one each time: {quote(known)}")
    require(known == unknown, f"{quote(known)}; {quote(unknown)}")


@GROUP.check("rfc5034-s4/failure", "after a rejected login the session continues or is closed")
def goes_on(context: ConformanceContext) -> None:
    if not context.server.user:
        raise NotTestable("no --user")
    with context.open_connection() as line:
        _try_wrong_password(line, UNKNOWN_NAME)
        with contextlib.suppress(ClosedError):
            line.expect_reply()
    with context.open_session() as line:
        line.expect_ok("QUIT")


@GROUP.check(
    "rfc1939-s3/status-length rfc2449-s4/status-length",
    "every status line of this run has at most 512 octets",
)
def short_lines(context: ConformanceContext) -> None:
    for command, line in context.status_lines:
        challenge = line.startswith(b"+ ")  # RFC 5034 section 4: it may be longer
        require(len(line) <= 512 or challenge, f"{command}: {len(line)} octets")


@GROUP.check(
    "rfc1939-s3/status-words",
    "every reply of this run begins with +OK or -ERR and ends with CR LF",
)
def indicators(context: ConformanceContext) -> None:
    for command, line in context.status_lines:
        good = re.match(rb"(\+OK|-ERR)[ \r]", line) or line.startswith(b"+ ")
        require(good and line.endswith(b"\r\n"), f"{command}: {quote(line)}")


@GROUP.check(
    "rfc2449-s6.4/resp-codes rfc2449-s3/response-code",
    "every text in brackets is a registered response code",
)
def codes(context: ConformanceContext) -> None:
    if "RESP-CODES" not in context.capabilities_before + context.capabilities_after:
        raise NotTestable("RESP-CODES is not announced")
    for command, line in context.status_lines:
        match = re.match(rb"(?:\+OK|-ERR) \[([^\]]*)\]", line)
        if match:
            code = match[1].decode("latin-1").upper()
            known = code in _CODES or code.startswith("X")
            require(known, f"{command}: [{code}]")


@GROUP.check(
    "rfc2449-s3/printable-text implied/no-injection",
    "control characters from the client are not sent back",
)
def no_echo(context: ConformanceContext) -> None:
    with context.open_connection() as line:
        line.send(b"XY\x1b[31mZZY\x07 \xff\r\n", "a command with control characters")
        answer = line.read_status()
        require(not any(c < 32 for c in answer.rstrip(b"\r\n")), quote(answer))


def _wrong(context: ConformanceContext, user: str) -> bytes:
    """Return the reply to a wrong password. Raises NotTestable: the user has none, or no name."""
    if not user:
        raise NotTestable("no --user")
    context.close_shared_session()
    with context.open_connection() as line:
        answer = _try_wrong_password(line, user)
        if user == context.server.user and line.last.startswith("USER "):
            raise NotTestable(f"USER is rejected: {quote(answer)}")
        return answer


def _try_wrong_password(line: RawConnection, user: str) -> bytes:
    answer = line.exchange(f"USER {user}")
    if answer.startswith(b"+OK"):
        answer = line.exchange("PASS nobody-has-this-password", LOGIN)
    return answer
