"""Certificates: loaded, chosen by name, and loaded again when their files change."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from restante.server.keypair import CertificateError, load

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from restante.server.keypair import Loaded, Pair, Profile

CHECK_EVERY = 1.0  # seconds between two looks at the files


class Certificates:
    """The certificates of a listener; the first one serves who asks for no name that we have.

    `warn` is called with words when files changed and cannot be used; the old ones stay in use.
    Raises CertificateError.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        profile: Profile = "modern",
        client_ca: Path | None = None,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._pairs = pairs
        self._profile = profile
        self._client_ca = client_ca
        self._warn = warn
        self._looked_at = time.monotonic()
        self._stamp = self._look()
        self._loaded = self._load()

    def context(self) -> ssl.SSLContext:
        """Return the context for a new connection; its callback chooses by the name asked for."""
        if time.monotonic() - self._looked_at >= CHECK_EVERY:
            self.reload()
        return self._loaded[0].context

    def reload(self) -> None:
        """Load the files again if they have changed."""
        self._looked_at = time.monotonic()
        stamp = self._look()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._loaded = self._load()
        except CertificateError as error:
            self._warn(str(error))

    def end_point(self, context: ssl.SSLContext) -> bytes:
        """Return the binding data of the certificate that a connection used, if it has some."""
        found = (loaded.end_point for loaded in self._loaded if loaded.context is context)
        return next(found, b"")

    def _look(self) -> list[tuple[int, int, int] | None]:
        files = [file for pair in self._pairs for file in (pair.certificate, pair.key)]
        return [_stamp(file) for file in files]

    def _load(self) -> list[Loaded]:
        loaded = [load(pair, self._profile, self._client_ca) for pair in self._pairs]

        def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
            for certificate in loaded:
                if name and _matches(name.lower(), certificate.names):
                    connection.context = certificate.context
                    return

        if len(loaded) > 1:
            loaded[0].context.sni_callback = choose
        return loaded


def _matches(name: str, names: frozenset[str]) -> bool:
    return name in names or f"*.{name.partition('.')[2]}" in names


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
