"""All metrics of the server, as a table: the source of docs/reference/metrics.md.

The value of a label comes from the list that stands here, in the words of the log; any other one
counts as "other". So the number of series is fixed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Literal, TypeAlias

from restante.delivery import replies
from restante.delivery.replies import DeliveryReply
from restante.protocol.errors import ResponseCode
from restante.protocol.server.needs import AuthMethod
from restante.protocol.server.session import EndReason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]

OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MetricSpec:
    """A metric. `labels` has the values that each label may have; `buckets` are upper bounds."""

    name: str
    kind: Kind
    meaning: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    buckets: tuple[float, ...] = ()

    def series(self) -> Iterator[tuple[str, ...]]:
        """Return the values of the labels of each series; one empty tuple without labels."""
        return product(*self.labels.values())


def _counter(name: str, meaning: str, **labels: tuple[str, ...]) -> MetricSpec:
    return MetricSpec(name=name, kind="counter", meaning=meaning, labels=labels)


def _gauge(name: str, meaning: str, **labels: tuple[str, ...]) -> MetricSpec:
    return MetricSpec(name=name, kind="gauge", meaning=meaning, labels=labels)


def _histogram(name: str, meaning: str, buckets: tuple[float, ...]) -> MetricSpec:
    return MetricSpec(name=name, kind="histogram", meaning=meaning, buckets=buckets)


MECHANISMS = (*AuthMethod, OTHER)

SERVICES = ("pop3", "smtp", OTHER)

FAILURES = (
    "unknown name", "wrong password", "wrong digest", "no secret", "its line is invalid",
    "its hash is not supported", "the account logs in by its secret only", "locked by nologin",
    "locked by its hash", "locked by accounts.locks", "locked by the administrator", "expired",
    "the address is not in allow_nets", "SCRAM", "PAM",
    "the token is not for this server, or not valid now", "the token is not signed by the issuer",
    "the token is for a service, and tokens.audience is not set",
    "the token is not active", "the token is of another user", "no certificate for this name",
    OTHER,
)  # fmt: skip
"""Reasons of the event `login_failed`. What follows "SCRAM: " or "PAM: " is cut off."""

CODES = (*(code.value for code in ResponseCode), OTHER)

ENDS = (*EndReason, OTHER)

TLS_VERSIONS = ("none", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3", OTHER)

DELIVERED = f"{replies.DELIVERED.code} {replies.DELIVERED.status}"

REPLIES = (
    *dict.fromkeys(
        f"{reply.code} {reply.status}"
        for reply in vars(replies).values()
        if isinstance(reply, DeliveryReply)
    ),
    OTHER,
)

LIMITS = (
    "limits.connections", "limits.connections_per_address", "auth_socket.connections",
    "open files", "failed logins remembered", "shared counters", "accept", OTHER,
)  # fmt: skip
"""Limits of the event `limit_reached`. What follows "accept: " is cut off."""

QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SLOW = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 1800.0)

CONNECTIONS = _counter(
    "restante_connections_total", "POP3 connections that have ended, by the reason.", end=ENDS
)
OPEN_CONNECTIONS = _gauge("restante_open_connections", "POP3 connections that are open now.")
SESSIONS = _gauge("restante_open_sessions", "Sessions that have a maildrop now.")
LOGINS = _counter(
    "restante_logins_total",
    "Logins that opened a maildrop, or that the socket for mail servers confirmed.",
    service=SERVICES,
    mechanism=MECHANISMS,
    tls=TLS_VERSIONS,
)
LOGINS_FAILED = _counter(
    "restante_logins_failed_total",
    "Logins with wrong credentials, by the reason: the event login_failed.",
    mechanism=MECHANISMS,
    reason=FAILURES,
)
LOGINS_REFUSED = _counter(
    "restante_logins_refused_total",
    "Logins that got no mail for another reason, by the code: the event login_refused.",
    code=CODES,
)
TROUBLE = _counter(
    "restante_trouble_total",
    "Replies about a failure of the server, by their code: the event trouble.",
    code=(*CODES, replies.NO_ACCOUNTS.status),
)
INCIDENTS = _counter("restante_incidents_total", "Unforeseen errors: the event incident.")
RETRIEVED = _counter("restante_messages_retrieved_total", "Messages that RETR sent whole.")
DELETED = _counter("restante_messages_deleted_total", "Messages that QUIT removed.")
EXPIRED = _counter("restante_messages_expired_total", "Messages that were removed by their age.")
RECEIVED_BYTES = _counter(
    "restante_received_bytes_total", "Octets from POP3 clients whose connections have ended."
)
SENT_BYTES = _counter(
    "restante_sent_bytes_total", "Octets to POP3 clients whose connections have ended."
)
DELIVERIES = _counter(
    "restante_deliveries_total",
    "Recipients of mail by LMTP or SMTP, by the reply.",
    reply=REPLIES,
)
DELIVERED_BYTES = _counter(
    "restante_delivered_bytes_total", "Octets of delivered messages, once for each recipient."
)
LIMITS_REACHED = _counter(
    "restante_limits_reached_total",
    "Clients that were rejected, or had to wait, because of a limit.",
    limit=LIMITS,
)
LOG_EVENTS = _counter(
    "restante_log_events_total",
    "Events, by their level, with those that the log left out.",
    level=("info", "warning", "error"),
)
LOG_LINES_LOST = _counter(
    "restante_log_lines_lost_total", "Lines of the log that its slow reader did not get."
)
LOG_LINES_LEFT_OUT = _counter(
    "restante_log_lines_left_out_total",
    "Events without a line in the log, because there were too many of their kind.",
)
WORKERS = _gauge("restante_workers", "Processes that accept connections.")
WORKER_RESTARTS = _counter(
    "restante_worker_restarts_total", "Workers that ended unexpectedly, and were replaced."
)
RELOADS_FAILED = _counter(
    "restante_reloads_failed_total", "Reloads that changed nothing: the event not_reloaded."
)
CLUSTER_LEASES = _gauge(
    "restante_cluster_leases", "Maildrops of a cluster that the sessions here hold, or wait for."
)
CLUSTER_CONNECTIONS = _gauge(
    "restante_cluster_connections",
    "Connections to the databases of a cluster.",
    state=("used", "idle"),
)
CLUSTER_DOWN = _gauge(
    "restante_cluster_databases_down",
    "Databases of a cluster that are down, or whose commits wait: the sum over workers.",
)
LOGIN_SECONDS = _histogram(
    "restante_login_seconds",
    "Time to check the credentials of a login, with the delay after failures.",
    QUICK,
)
OPEN_SECONDS = _histogram(
    "restante_maildrop_open_seconds",
    "Time to open a maildrop, with the wait for its lock.",
    QUICK,
)
LOCK_WAIT_SECONDS = _histogram(
    "restante_lock_wait_seconds",
    "The same where the user had another session, so that the login had to wait for its end.",
    QUICK,
)
SESSION_SECONDS = _histogram(
    "restante_session_seconds", "Time from the connection to its end, if it had a maildrop.", SLOW
)
DELIVERY_SECONDS = _histogram(
    "restante_delivery_seconds", "Time to deliver a message to one recipient.", QUICK
)

METRICS = tuple(value for value in vars().copy().values() if isinstance(value, MetricSpec))
"""All metrics whose numbers are in memory, in the order of the page."""

BUILD = _gauge("restante_build_info", "1, with the version in its label.", version=())
CERTIFICATE_END = _gauge(
    "restante_certificate_not_after_timestamp_seconds",
    "When a certificate in use ends, in seconds since 1970.",
    file=(),
)

FOUND = (BUILD, CERTIFICATE_END)
"""Metrics whose numbers, and values of labels, are looked up when they are asked for."""
