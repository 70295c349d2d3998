"""An LDAP directory: searches, and binds that prove a password. All calls here block.

libldap verifies certificates whatever ldap.conf says, and follows no referral. Each thread has a
connection of its own; connections are kept for the next call.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import ldap
from ldap.controls import SimplePagedResultsControl
from ldap.controls.ppolicy import PasswordPolicyControl

from restante.auth.interfaces import UnavailableError
from restante.auth.ldap.replies import REFUSALS, explain, policy_refusal, refusal_reason
from restante.protocol.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

T = TypeVar("T")

IDLE = 300  # seconds after which a connection is not used again: a firewall may have dropped it
PAGE = 1000  # entries in one answer of a list
LONE = 2  # entries that a search for one gets at most: the second shows that it is ambiguous

_BROKEN = (ldap.SERVER_DOWN, ldap.CONNECT_ERROR, ldap.UNAVAILABLE)  # of an idle connection, maybe


@dataclass(frozen=True)
class LdapEntry:
    """An entry: its DN, and the values of its attributes by their names in lower case."""

    dn: str
    attributes: Mapping[str, Sequence[str]]

    def values(self, attribute: str) -> Sequence[str]:
        """Return the values of an attribute; none if the entry lacks it."""
        return self.attributes.get(attribute.lower(), ())


@dataclass(frozen=True)
class LdapServer:
    """How to reach a directory, and how to bind for searches; `bind_dn` is "" for anonymous."""

    uri: str  # several, with a space between, are tried in turn
    start_tls: bool = False
    ca_file: Path | None = None
    bind_dn: str = ""
    bind_password: Secret = field(default_factory=lambda: Secret(b""))


class LdapDirectory:
    """A directory, asked from several threads. `ends` is by time.monotonic, in seconds.

    All methods raise UnavailableError.
    """

    def __init__(self, server: LdapServer) -> None:
        self._server = server
        self._lock = threading.Lock()
        self._idle: dict[bool, list[tuple[Any, float]]] = {True: [], False: []}  # by as_service

    def bind(self, dn: str, password: Secret, ends: float) -> str:
        """Return why a DN and a password do not belong together, "" if they do.

        An empty password would bind anonymously, whatever the DN: RFC 4513 section 5.1.2.
        """
        if not dn or not password.reveal():
            return "no name or no password"
        return self._use(
            lambda connection: _bind(connection, dn, password, ends), ends, as_service=False
        )

    def search(
        self, base: str, text: str, attributes: Sequence[str], ends: float, most: int = LONE
    ) -> list[LdapEntry]:
        """Return at most some entries below a DN to which a filter applies."""

        def find(connection: Any) -> list[LdapEntry]:
            arguments = base, ldap.SCOPE_SUBTREE, text, list(attributes)
            message = connection.search_ext(*arguments, sizelimit=most)
            entries: list[LdapEntry] = []
            try:
                while True:
                    kind, raw_entries = connection.result(
                        message, all=0, timeout=_seconds_left(ends)
                    )
                    entries += _entries(raw_entries)
                    if kind == ldap.RES_SEARCH_RESULT:
                        return entries
            except ldap.SIZELIMIT_EXCEEDED:
                return entries

        return self._use(find, ends, as_service=True)

    def list(
        self, base: str, text: str, attributes: Sequence[str], patience: float
    ) -> Iterator[list[LdapEntry]]:
        """Yield all entries to which a filter applies, 1000 at once, each within `patience`."""
        connection = self._connect(time.monotonic() + patience, as_service=True)
        control = SimplePagedResultsControl(criticality=True, size=PAGE, cookie="")
        try:
            while True:
                ends = time.monotonic() + patience
                message = connection.search_ext(
                    base, ldap.SCOPE_SUBTREE, text, list(attributes), serverctrls=[control]
                )
                _, raw_entries, _, controls = connection.result3(
                    message, timeout=_seconds_left(ends)
                )
                yield _entries(raw_entries)
                control.cookie = _cookie(controls)
                if not control.cookie:
                    return
        except ldap.LDAPError as error:
            raise UnavailableError(f"LDAP: {explain(error)}") from error
        finally:
            _close(connection)

    def close(self) -> None:
        """Close the connections that no thread uses."""
        with self._lock:
            idle = [
                connection for connections in self._idle.values() for connection, _ in connections
            ]
            self._idle = {True: [], False: []}
        for connection in idle:
            _close(connection)

    def _use(self, work: Callable[[Any], T], ends: float, *, as_service: bool) -> T:
        """Do some work on a connection; begin anew where one broke that was idle."""
        try:
            while (connection := self._take_idle(as_service=as_service)) is not None:
                try:
                    return self._finish(connection, work, as_service=as_service)
                except _BROKEN:
                    continue
            return self._finish(
                self._connect(ends, as_service=as_service), work, as_service=as_service
            )
        except ldap.LDAPError as error:
            raise UnavailableError(f"LDAP: {explain(error)}") from error

    def _finish(self, connection: Any, work: Callable[[Any], T], *, as_service: bool) -> T:
        try:
            result = work(connection)
        except BaseException:
            _close(connection)
            raise
        with self._lock:
            self._idle[as_service].append((connection, time.monotonic()))
        return result

    def _take_idle(self, *, as_service: bool) -> Any:
        while True:
            with self._lock:
                if not self._idle[as_service]:
                    return None
                connection, since = self._idle[as_service].pop()
            if time.monotonic() - since < IDLE:
                return connection
            _close(connection)

    def _connect(self, ends: float, *, as_service: bool) -> Any:
        """Return a new connection; one for searches is bound as the service."""
        server = self._server
        connection = ldap.initialize(server.uri)
        try:
            with contextlib.ExitStack() as stack:
                stack.callback(_close, connection)
                connection.set_option(ldap.OPT_REFERRALS, 0)
                connection.set_option(ldap.OPT_NETWORK_TIMEOUT, _seconds_each(server.uri, ends))
                connection.set_option(ldap.OPT_TIMEOUT, _seconds_left(ends))
                connection.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_DEMAND)
                if server.ca_file:
                    connection.set_option(ldap.OPT_X_TLS_CACERTFILE, str(server.ca_file))
                connection.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
                if server.start_tls:
                    connection.start_tls_s()
                if as_service and server.bind_dn:
                    connection.simple_bind_s(server.bind_dn, server.bind_password.reveal())
                stack.pop_all()
        except ldap.INVALID_CREDENTIALS as error:
            text = f"LDAP: {server.bind_dn} cannot bind: {explain(error)}"
            raise UnavailableError(text) from error
        except ldap.LDAPError as error:
            text = f"LDAP: {server.uri}: {explain(error)}"
            if isinstance(error, _BROKEN) and (server.start_tls or "ldaps:" in server.uri.lower()):
                text += "; if it answers, check its certificate and ldap.ca_file"
            raise UnavailableError(text) from error
        return connection


def _bind(connection: Any, dn: str, password: Secret, ends: float) -> str:
    try:
        message = connection.simple_bind(
            dn, password.reveal(), serverctrls=[PasswordPolicyControl()]
        )
        _, _, _, controls = connection.result3(message, timeout=_seconds_left(ends))
    except REFUSALS as error:
        return refusal_reason(error)
    return policy_refusal(controls)


def _entries(raw_entries: Sequence[tuple[str | None, Any]] | None) -> list[LdapEntry]:
    """Return the entries of an answer without its referrals, and text alone of their values."""
    return [
        LdapEntry(
            dn,
            {
                name.lower(): [value.decode(errors="replace") for value in values]
                for name, values in attributes.items()
            },
        )
        for dn, attributes in raw_entries or []
        if dn is not None
    ]


def _cookie(controls: Sequence[Any]) -> Any:
    kind = SimplePagedResultsControl.controlType
    return next((control.cookie for control in controls if control.controlType == kind), None)


def _seconds_left(ends: float) -> float:
    """Return the seconds that are left; libldap would wait without end for none."""
    return max(0.05, ends - time.monotonic())


def _seconds_each(uri: str, ends: float) -> float:
    """Return the seconds for a connection to each of some servers.

    The answers have a part of the time, too, so that a login succeeds if only the last one is up.
    """
    servers = len(uri.split())
    return _seconds_left(ends) / (servers + 1 if servers > 1 else 1)


def _close(connection: Any) -> None:
    with contextlib.suppress(ldap.LDAPError):  # it is closed all the same
        connection.unbind_ext_s()
