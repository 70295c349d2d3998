"""The address of a MySQL or MariaDB database: `mysql://USER:PASSWORD@HOST:PORT/DB`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, unquote_to_bytes, urlsplit

from restante.input_files import require_file
from restante.net.addresses import is_loopback
from restante.net.tls_trust import create_verifying_context
from restante.protocol.secret import Secret
from restante.system_errors import explain_path

if TYPE_CHECKING:
    import ssl

PORT = 3306
OPTIONS = ("socket", "ca", "tls")


@dataclass(frozen=True)
class MysqlAddress:
    """A database, and how to reach it. TLS is verified, and only this machine needs none."""

    user: str
    password: Secret
    host: str
    port: int
    database: str
    socket: str  # the file of a Unix socket, "" for TCP
    tls: ssl.SSLContext | None

    @classmethod
    def parse(cls, dsn: Secret) -> MysqlAddress:
        """Read an address. Raises ValueError, whose text shows nothing of it."""
        parts = _split(dsn)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        unknown = sorted(options.keys() - set(OPTIONS))
        if unknown or parts.scheme != "mysql" or not parts.username or len(parts.path) < 2:
            form = "mysql://USER:PASSWORD@HOST/DB?" + "&".join(f"{name}=..." for name in OPTIONS)
            raise ValueError(f"it is not of the form {form}")
        host, socket = parts.hostname or "localhost", options.get("socket", "")
        return cls(
            unquote(parts.username),
            Secret(unquote_to_bytes(parts.password or "")),
            host,
            parts.port or PORT,
            unquote(parts.path[1:]),
            socket,
            _tls(options, local=bool(socket) or is_loopback(host)),
        )


def _split(dsn: Secret) -> Any:
    try:
        parts = urlsplit(dsn.reveal().decode())
        _ = parts.port, parts.hostname  # both may raise
    except ValueError:
        raise ValueError("it is not a URL") from None
    return parts


def _tls(options: dict[str, str], *, local: bool) -> ssl.SSLContext | None:
    """Return how to verify the server's certificate; None for a connection without TLS."""
    choice = options.get("tls", "never" if local and "ca" not in options else "always")
    if choice == "never":
        return None
    if choice != "always":
        raise ValueError("tls must be always or never")
    try:
        if "ca" in options:
            require_file(options["ca"])
        return create_verifying_context(options.get("ca"))
    except OSError as error:
        raise ValueError(f"ca={explain_path(options['ca'], error)}") from None
