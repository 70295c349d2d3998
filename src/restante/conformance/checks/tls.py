"""STLS, and the versions of TLS."""

from __future__ import annotations

import contextlib
import ssl
import warnings
from typing import TYPE_CHECKING

from restante.conformance.check import CheckGroup, Deviation, NotTestable, require
from restante.conformance.raw_connection import RawConnection, dial, quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restante.conformance.context import ConformanceContext

THEME = CheckGroup()


@THEME.check("rfc2595-s4/stls-announced", "STLS is announced only where it works")
def announced(bench: ConformanceContext) -> None:
    with _clear(bench) as line:
        line.start_tls(bench.place)
        inside = line.lines("CAPA")
        require("STLS" not in inside, "CAPA lists STLS within TLS")


@THEME.check("rfc2595-s4/stls", "STLS within TLS gets -ERR")
def twice(bench: ConformanceContext) -> None:
    with _clear(bench) as line:
        line.start_tls(bench.place)
        line.err("STLS")


@THEME.check(
    "rfc2595-s4/stls-discards known-bug/tls-scope",
    "cleartext commands after STLS are discarded",
)
def injection(bench: ConformanceContext) -> None:
    with _offered(bench) as line:
        line.send(b"STLS\r\nXYZZY\r\n", "STLS and a command after it")
        answer = line.status()
        if not answer.startswith(b"+OK"):
            return
        line.buffer.clear()
        try:
            line.start_tls(bench.place)
        except (ssl.SSLError, OSError):
            return  # it took the words for the handshake's: nothing was acted upon
        heard = line.more(1.0)
        require(not heard, f"the server replied within TLS: {quote(heard)}")


@THEME.check("rfc2595-s4/stls-discards", "a name given before STLS is discarded")
def name_forgotten(bench: ConformanceContext) -> None:
    with _offered(bench) as line:
        line.say(f"USER {bench.place.user or 'info'}")
        if not line.say("STLS").startswith(b"+OK"):
            raise NotTestable("STLS is rejected after USER")
        line.start_tls(bench.place)
        answer = line.say("PASS nobody-has-this-password")
        require(answer.startswith(b"-ERR") and b"[AUTH]" not in answer, quote(answer))


@THEME.check("rfc2595-s4/stls known-bug/tls-scope", "STLS after login gets -ERR")
def too_late(bench: ConformanceContext) -> None:
    answer = bench.session.say("STLS")
    require(answer.startswith(b"-ERR"), quote(answer))


@THEME.check("rfc8314-s4/tls-1-2", "TLS 1.0 and 1.1 are rejected")
def old_versions(bench: ConformanceContext) -> None:
    if bench.place.tls != "implicit" and "STLS" not in bench.in_clear:
        raise NotTestable("no TLS")
    with dial_clear(bench) as line:
        if bench.place.tls != "implicit":
            line.status()
            line.ok("STLS")
        with contextlib.suppress(ssl.SSLError, OSError):
            old = _old().wrap_socket(line.sock, server_hostname=bench.place.server_name)
            version = old.version()
            old.close()
            raise Deviation(f"the server accepts {version}")


def _old() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # they are what is looked for
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


@contextlib.contextmanager
def dial_clear(bench: ConformanceContext) -> Iterator[RawConnection]:
    """Give a connection in which no TLS has begun, not even where it should from the start."""
    from dataclasses import replace

    with dial(replace(bench.place, tls="none"), bench.heard) as line:
        yield line


@contextlib.contextmanager
def _offered(bench: ConformanceContext) -> Iterator[RawConnection]:
    """Give a connection in clear of a server that offers STLS."""
    if bench.place.tls == "implicit":
        raise NotTestable("the port uses TLS from the first octet")
    with bench.open_connection(secure=False) as line:
        if line.say("CAPA").startswith(b"+OK"):
            bench.in_clear = line.read_lines()
        if "STLS" not in bench.in_clear:
            raise NotTestable("STLS is not offered")
        yield line


@contextlib.contextmanager
def _clear(bench: ConformanceContext) -> Iterator[RawConnection]:
    """Give the same after the +OK of STLS."""
    with _offered(bench) as line:
        line.ok("STLS")
        yield line
