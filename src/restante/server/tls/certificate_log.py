"""Log events of certificates: renewed, rejected, expired, or expiring soon."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from restante.net.certificate_dates import ends_soon
from restante.server.log.file_problems import FileProblems, version_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cryptography import x509
    from structlog.typing import FilteringBoundLogger

    from restante.server.limits.shared_table import SharedTimestamps
    from restante.server.tls.certificate_files import CertificateFiles, LoadedCertificate

REMIND_EVERY = dt.timedelta(days=1)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class CertificateLog:
    """Logs each event once, although several listeners and workers load the same files."""

    def __init__(
        self,
        log: FilteringBoundLogger,
        clock: Callable[[], dt.datetime] = _now,
        reported: SharedTimestamps | None = None,
    ) -> None:
        """`reported`: what all workers have logged."""
        self._log = log
        self._problems = FileProblems(log, reported)
        self._clock = clock
        self._loaded: dict[Path, x509.Certificate] = {}
        self._refused: dict[CertificateFiles, str] = {}
        self._reminded = clock()

    def load_failed(self, pair: CertificateFiles, problem: str) -> None:
        """Log that changed files cannot be used; the same problem is logged once."""
        if self._refused.get(pair) != problem:
            self._refused[pair] = problem
            version = f"{version_of(pair.certificate)} {version_of(pair.key)}"
            if self._problems.is_first(problem, version):
                self._log.warning("certificates", problem=problem)

    def log_loaded(self, loaded: LoadedCertificate) -> None:
        """Log a renewed certificate, and what is wrong with its dates."""
        self._refused.pop(loaded.pair, None)
        file, certificate = loaded.pair.certificate, loaded.certificate
        before = self._loaded.get(file)
        if before == certificate:
            return
        self._loaded[file] = certificate
        serial = f"{certificate.serial_number}"
        if before is not None and self._problems.is_first(f"renewed {file}", serial):
            ends = certificate.not_valid_after_utc.isoformat()
            self._log.info("certificate_renewed", certificate=str(file), ends=ends)
        if self._problems.is_first(f"dates of {file}", serial):
            self._warn(file, certificate)

    def warn_expiring(self) -> None:
        """Log, once a day, what is wrong with the dates of the certificates in use."""
        now = self._clock()
        if abs(now - self._reminded) >= REMIND_EVERY:  # a clock that was ahead is set back
            self._reminded = now
            for file, certificate in self._loaded.items():
                self._warn(file, certificate)

    def _warn(self, file: Path, certificate: x509.Certificate) -> None:
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        problem = _problem(begins, ends, self._clock())
        if problem:
            self._log.warning(
                "certificate_dates",
                certificate=str(file),
                problem=problem,
                begins=begins.isoformat(),
                ends=ends.isoformat(),
            )


def _problem(begins: dt.datetime, ends: dt.datetime, now: dt.datetime) -> str | None:
    if now < begins:
        return "not valid yet"
    if now > ends:
        return "expired"
    if not ends_soon(begins, ends, now):
        return None
    days = (ends - now).days
    return f"expires in {days} days" if days > 1 else "expires in less than 2 days"
