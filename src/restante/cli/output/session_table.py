"""The sessions and the processes of a running server, as text."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from restante.cli.output.terminal import plain
from restante.cli.output.units import fill, short_size, widest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from restante.server.connection.administered import SessionFacts
    from restante.server.control.messages import ControlReply

TITLES = ("user", "address", "since", "idle", "state", "maildrop", "octets", "tls", "worker", "id")
NOBODY = "-"


def session_table(
    sessions: Sequence[tuple[SessionFacts, ControlReply]], now: float
) -> Iterator[str]:
    """Yield the lines of a table of sessions; `now` is in seconds since 1970.

    `octets` are those that were sent. A cluster has a column for the node.
    """
    is_cluster = any(reply.id for _, reply in sessions)
    rows = [TITLES + ("node",) * is_cluster]
    for facts, reply in sessions:
        row = _row(facts, reply.worker, now)
        rows.append(row + (reply.node,) * is_cluster)
    yield from _align(rows)


def describe_status(
    replies: Sequence[ControlReply], cluster: ControlReply | None = None
) -> Iterator[str]:
    """Yield what to print of the processes of a server, and of the nodes of its cluster."""
    answered = [(reply, reply.status) for reply in replies if reply.status is not None]
    rows = [("worker", "node", "version", "uptime", "connections", "sessions")]
    for reply, status in answered:
        uptime, connections = format_time(status.uptime), str(status.connections)
        sessions = str(status.sessions)
        rows.append((str(reply.worker), reply.node, status.version, uptime, connections, sessions))
    yield from _align(rows)
    yield ""
    yield from _describe_nodes(cluster) if cluster else ()
    listeners = (each for _, status in answered for each in status.listeners)
    for service, address in dict.fromkeys((each.service, each.address) for each in listeners):
        yield f"{plain(service)} listens at {plain(address)}"
    ends = {(each.file, each.ends) for _, status in answered for each in status.certificates}
    for file, end in sorted(ends):
        yield f"{plain(file)} ends {plain(end)}"


def _describe_nodes(cluster: ControlReply) -> Iterator[str]:
    silent = {(node.node, node.worker) for node in cluster.silent}
    for node in cluster.nodes:
        state = "lives" if node.alive else "does not live"
        if (node.node, node.worker) in silent:  # its time in the database is not over
            state = "does not answer"
        where = f"node {plain(node.node)}, process {node.worker}"
        yield f"{where}: {state}, last seen {format_time(node.seen)} ago"


def format_time(seconds: float) -> str:
    """Return a time as 12s, 5m or 3h20m."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3600:02}h"


def _row(facts: SessionFacts, worker: int, now: float) -> tuple[str, ...]:
    since = dt.datetime.fromtimestamp(facts.since).astimezone()
    recent = now - facts.since < 86_400
    return (
        f"{facts.user or NOBODY}{' (junk)' if facts.junk else ''}",
        facts.address or NOBODY,
        f"{since:%H:%M:%S}" if recent else f"{since:%Y-%m-%d}",
        format_time(facts.idle),
        facts.state,
        NOBODY if facts.messages is None else f"{facts.messages}/{short_size(facts.maildrop or 0)}",
        short_size(facts.octets_out),
        facts.tls.partition(" ")[0] or NOBODY,
        str(worker),
        facts.session,
    )


def _align(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [widest(column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (fill(cell, width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
