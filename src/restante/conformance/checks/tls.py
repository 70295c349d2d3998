"""STLS, and the versions of TLS."""

from __future__ import annotations

import contextlib
import ssl
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

from restante.conformance.check import CheckGroup, Deviation, NotTestable, require
from restante.conformance.raw_connection import dial, quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restante.conformance.context import ConformanceContext
    from restante.conformance.raw_connection import RawConnection

GROUP = CheckGroup()


@GROUP.check("rfc2595-s4/stls-announced", "STLS is announced only where it works")
def announced(context: ConformanceContext) -> None:
    with _connection_after_stls(context) as connection:
        connection.start_tls(context.server)
        inside = connection.fetch_lines("CAPA")
        require("STLS" not in inside, "CAPA lists STLS within TLS")


@GROUP.check("rfc2595-s4/stls", "STLS within TLS gets -ERR")
def twice(context: ConformanceContext) -> None:
    with _connection_after_stls(context) as connection:
        connection.start_tls(context.server)
        connection.expect_err("STLS")


@GROUP.check(
    "rfc2595-s4/stls-discards known-bug/tls-scope",
    "cleartext commands after STLS are discarded",
)
def injection(context: ConformanceContext) -> None:
    with _connection_before_stls(context) as connection:
        connection.send(b"STLS\r\nXYZZY\r\n", "STLS and a command after it")
        answer = connection.read_status()
        if not answer.startswith(b"+OK"):
            return
        early = connection.read_rest()
        require(b"-ERR" not in early, f"the server replied before the handshake: {quote(early)}")
        try:
            connection.start_tls(context.server)
        except ssl.SSLCertVerificationError:
            raise
        except (ssl.SSLError, OSError):
            return  # it read the commands as a part of the handshake, and did not execute them
        octets = connection.read_rest(1.0)
        require(not octets, f"the server replied within TLS: {quote(octets)}")


@GROUP.check("rfc2595-s4/stls-discards", "a name given before STLS is discarded")
def name_forgotten(context: ConformanceContext) -> None:
    with _connection_before_stls(context) as connection:
        answer = connection.exchange(f"USER {context.server.user or 'info'}")
        if not answer.startswith(b"+OK"):
            raise NotTestable(f"USER is rejected before STLS: {quote(answer)}")
        if not connection.exchange("STLS").startswith(b"+OK"):
            raise NotTestable("STLS is rejected after USER")
        connection.start_tls(context.server)
        answer = connection.exchange("PASS nobody-has-this-password")
        forgotten = answer.startswith(b"-ERR") and b"[AUTH]" not in answer
        require(forgotten, f"the server tried PASS with the name: {quote(answer)}")


@GROUP.check("rfc2595-s4/stls known-bug/tls-scope", "STLS after login gets -ERR")
def too_late(context: ConformanceContext) -> None:
    answer = context.session.exchange("STLS")
    require(answer.startswith(b"-ERR"), quote(answer))


@GROUP.check("rfc8314-s4/tls-1-2", "TLS 1.0 and 1.1 are rejected")
def old_versions(context: ConformanceContext) -> None:
    if context.server.tls != "implicit" and "STLS" not in context.capabilities_in_clear:
        raise NotTestable("no TLS")
    server = replace(context.server, tls="none")  # TLS begins below, also for implicit TLS
    with dial(server, context.status_lines) as connection:
        if context.server.tls != "implicit":
            connection.read_status()
            connection.expect_ok("STLS")
        with contextlib.suppress(ssl.SSLError, OSError):
            name = context.server.server_name
            old = _old_tls_context().wrap_socket(connection.sock, server_hostname=name)
            version = old.version()
            old.close()
            raise Deviation(f"the server accepts {version}")


def _old_tls_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # they are what is looked for
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


@contextlib.contextmanager
def _connection_before_stls(context: ConformanceContext) -> Iterator[RawConnection]:
    """Give a connection in clear of a server that offers STLS."""
    if context.server.tls == "implicit":
        raise NotTestable("the port uses TLS from the first octet")
    if "STLS" not in context.capabilities_in_clear:
        raise NotTestable("STLS is not offered")
    with context.open_connection(secure=False) as connection:
        yield connection


@contextlib.contextmanager
def _connection_after_stls(context: ConformanceContext) -> Iterator[RawConnection]:
    """Give a connection after the +OK of STLS."""
    with _connection_before_stls(context) as connection:
        connection.expect_ok("STLS")
        yield connection
