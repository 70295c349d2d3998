"""Certificates: loaded, chosen by name, and loaded again when their files change."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from restante.server.tls.certificate_files import CertificateError, file_fingerprint, is_valid, load
from restante.server.tls.key_fitting import RSA

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence
    from pathlib import Path

    from restante.server.tls.certificate_files import CertificateFiles, LoadedCertificate, Profile
    from restante.server.tls.certificate_log import CertificateLog
    from restante.server.tls.client_hello import Hello

CHECK_EVERY = 1.0  # seconds, while clients connect
CHECK_IDLE_EVERY = 60 * 60  # seconds, even without clients


class Certificates:
    """The certificates of a listener. The first one serves clients with an unknown name.

    Of several certificates for one name, each with another kind of key, a client gets the first
    that it can use; one that has expired, or is not valid yet, comes last.

    If changed files are invalid, the old ones stay in use, and `log` reports it. Raises
    CertificateError.
    """

    def __init__(
        self,
        pairs: Sequence[CertificateFiles],
        profile: Profile = "modern",
        client_ca: Path | None = None,
        log: CertificateLog | None = None,
        *,
        check_every: float = CHECK_EVERY,
    ) -> None:
        if not pairs:
            raise CertificateError("no certificate is given")
        self._pairs = pairs
        self._check_every = check_every
        self._profile = profile
        self._client_ca = client_ca
        self._log = log
        self._end_points: WeakKeyDictionary[ssl.SSLContext, bytes] = WeakKeyDictionary()
        self.reload()

    @property
    def several(self) -> bool:
        """Whether there is a choice."""
        return len(self._pairs) > 1

    def choose(self, hello: Hello) -> ssl.SSLContext:
        """Return the context with the best certificate for a client, by its ClientHello."""
        chosen = self._find(hello.name.decode("ascii", errors="replace"))
        usable = [loaded for loaded in chosen if loaded.requirements.is_met_by(hello)]
        now = datetime.now(UTC)
        usable.sort(key=lambda loaded: not is_valid(loaded.certificate, now))
        likely = [loaded for loaded in chosen if loaded.requirements.kind == RSA]
        return [*usable, *likely, *chosen][0].context

    def context(self) -> ssl.SSLContext:
        """Return the context for a new connection; its callback chooses by the requested name."""
        if time.monotonic() - self._checked_at >= self._check_every:
            self.reload_changed()
        return self._loaded[0].context

    def reload_changed(self) -> None:
        """Load each pair whose files have changed since they were loaded last."""
        self._checked_at = time.monotonic()
        for place, loaded in enumerate(self._loaded):
            if file_fingerprint(loaded.pair, self._client_ca) == loaded.fingerprint:
                continue
            try:
                self._loaded[place] = self._load(loaded.pair)
            except CertificateError as error:
                if self._log:
                    self._log.load_failed(loaded.pair, str(error))
            else:
                self._log_loaded(self._loaded[place])

    def log_expiring(self) -> None:
        """Log, once a day, the certificates that have expired or soon will."""
        if self._log:
            self._log.warn_expiring()

    def reload(self) -> None:
        """Load all files again, changed or not. Raises CertificateError: then nothing changes."""
        self._checked_at = time.monotonic()
        loaded_now = self._load_all()
        _check_used(loaded_now)
        self._loaded = loaded_now
        for loaded in self._loaded:
            self._log_loaded(loaded)

    def ends(self) -> list[tuple[str, str]]:
        """Return each certificate's file, and its end as RFC 3339 writes it."""
        return [
            (str(loaded.pair.certificate), loaded.certificate.not_valid_after_utc.isoformat())
            for loaded in self._loaded
        ]

    def end_point_binding(self, context: ssl.SSLContext) -> bytes:
        """Return the channel binding of the certificate in a context, b"" if it has none."""
        return self._end_points.get(context, b"")

    def _load_all(self) -> list[LoadedCertificate]:
        """Raise one CertificateError for all pairs that cannot be loaded."""
        loaded: list[LoadedCertificate] = []
        problems: list[str] = []
        for pair in self._pairs:
            try:
                loaded.append(self._load(pair))
            except CertificateError as error:
                problems += error.problems
        if problems:
            raise CertificateError(*dict.fromkeys(problems))  # the authorities are read for each
        return loaded

    def _load(self, pair: CertificateFiles) -> LoadedCertificate:
        loaded = load(pair, self._profile, self._client_ca)
        self._end_points[loaded.context] = loaded.end_point
        if len(self._pairs) > 1:
            loaded.context.sni_callback = self._choose
        return loaded

    def _log_loaded(self, loaded: LoadedCertificate) -> None:
        if self._log:
            self._log.log_loaded(loaded)

    def _choose(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        contexts = [loaded.context for loaded in self._find(name or "")]
        if connection.context not in contexts:
            connection.context = contexts[0]

    def _find(self, name: str) -> list[LoadedCertificate]:
        """Return the certificates for a name that a client asks for; at least one."""
        host = name.lower().removesuffix(".")
        fitting = [loaded for loaded in self._loaded if host and _matches(host, loaded.names)]
        first = self._loaded[0]
        return fitting or [
            candidate
            for candidate in self._loaded
            if candidate is first or candidate.names & first.names
        ]


def _check_used(all_loaded: Sequence[LoadedCertificate]) -> None:
    """Raise CertificateError: no client would ever get one of the certificates."""
    for place, loaded in enumerate(all_loaded):
        kind = loaded.requirements.kind
        before = [earlier for earlier in all_loaded[:place] if earlier.requirements.kind == kind]
        names = frozenset[str]().union(*(earlier.names for earlier in before))
        if before and loaded.names <= names:
            raise CertificateError(
                f"{loaded.pair.certificate}: never used, because {before[0].pair.certificate} comes"
                f" first and has the same names and the same kind of key ({kind})"
            )


async def watch_certificates(certificates: Sequence[Certificates]) -> None:
    """Load renewed files even without connections, and log expiring ones, until cancelled."""
    while True:
        await asyncio.sleep(CHECK_IDLE_EVERY)
        for group in certificates:
            group.reload_changed()
            group.log_expiring()


def _matches(name: str, names: frozenset[str]) -> bool:
    return name in names or f"*.{name.partition('.')[2]}" in names
