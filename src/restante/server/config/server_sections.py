"""The tables about the server itself: listening, TLS, times, limits and the log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from restante.protocol.server.settings import ProtocolSettings
from restante.server.config.section import ConfigSection, Count, Seconds
from restante.server.limits.server_limits import MAX_CONNECTIONS, MAX_PER_ADDRESS, MAX_PER_USER
from restante.server.log.event_log import Format

MAX_WORKERS = 64

_DEFAULTS = ProtocolSettings()


class ServerSection(ConfigSection):
    """Addresses, greeting and processes of the server.

    Attributes:
        listen: Addresses as HOST:PORT. An IPv6 address is in brackets, and * means every address.
            On a machine without IPv6, [::1] beside another address is left out.
        greeting: The text after the first +OK.
        implementation: The text of IMPLEMENTATION in CAPA. An empty text is not announced.
        strict_line_ends: Reject commands that end with LF alone.
        language: The language that LANG * selects.
        proxies: Networks whose connections begin with a PROXY header, version 1 or 2.
        xclient_proxies: Networks of Dovecot proxies, which name their client by XCLIENT.
        workers: The number of worker processes, or "auto" for one per CPU core.
    """

    listen: tuple[str, ...] = ("127.0.0.1:110", "[::1]:110")
    greeting: str = _DEFAULTS.greeting
    implementation: str = _DEFAULTS.implementation
    strict_line_ends: bool = False
    language: Literal["en", "de", "es", "fr"] = "en"
    proxies: tuple[str, ...] = ()
    xclient_proxies: tuple[str, ...] = ()
    workers: Annotated[int, msgspec.Meta(ge=1, le=MAX_WORKERS)] | Literal["auto"] = 1


class CertificateSection(ConfigSection):
    """The PEM files of a certificate, with its chain, and of its key."""

    certificate: Path
    key: Path


class TlsSection(ConfigSection):
    """TLS 1.2 and later. Only `legacy_listen` allows earlier versions.

    Attributes:
        listen: Addresses with TLS from the first octet, such as "*:995".
        legacy_listen: Such addresses for old clients, which also allow TLS 1.0 and weak ciphers.
        certificates: Tables with `certificate` and `key`, PEM files. Clients without a server name,
            or with an unknown one, get the first. Changed files and SIGHUP load them again.
        client_ca: Authorities of client certificates. Clients with such a certificate can use
            EXTERNAL.
    """

    listen: tuple[str, ...] = ()
    legacy_listen: tuple[str, ...] = ()
    certificates: tuple[CertificateSection, ...] = ()
    client_ca: Path | None = None


class TimeoutsSection(ConfigSection):
    """All times are in seconds.

    Attributes:
        login: Time limit of a client for each command before login.
        before_login: Time limit of a client before login in total, with TLS and rejected logins.
        idle: Time limit of a client for each command after login, and of the mail store. RFC 1939
            requires at least 600.
        lock: Time that a login waits for a maildrop which another session holds.
        write: Time for which a client may read fewer than 80 octets per second of a reply.
        stop: Time for replies under way when the server stops.
        reload: Time for sessions in workers that a reload has replaced.
    """

    login: Seconds = _DEFAULTS.login_timeout
    before_login: Seconds = _DEFAULTS.authorization_timeout
    idle: Annotated[float, msgspec.Meta(ge=600, le=86_400)] = _DEFAULTS.idle_timeout
    lock: Annotated[float, msgspec.Meta(ge=0, le=60)] = 3
    write: Seconds = 600
    stop: Seconds = 10
    reload: Seconds = 600


class LimitsSection(ConfigSection):
    """Limits of connections, sessions and commands.

    Attributes:
        connections: Simultaneous connections. Further ones get -ERR [SYS/TEMP] and are closed.
        connections_per_address: Simultaneous connections from one address, or one /64 of IPv6.
        sessions_per_user: Simultaneous sessions of one user. All but one wait for the maildrop.
        count_loopback: Apply limits and delays to connections of this machine, too.
        bad_commands_before_login: Bad commands in a row before login that close the connection.
        bad_commands_after_login: Bad commands in a row after login that close the connection.
        refused_logins: Rejected logins, for any reason, that close the connection.
    """

    connections: Count = MAX_CONNECTIONS
    connections_per_address: Count = MAX_PER_ADDRESS
    sessions_per_user: Count = MAX_PER_USER
    count_loopback: bool = False
    bad_commands_before_login: Annotated[int, msgspec.Meta(ge=10, le=1000)] = 10
    bad_commands_after_login: Annotated[int, msgspec.Meta(ge=30, le=1000)] = 30
    refused_logins: Annotated[int, msgspec.Meta(ge=3, le=1000)] = _DEFAULTS.refused_logins


class ControlSection(ConfigSection):
    """Unix sockets for `pop3 sessions`, `pop3 kick` and `pop3 status`, one for each process.

    Attributes:
        folder: The folder of the sockets, such as "/run/restante/control". The server makes it.
        group: A group whose users can connect, beside root and the user of the server.
    """

    folder: Path | None = None
    group: str | None = None


class MetricsSection(ConfigSection):
    """Figures for Prometheus, and whether the server is alive and ready, by HTTP.

    Attributes:
        listen: A loopback HOST:PORT, or the file of a Unix socket. Without it, nothing is measured.
        socket_mode: The permissions of the socket, in octal.
        socket_group: The group of the socket. The default is that of the folder or of the server.
    """

    listen: str | None = None
    socket_mode: Annotated[str, msgspec.Meta(pattern="^0?[0-7]{3}$")] = "0660"
    socket_group: str | None = None


class LogSection(ConfigSection):
    """One line per event, on standard error.

    Attributes:
        format: "text" for key=value, or "json".
    """

    format: Format = "text"
